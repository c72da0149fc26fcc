/** An Ethernet link against the kernel's ARP, neighbour discovery and address detection, across a TAP. */
import { expect } from 'chai';
import { TunDevice } from '../../lib/link/tun-device.js';
import { installed } from '../support/child.js';
import { dial } from '../support/interop-endpoint.js';
import { eventually } from '../support/interop-wait.js';
import { skip } from '../support/skip.js';
import { TapBed } from '../support/tap.js';

const ADDRESSES = ['10.9.0.2/24', 'fd09::2/64'];
const HOST = { address: ['10.9.0.1/24', 'fd09::1/64'] };

for (const offload of [true, false]) {
  describe(`Ethernet over a TAP ${offload ? 'with' : 'without'} offloads`, function () {
    this.timeout(30_000);
    let bed: TapBed;

    before(async function () {
      bed = await TapBed.open(this, {
        addresses: ADDRESSES,
        tap: { ...HOST, offload },
        ethernet: { detection: { ipv6Probes: 0 } },
      });
    });

    after(() => bed?.close());

    it('answers ping of both families, and both sides know each other then', async () => {
      await bed.namespace.shell('ping -nc 3 -i 0.2 -s 3000 10.9.0.2 && ping -nc 3 -i 0.2 -s 3000 fd09::2');
      const { stdout } = await bed.namespace.exec('ip', ['neigh']);
      expect(stdout).to.match(/10\.9\.0\.2 dev tap0 lladdr 52:54:00:00:00:01/);
      expect(stdout).to.match(/fd09::2 dev tap0 lladdr 52:54:00:00:00:01/);
      const known = bed.link.neighbors().map(({ address }) => address);
      expect(known).to.include.members(['10.9.0.1', 'fd09::1']);
    });

    it('carries bulk both ways over TCP', async () => {
      for (const [address, host] of [
        ['10.9.0.2', '10.9.0.1'],
        ['fd09::2', 'fd09::1'],
      ]) {
        const listener = bed.stack.net.createServer((socket) => socket.pipe(socket));
        await new Promise<void>((done) => listener.listen(7000, address, done));
        const script =
          `head -c 3000000 /dev/urandom > /tmp/tap-$$; socat -t10 -T10 - TCP:[${address}]:7000 < /tmp/tap-$$ | cmp - /tmp/tap-$$; ` +
          'status=$?; rm -f /tmp/tap-$$; exit $status';
        await bed.namespace.shell(script.replaceAll('[10.9.0.2]', '10.9.0.2'));
        await new Promise((done) => listener.close(done));
        expect(host).to.be.a('string');
      }
      const { inPackets, inFrames } = bed.link.counters;
      expect(inPackets).to.be.greaterThan(0);
      expect(inFrames).to.be.greaterThan(inPackets);
    });

    it('is found by arping and ndisc6, with its own Ethernet address', async function () {
      if (!(await installed('arping')) || !(await installed('ndisc6'))) skip(this, 'no arping or ndisc6');
      const arping = await bed.namespace.exec('arping', ['-c', '2', '-i', 'tap0', '10.9.0.2']);
      expect(arping.stdout).to.match(/52:54:00:00:00:01/);
      const ndisc = await bed.namespace.exec('ndisc6', ['-1', 'fd09::2', 'tap0']);
      expect(ndisc.stdout).to.match(/52:54:00:00:00:01/i);
    });

    it('hears that the kernel does not have an address, and tells who waits', async () => {
      const waiting = dial(bed.stack, { address: '10.9.0.77', port: 9 });
      await waiting.until('the error', () => waiting.closeCode !== undefined);
      expect(waiting.closeCode).to.equal('EHOSTUNREACH');
    });
  });
}

describe('a TAP', function () {
  this.timeout(30_000);

  it('says what it carries, has room for a header, and refuses another mode', async function () {
    const bed = await TapBed.open(this, { tap: { mtu: 1400 } });
    expect(bed.tap.framing).to.equal('ethernet');
    expect(bed.tap.mtu).to.equal(1414);
    expect(bed.link.mtu).to.equal(1400);
    expect(bed.link.checksumOffload).to.equal(true);
    const mode = 'bridge' as 'tap';
    expect(() => TunDevice.create({ mode }))
      .to.throw(TypeError)
      .with.property('code', 'ERR_INVALID_ARG_VALUE');
    const adopted = { fd: bed.tap.fd, mode: 'tun' } as const;
    expect(() => TunDevice.create(adopted))
      .to.throw(TypeError)
      .with.property('code', 'ERR_INVALID_ARG_VALUE');
    expect(bed.tap.fd, 'it is still whose it was').to.equal(adopted.fd);
    await bed.close();
  });
});

describe('Ethernet address detection and the kernel', function () {
  this.timeout(30_000);
  let bed: TapBed;

  beforeEach(async function () {
    bed = await TapBed.open(this, { tap: HOST });
  });

  afterEach(() => bed?.close());

  it('does not use an IPv6 address the kernel has [IC6-14]', async () => {
    const conflict = new Promise((done) => {
      bed.link.onConflict = done;
    });
    bed.stack.ip.addAddress(bed.index, 'fd09::1/64');
    await conflict;
    expect(bed.stack.ip.addresses(bed.index).map(({ address }) => address)).to.not.include('fd09::1/64');
  });

  it('does not use an IPv4 address the kernel has, where it asks first', async () => {
    const conflict = new Promise((done) => {
      bed.link.onConflict = done;
    });
    bed.stack.ip.addAddress(bed.index, '10.9.0.1/24', { probe: true });
    await conflict;
    expect(bed.stack.ip.addresses(bed.index).map(({ address }) => address)).to.not.include('10.9.0.1/24');
  });

  it('tells the kernel that it has an address: the kernel gives it up', async () => {
    bed.stack.ip.addAddress(bed.index, 'fd09::5/64', { probe: false });
    await bed.namespace.shell(
      'sysctl -qw net.ipv6.conf.tap0.accept_dad=1 net.ipv6.conf.tap0.dad_transmits=1; ip addr add fd09::5/64 dev tap0',
    );
    await eventually(
      'the kernel to give up',
      async () => (await bed.namespace.exec('ip', ['-6', 'addr', 'show', 'dev', 'tap0'])).stdout,
      (text) => /fd09::5.*dadfailed/.test(text),
    );
  });
});
