/** Multicast groups between the stack and the kernel: reports, queries and datagrams across the TUN. */
import { once } from 'node:events';
import { expect } from 'chai';
import type { Child } from '../support/child.js';
import { FAMILIES, InteropBed, STACK } from '../support/interop.js';
import { addressBytes } from '../support/ip-wire.js';

const PROGRAM = 'test/interop/support/group-peer.py';
const GROUP = { 4: '239.1.2.3', 6: 'ff15::123' } as const;
const PORT = 4321;

for (const family of FAMILIES) {
  describe(`groups, IPv${family}`, function () {
    this.timeout(30_000);
    const group = GROUP[family];
    const hex = Buffer.from(addressBytes(group)).toString('hex');
    let bed: InteropBed;
    let kernel: Child;
    before(async function () {
      bed = await InteropBed.createOrSkip(this);
      // The kernel queries, and hears, from a link-local address only.
      if (family === 6) bed.stack.ip.addAddress(1, 'fe80::5/64');
      const place = [String(family), bed.tun.name, group, String(PORT)];
      kernel = bed.namespace.spawn('python3', [PROGRAM, ...place], { openStdin: true });
      await kernel.output(/ready/);
    });
    after(() => bed?.close());

    /** A record of one kind about the group, without sources, in a report the kernel has accepted. */
    const reported = (kind: number): Promise<unknown> =>
      kernel.output(new RegExp(`report \\w*0${kind}000000${hex}`));

    it('tells the kernel what it joins, answers its queries, receives, and leaves', async () => {
      const socket = bed.stack.dgram.createSocket(family === 4 ? 'udp4' : 'udp6');
      try {
        socket.bind(PORT);
        await once(socket, 'listening');
        const link = family === 4 ? STACK[4] : '::%1';
        socket.addMembership(group, link);
        await reported(4);
        kernel.stdin.write('query\n');
        await reported(2);
        expect(bed.stack.stats.groups.inQueries).to.be.at.least(1);
        const message = once(socket, 'message');
        kernel.stdin.write('send from the kernel\n');
        expect(String((await message)[0])).to.equal('from the kernel');
        socket.dropMembership(group, link);
        await reported(3);
      } finally {
        socket.close();
      }
    });

    it('sends to the group the kernel is in', async () => {
      kernel.stdin.write('join\n');
      await kernel.output(/joined/);
      expect(await bed.exec('ip', 'maddr', 'show', 'dev', bed.tun.name)).to.contain(group);
      const socket = bed.stack.dgram.createSocket(family === 4 ? 'udp4' : 'udp6');
      try {
        socket.bind();
        await once(socket, 'listening');
        socket.setMulticastInterface(family === 4 ? STACK[4] : '::%1');
        socket.send('from the stack', PORT, group);
        await kernel.output(/data from the stack/);
      } finally {
        socket.close();
      }
    });
  });
}
