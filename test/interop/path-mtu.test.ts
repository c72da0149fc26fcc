/** A path narrower than its ends: the kernel in the middle says so, and the stack obeys. */
import { createHash } from 'node:crypto';
import { expect } from 'chai';
import { FAMILIES, InteropBed, STACK } from '../support/interop.js';
import { dial, listen } from '../support/interop-endpoint.js';
import { KernelPeer } from '../support/interop-kernel.js';
import { AwaitedUdp } from '../support/interop-udp.js';
import { errorOf, eventually } from '../support/interop-wait.js';
import type { TestNamespace } from '../support/netns.js';

const BYTES = 2_000_000;
/** So slow to time out that it shows whether a connection waited for that. */
const SLOW = { rtoMinMs: 5000 };
/** The host behind the kernel. */
const FAR = { 4: '10.8.0.2', 6: 'fd08::2' } as const;
/** Another address of it, since a path once learnt stays known. */
const OTHER = { 4: '10.8.0.3', 6: 'fd08::3' } as const;

for (const offload of [true, false]) {
  describe(`a path with a narrow part, ${offload ? 'with' : 'without'} offloads`, function () {
    this.timeout(30_000);
    let bed: InteropBed;
    let far: TestNamespace;
    let peer: KernelPeer;

    before(async function () {
      bed = await InteropBed.createOrSkip(this, { offload });
      far = await bed.namespace.neighbour();
      await bed.shell(`
        sysctl -qw net.ipv4.ip_forward=1 net.ipv6.conf.all.forwarding=1 net.ipv6.conf.default.accept_dad=0
        ip link add v0 type veth peer name v1 netns ${far.pid}
        ip address add 10.8.0.1/24 dev v0
        ip address add fd08::1/64 dev v0 nodad
        ip link set v0 up`);
      await far.shell(`
        sysctl -qw net.ipv6.conf.v1.accept_dad=0
        ip address add ${FAR[4]}/24 dev v1
        ip address add ${FAR[6]}/64 dev v1 nodad
        ip address add ${OTHER[4]}/24 dev v1
        ip address add ${OTHER[6]}/64 dev v1 nodad
        ip link set v1 up
        ip route add default via 10.8.0.1
        ip -6 route add default via fd08::1`);
      peer = await KernelPeer.start(far);
    });
    after(async () => {
      await far?.close();
      await bed?.close();
    });
    beforeEach(() => widen(1500));

    /** What the kernel in the middle forwards to the far host, in bytes. */
    const widen = (mtu: number): Promise<string> =>
      bed.shell(`
        ip route replace ${FAR[4]}/32 dev v0 mtu lock ${mtu}
        ip route replace ${OTHER[4]}/32 dev v0 mtu lock ${mtu}
        ip -6 route replace ${FAR[6]}/128 dev v0 mtu lock ${mtu}
        ip -6 route replace ${OTHER[6]}/128 dev v0 mtu lock ${mtu}`);

    const complaints = (): number => {
      const { inDestUnreachs, inPktTooBigs } = bed.stack.stats.icmp;
      return inDestUnreachs + inPktTooBigs;
    };

    for (const family of FAMILIES) {
      it(`is measured when the stack sends, and not by losing time, IPv${family}`, async () => {
        await widen(1300);
        const listener = await peer.listen({ address: FAR[family] });
        const ours = dial(bed.stack, { address: FAR[family], port: listener.local.port, options: SLOW });
        await ours.connected();
        const theirs = await listener.accept();
        const { timeouts } = bed.stack.stats.tcp;
        const received = theirs.receiveToEnd();
        const sha256 = await ours.sendBulk(BYTES);
        ours.endpoint.shutdown();
        expect(await received).to.deep.equal({ bytes: BYTES, sha256 });
        expect(bed.stack.stats.tcp.timeouts - timeouts).to.equal(0);
        expect((await theirs.info()).receiveMss).to.be.at.most(1300 - (family === 4 ? 52 : 72));
        await theirs.close();
        expect(await ours.closed()).to.equal('');
        await listener.close();
      });

      it(`may become narrower while a connection lives, IPv${family}`, async () => {
        const listener = listen(bed.stack, { port: 0, options: SLOW });
        const accepting = listener.accept();
        const from = { localAddress: FAR[family], localPort: 0 };
        const theirs = await peer.connect({ address: STACK[family], port: listener.port, ...from });
        const ours = await accepting;
        listener.close();
        const { timeouts } = bed.stack.stats.tcp;
        const before = complaints();
        // 1300 is known of these paths by now.
        for (const mtu of [1500, 1290, 1281]) {
          await widen(mtu);
          // What is already on its way when the first complaint arrives is sent again in smaller pieces.
          const sha256 = ours.sendBulk(BYTES / 4);
          const received = createHash('sha256');
          received.update(Buffer.from(await theirs.receive(BYTES / 4), 'latin1'));
          expect(received.digest('hex'), `MTU ${mtu}`).to.equal(await sha256);
          await theirs.send('go on');
          expect(await ours.receive(5)).to.equal('go on');
        }
        expect(bed.stack.stats.tcp.timeouts - timeouts).to.equal(0);
        expect(complaints() - before).to.be.at.least(2);
        ours.endpoint.shutdown();
        await theirs.close();
        expect(await ours.closed()).to.equal('');
      });

      it(`that nobody tells of is found by who sends too much, IPv${family}`, async () => {
        await widen(1320);
        // The kernel in the middle drops what is too large, and its complaint.
        await bed.shell(`
          nft add table inet mute
          nft 'add chain inet mute out { type filter hook output priority 0; }'
          nft add rule inet mute out icmp type destination-unreachable drop
          nft add rule inet mute out icmpv6 type packet-too-big drop`);
        try {
          const listener = await peer.listen({ address: OTHER[family] });
          const ours = dial(bed.stack, { address: OTHER[family], port: listener.local.port });
          await ours.connected();
          const theirs = await listener.accept();
          const { mtuBlackHoles } = bed.stack.stats.tcp;
          const received = theirs.receiveToEnd();
          const sha256 = await ours.sendBulk(BYTES);
          ours.endpoint.shutdown();
          expect(await received).to.deep.equal({ bytes: BYTES, sha256 });
          expect(bed.stack.stats.tcp.mtuBlackHoles - mtuBlackHoles).to.equal(1);
          const { mssBytes } = ours.endpoint.connection.sender;
          expect(mssBytes).to.be.within(1000, 1320 - (family === 4 ? 52 : 72));
          await theirs.close();
          expect(await ours.closed()).to.equal('');
          await listener.close();
        } finally {
          await bed.shell('nft delete table inet mute');
        }
      });

      it(`is announced where a route of ours knows it, and the kernel keeps to it, IPv${family}`, async () => {
        const destination = `${FAR[family]}/${family === 4 ? 32 : 128}`;
        const { port } = bed.stack.routing.routes.get(FAR[family]);
        bed.stack.routing.routes.add({ destination, port, mtu: 1290 });
        try {
          const listener = await peer.listen({ address: FAR[family] });
          const ours = dial(bed.stack, { address: FAR[family], port: listener.local.port });
          await ours.connected();
          const theirs = await listener.accept();
          const most = 1290 - (family === 4 ? 52 : 72);
          expect((await theirs.info()).sendMss).to.equal(most);
          const before = complaints();
          const sending = theirs.sendBulk(BYTES / 4);
          const received = createHash('sha256').update(Buffer.from(await ours.receive(BYTES / 4), 'latin1'));
          expect(received.digest('hex')).to.equal(await sending);
          expect(complaints()).to.equal(before);
          ours.endpoint.shutdown();
          await theirs.close();
          expect(await ours.closed()).to.equal('');
          await listener.close();
        } finally {
          bed.stack.routing.routes.delete({ destination });
        }
      });

      it(`is learnt by UDP from its first loss, IPv${family}`, async () => {
        await widen(1290);
        const ours = new AwaitedUdp(bed.stack, family);
        try {
          const theirs = await peer.bindUdp({ address: OTHER[family] });
          ours.connect(theirs.local);
          const before = complaints();
          await ours.send(Buffer.alloc(1400, 'lost'));
          await eventually('a complaint', complaints, (count) => count > before);
          // As on Linux, who is connected is told, once; from then on it goes in fragments.
          expect(await errorOf(ours.receive())).to.equal('EMSGSIZE');
          await ours.send(Buffer.alloc(1400, 'found'));
          expect((await theirs.receive()).data.equals(Buffer.alloc(1400, 'found'))).to.equal(true);
          await theirs.close();
        } finally {
          ours.close();
        }
      });

      it(`passes large pings in fragments, IPv${family}`, async () => {
        const args = [`-${family}`, '-n', '-c', '3', '-i', '0.01', '-W', '2', '-s', '6000', STACK[family]];
        // ping itself has to learn the path's size first: its own kernel fragments for a link of 1500.
        const text = (await far.exec('ping', args)).stdout;
        expect(text).to.include('3 received');
      });

      it(`is two hops long for traceroute, IPv${family}`, async () => {
        const args = [`-${family}`, '-n', '-q', '1', '-w', '2', '-m', '5', '-I', STACK[family]];
        const hops = (await far.exec('traceroute', args)).stdout.trim().split('\n').slice(1);
        expect(hops.map((hop) => hop.trim().split(/\s+/)[1])).to.deep.equal([
          family === 4 ? '10.8.0.1' : 'fd08::1',
          STACK[family],
        ]);
      });
    }
  });
}
