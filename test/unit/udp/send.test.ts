import { expect } from 'chai';
import { UdpEvent } from '../../../lib/udp/datagram.js';
import type { MtuDiscovery } from '../../../lib/udp/options.js';
import type { UdpEndpoint } from '../../../lib/udp/udp-endpoint.js';
import { isIntact, makePacket, pattern } from '../link/packets.js';
import { address, Host, OURS, PEER, text } from './host.js';

const FAMILIES = [4, 6] as const;

const codeOf = (call: () => unknown): string => {
  try {
    call();
  } catch (error) {
    return (error as NodeJS.ErrnoException).code ?? String(error);
  }
  return '';
};

function bound(host: Host, family: 4 | 6, port = 2000): UdpEndpoint {
  const socket = host.udp.createEndpoint(family);
  socket.bind(undefined, port);
  return socket;
}

describe('UDP output', () => {
  for (const version of FAMILIES) {
    it(`sends the exact datagram over IPv${version}`, () => {
      const host = new Host();
      const socket = bound(host, version);
      expect(socket.send(text('hello'), { destination: PEER[version], port: 1000 })).to.equal(true);
      const { packet } = host.port.sent[0];
      const fields = {
        version,
        protocol: 17,
        source: 2,
        destination: 1,
        sourcePort: 2000,
        destinationPort: 1000,
      };
      const expected = makePacket({ ...fields, payload: 'hello', identification: 0 });
      if (version === 6) packet.set(expected.subarray(1, 4), 1); // the flow label is random
      expect(packet).to.deep.equal(expected);
      expect(host.stats.udp.outDatagrams).to.equal(1);
      expect(socket.sent).to.equal(1);
    });

    it(`sends a computed checksum of zero as all ones over IPv${version} [UDP-3, E12]`, () => {
      const host = new Host();
      const socket = bound(host, version);
      const options = { destination: PEER[version], port: 1000 };
      socket.send(new Uint8Array(2), options);
      const [{ checksum: sum }] = host.sent();
      // Two bytes equal to that checksum make the sum of all words 0xffff, and the checksum 0.
      socket.send(Uint8Array.of(sum >> 8, sum & 255), options);
      const { packet } = host.port.sent[0];
      expect(isIntact(packet)).to.equal(true);
      expect(host.sent()[0].checksum).to.equal(0xffff);
    });

    it(`sends up to the largest datagram over IPv${version}, in fragments; more is EMSGSIZE [UDP-17, V4O-9]`, () => {
      const largest = version === 4 ? 65_507 : 65_527;
      const host = new Host();
      const socket = bound(host, version);
      const data = pattern(largest);
      const options = { destination: PEER[version], port: 1000 };
      expect(socket.send(data, options)).to.equal(true);
      const fragments = host.port.sent.splice(0);
      expect(fragments.length).to.equal(Math.ceil((largest + 8) / (version === 4 ? 1480 : 1448)));
      // They come back in as a question to ourselves would: reassembled they are the same datagram.
      const receiver = new Host();
      const from = bound(receiver, version, 1000);
      from.setOptions({ receiveBufferBytes: 1 << 20 });
      for (const { packet } of fragments) {
        swap(packet);
        receiver.inject(packet);
      }
      const datagram = from.receive();
      expect(datagram?.length).to.equal(largest);
      expect(datagram?.payload).to.deep.equal(data);
      expect(codeOf(() => socket.send(pattern(largest + 1), options))).to.equal('EMSGSIZE');
      expect(host.port.sent).to.have.length(0);
    });

    it(`sends an empty datagram over IPv${version} [UDP-19]`, () => {
      const host = new Host();
      const socket = bound(host, version);
      socket.send(new Uint8Array(0), { destination: PEER[version], port: 1000 });
      const { packet } = host.port.sent[0];
      expect(packet.length).to.equal(version === 4 ? 28 : 48);
      expect(isIntact(packet)).to.equal(true);
    });

    it(`marks DSCP, ECN and hop limit by socket and by datagram over IPv${version} [UDP-21]`, () => {
      const host = new Host();
      const socket = bound(host, version);
      const options = { destination: PEER[version], port: 1000 };
      socket.send(text('a'), options);
      socket.setOptions({ trafficClass: 0xb8, hopLimit: 9 });
      socket.send(text('b'), options);
      socket.send(text('c'), { ...options, trafficClass: 0x2b, hopLimit: 1 });
      socket.send(text('d'), options);
      socket.setOptions({ hopLimit: 0 });
      socket.send(text('e'), { ...options, hopLimit: 2 });
      socket.send(text('f'), options);
      const marks = host.sent().map(({ trafficClass, hopLimit }) => [trafficClass, hopLimit]);
      expect(marks).to.deep.equal([
        [0, 64],
        [0xb8, 9],
        [0x2b, 1],
        [0xb8, 9],
        [0xb8, 2],
        [0xb8, 64],
      ]);
    });
  }

  it('sends without checksum over IPv4 only where told to [UDP-5]', () => {
    const host = new Host();
    const socket = bound(host, 4);
    const options = { destination: PEER[4], port: 1000 };
    socket.send(text('with'), options);
    socket.setOptions({ noChecksum: true });
    socket.send(text('without'), options);
    const [first, second] = host.sent();
    expect(first.checksum).to.not.equal(0);
    expect(second.checksum).to.equal(0);
  });

  it('sends without checksum over IPv6 only where opted in, which the other switch is not [UDP-4, UDP-5]', () => {
    const host = new Host();
    const socket = bound(host, 6);
    const options = { destination: PEER[6], port: 1000 };
    socket.setOptions({ noChecksum: true, noChecksum6Receive: true });
    socket.send(text('with'), options);
    socket.setOptions({ noChecksum6Send: true });
    socket.send(text('without'), options);
    const [first, second] = host.sent();
    expect(first.checksum).to.not.equal(0);
    expect(second.checksum).to.equal(0);
  });

  it('leaves the checksum to a link that completes it', () => {
    const host = new Host({ port: { checksumOffload: true } });
    bound(host, 4).send(text('offload'), { destination: PEER[4], port: 1000 });
    expect(host.port.sent[0].state).to.equal(3);
    expect(isIntact(host.port.sent[0].packet)).to.equal(true);
  });

  it('gathers pieces', () => {
    const host = new Host();
    bound(host, 4).send([text('ga'), text(''), text('ther')], { destination: PEER[4], port: 1000 });
    expect(host.sent()[0].payload).to.equal('gather');
  });

  it('answers from a wildcard socket from where it was asked, or as routes have it [UDP-11, UDP-10]', () => {
    const host = new Host();
    host.ip.addAddress(1, '10.0.0.77/24');
    const socket = bound(host, 4);
    const question = makePacket({ protocol: 17, destination: 77, payload: '?' });
    host.inject(question);
    const datagram = socket.receive();
    expect(datagram?.destination.toString()).to.equal('10.0.0.77');
    const back = { destination: datagram?.source ?? PEER[4], port: datagram?.sourcePort ?? 0 };
    socket.send(text('!'), { ...back, source: datagram?.destination ?? OURS[4] });
    socket.send(text('!'), back);
    expect(host.sent().map(({ source }) => source)).to.deep.equal(['10.0.0.77', '10.0.0.2']);
    expect(codeOf(() => socket.send(text('!'), { ...back, source: address('10.0.0.78') }))).to.equal(
      'EADDRNOTAVAIL',
    );
    expect(codeOf(() => socket.send(text('!'), { ...back, source: OURS[6] }))).to.equal('EINVAL');
  });

  it('needs permission to send to broadcast addresses, of all and of a subnet [UDP-24, V4O-10]', () => {
    const host = new Host();
    const socket = bound(host, 4);
    const everybody = ['10.0.0.255', '255.255.255.255'].map((destination) => address(destination));
    for (const destination of everybody) {
      expect(codeOf(() => socket.send(text('all'), { destination, port: 9 }))).to.equal('EACCES');
      expect(codeOf(() => socket.connect(destination, 9))).to.equal('EACCES');
    }
    expect(host.port.sent).to.have.length(0);
    socket.setOptions({ broadcast: true });
    for (const destination of everybody) socket.send(text('all'), { destination, port: 9 });
    expect(host.sent().map(({ destination }) => destination)).to.deep.equal([
      '10.0.0.255',
      '255.255.255.255',
    ]);
    socket.setOptions({ broadcast: false });
    expect(codeOf(() => socket.send(text('all'), { destination: everybody[0], port: 9 }))).to.equal('EACCES');
  });

  it('gives what it sends to all also to the sockets here', () => {
    const host = new Host();
    const sender = host.udp.createEndpoint(4, { broadcast: true });
    const listener = bound(host, 4, 9);
    sender.send(text('all'), { destination: address('10.0.0.255'), port: 9 });
    expect(listener.receive()).to.include({ length: 3, sourcePort: sender.localPort });
  });

  it('cannot go where no route leads, and says so at once', () => {
    const host = new Host();
    host.ip.routing.routes.delete({ destination: '0.0.0.0/0' });
    const socket = bound(host, 4);
    const options = { destination: address('192.0.2.1'), port: 9 };
    expect(codeOf(() => socket.send(text('x'), options))).to.equal('ENETUNREACH');
    host.ip.routing.routes.add({ destination: '0.0.0.0/0', port: 1 });
    expect(socket.send(text('x'), options)).to.equal(true);
    host.ip.routing.routes.add({ destination: '192.0.2.1/32', type: 'unreachable' });
    expect(codeOf(() => socket.send(text('x'), options))).to.equal('EHOSTUNREACH');
    host.ip.routing.routes.add({ destination: '192.0.2.2/32', type: 'prohibit' });
    expect(codeOf(() => socket.send(text('x'), { ...options, destination: address('192.0.2.2') }))).to.equal(
      'EACCES',
    );
  });

  it('follows routes and chooses its source anew when they change, unless it is bound', () => {
    const host = new Host();
    const second = host.addPort(2, ['10.9.0.2/24']);
    const free = bound(host, 4);
    const fixed = host.udp.createEndpoint(4);
    fixed.bind(OURS[4], 2001);
    const options = { destination: address('192.0.2.1'), port: 9 };
    for (const socket of [free, fixed]) socket.send(text('x'), options);
    expect(host.sent().map(({ source }) => source)).to.deep.equal(['10.0.0.2', '10.0.0.2']);
    host.ip.routing.routes.add({ destination: '192.0.2.0/24', port: 2 });
    for (const socket of [free, fixed]) socket.send(text('x'), options);
    expect(host.sent(second).map(({ source }) => source)).to.deep.equal(['10.9.0.2', '10.0.0.2']);
    host.ip.removeAddress(1, '10.0.0.2');
    expect(codeOf(() => fixed.send(text('x'), options))).to.equal('EADDRNOTAVAIL');
    expect(free.send(text('x'), options)).to.equal(true);
  });

  it('waits for a full link and says when there is room', () => {
    const host = new Host();
    const socket = bound(host, 4);
    const options = { destination: PEER[4], port: 1000 };
    host.port.room = 1;
    expect(socket.send(text('first'), options)).to.equal(true);
    expect(socket.send(text('second'), options)).to.equal(false);
    expect(host.stats.udp.outDatagrams).to.equal(1);
    host.port.room = 5;
    expect(socket.takeEvents()).to.equal(0);
    host.udp.linkWritable();
    const told: number[] = [];
    socket.onEvents = (events) => told.push(events);
    host.udp.tell();
    expect(told).to.deep.equal([UdpEvent.WRITABLE]);
    host.udp.linkWritable();
    expect(host.udp.hasTouched).to.equal(false);
    expect(socket.send(text('second'), options)).to.equal(true);
  });

  it('needs a destination with a port, of a family it has', () => {
    const host = new Host();
    const socket4 = bound(host, 4);
    const socket6 = host.udp.createEndpoint(6, { v6Only: true });
    expect(codeOf(() => socket4.send(text('x')))).to.equal('EDESTADDRREQ');
    expect(codeOf(() => socket4.send(text('x'), { destination: PEER[4], port: 0 }))).to.equal('EINVAL');
    expect(codeOf(() => socket4.send(text('x'), { destination: PEER[4], port: 70_000 }))).to.equal(
      'ERR_INVALID_ARG_TYPE',
    );
    expect(codeOf(() => socket4.send(text('x'), { destination: PEER[6], port: 9 }))).to.equal('EAFNOSUPPORT');
    expect(codeOf(() => socket6.send(text('x'), { destination: PEER[4], port: 9 }))).to.equal('ENETUNREACH');
    const dual = host.udp.createEndpoint(6);
    dual.send(text('x'), { destination: PEER[4], port: 9 });
    dual.send(text('x'), { destination: PEER[6], port: 9 });
    expect(host.sent().map(({ source }) => source)).to.deep.equal(['10.0.0.2', 'fd00::2']);
  });

  it('sends nothing but bytes', () => {
    const host = new Host();
    const socket = bound(host, 4);
    const options = { destination: PEER[4], port: 1000 };
    for (const wrong of ['text', [1, 2], 5, {}, null, new Uint16Array(3), new DataView(new ArrayBuffer(4))]) {
      expect(() => socket.send(wrong as never, options)).to.throw('a datagram must be');
    }
    for (const segmentSize of [-1, 1.5, Number.NaN, '5']) {
      expect(() => socket.send(text('x'), { ...options, segmentSize } as never)).to.throw('segmentSize');
    }
    expect(host.port.sent).to.be.empty;
  });

  it('reaches sockets of this host through the loopback', () => {
    const host = new Host();
    bound(host, 4, 1000);
    const sender = host.udp.createEndpoint(4);
    sender.send(text('self'), { destination: OURS[4], port: 1000 });
    sender.send(text('self'), { destination: address('127.0.0.1'), port: 1000 });
    sender.send(text('self'), { destination: address('0.0.0.0'), port: 1000 });
    expect(host.port.sent).to.have.length(0);
    expect(host.sent(host.lo).map(({ source, destination }) => `${source} ${destination}`)).to.deep.equal([
      '10.0.0.2 10.0.0.2',
      '127.0.0.1 127.0.0.1',
      '127.0.0.1 127.0.0.1',
    ]);
  });
});

/** Makes a packet from us one to us. */
function swap(packet: Uint8Array): void {
  const [at, bytes] = packet[0] >> 4 === 4 ? [12, 4] : [8, 16];
  const source = packet.slice(at, at + bytes);
  packet.copyWithin(at, at + bytes, at + 2 * bytes);
  packet.set(source, at + bytes);
}

describe('UDP path MTU', () => {
  const MODES: MtuDiscovery[] = ['want', 'do', 'probe', 'dont'];

  /** What a mode makes of sizes, before and after ICMP has taught that 1400 is the most. */
  function outcome(version: 4 | 6, mode: MtuDiscovery, bytes: number, learnt: boolean): string {
    const host = new Host();
    const socket = bound(host, version);
    socket.setOptions({ mtuDiscovery: mode });
    const options = { destination: PEER[version], port: 1000 };
    if (learnt) {
      socket.send(pattern(1000), options);
      const quoted = host.port.sent.splice(0)[0].packet;
      if (version === 4) host.icmpError(3, 4, quoted, 1400);
      else host.icmpError(2, 0, quoted, 1400);
    }
    const headers = version === 4 ? 28 : 48;
    const code = codeOf(() => socket.send(pattern(bytes - headers), options));
    if (code !== '') return code;
    const packets = host.port.sent.map(({ packet }) => packet);
    const whole = packets.length === 1 ? 'whole' : `${packets.length} fragments`;
    return version === 4 && (packets[0][6] & 0x40) !== 0 ? `${whole} DF` : whole;
  }

  it('has the four modes over IPv4 [UDP-18, V4O-6, V4O-8]', () => {
    const table = MODES.map((mode) => [
      mode,
      outcome(4, mode, 1500, false),
      outcome(4, mode, 1501, false),
      outcome(4, mode, 1400, true),
      outcome(4, mode, 1401, true),
    ]);
    expect(table).to.deep.equal([
      ['want', 'whole DF', '2 fragments', 'whole DF', '2 fragments'],
      ['do', 'whole DF', 'EMSGSIZE', 'whole DF', 'EMSGSIZE'],
      ['probe', 'whole DF', 'EMSGSIZE', 'whole DF', 'whole DF'],
      ['dont', 'whole', '2 fragments', 'whole', '2 fragments'],
    ]);
  });

  it('has the four modes over IPv6 [UDP-18]', () => {
    const table = MODES.map((mode) => [
      mode,
      outcome(6, mode, 1500, false),
      outcome(6, mode, 1501, false),
      outcome(6, mode, 1400, true),
      outcome(6, mode, 1401, true),
    ]);
    expect(table).to.deep.equal([
      ['want', 'whole', '2 fragments', 'whole', '2 fragments'],
      ['do', 'whole', 'EMSGSIZE', 'whole', 'EMSGSIZE'],
      ['probe', 'whole', 'EMSGSIZE', 'whole', 'whole'],
      ['dont', 'whole', '2 fragments', 'whole', '2 fragments'],
    ]);
  });

  it('reports packet too big to a connected socket with its next call, once [UDP-18, V4O-8]', () => {
    for (const version of FAMILIES) {
      const host = new Host();
      const socket = bound(host, version);
      socket.setOptions({ mtuDiscovery: 'do', receiveErrors: true });
      socket.connect(PEER[version], 1000);
      socket.send(pattern(1400));
      const quoted = host.port.sent[0].packet;
      if (version === 4) host.icmpError(3, 4, quoted, 1300);
      else host.icmpError(2, 0, quoted, 1300);
      expect(socket.takeEvents() & UdpEvent.ERROR).to.equal(UdpEvent.ERROR);
      expect(codeOf(() => socket.send(pattern(10)))).to.equal('EMSGSIZE');
      expect(socket.takeErrorEntry()).to.include({
        code: 'EMSGSIZE',
        mtu: 1300,
        origin: version === 4 ? 'icmp' : 'icmp6',
      });
      expect(socket.send(pattern(10))).to.equal(true);
      expect(codeOf(() => socket.send(pattern(1300)))).to.equal('EMSGSIZE');
      expect(socket.takeErrorEntry()).to.include({ code: 'EMSGSIZE', mtu: 1300, origin: 'local' });
      expect(socket.takeErrorEntry()).to.equal(undefined);
    }
  });

  it('believes packet too big only when the quoted ports are those of a socket [IC4-16]', () => {
    for (const version of FAMILIES) {
      const host = new Host();
      const socket = bound(host, version);
      socket.setOptions({ mtuDiscovery: 'do' });
      const forged = makePacket({
        version,
        protocol: 17,
        source: 2,
        destination: 1,
        sourcePort: 2001,
        destinationPort: 1000,
      });
      if (version === 4) host.icmpError(3, 4, forged, 1300);
      else host.icmpError(2, 0, forged, 1300);
      expect(socket.send(pattern(1400), { destination: PEER[version], port: 1000 })).to.equal(true);
      expect(host.stats.icmp.inUnmatched).to.equal(1);
    }
  });
});

describe('UDP segmentation', () => {
  const SEGMENTED = { segmentSize: 100 };

  it('sends many datagrams by one call, each a whole one [UDP-23]', () => {
    for (const version of FAMILIES) {
      const host = new Host();
      const socket = bound(host, version);
      const data = pattern(350);
      expect(socket.send(data, { destination: PEER[version], port: 1000, ...SEGMENTED })).to.equal(true);
      const packets = host.port.sent.splice(0).map(({ packet }) => packet);
      const headers = version === 4 ? 28 : 48;
      expect(packets.map((packet) => packet.length - headers)).to.deep.equal([100, 100, 100, 50]);
      packets.forEach((packet, i) => {
        expect(packet.subarray(headers)).to.deep.equal(data.subarray(100 * i, 100 * i + 100));
        expect(isIntact(packet)).to.equal(true);
      });
      expect(host.stats.udp.outDatagrams).to.equal(4);
      socket.send([pattern(60), pattern(60)], { destination: PEER[version], port: 1000, ...SEGMENTED });
      expect(host.port.sent.map(({ packet }) => packet.length - headers)).to.deep.equal([100, 20]);
    }
  });

  it('hands a link that splits a super-packet, with all that the link needs [UDP-23]', () => {
    for (const version of FAMILIES) {
      const port = { maxPacketBytes: 65_535, checksumOffload: true, udpSegmentation: true };
      const host = new Host({ port });
      const socket = bound(host, version);
      const data = pattern(3000);
      socket.send(data, { destination: PEER[version], port: 1000, segmentSize: 1000 });
      expect(host.port.sent).to.have.length(1);
      const { packet, segmentSize, state } = host.port.sent[0];
      expect({ segmentSize, state }).to.deep.equal({ segmentSize: 1000, state: 3 });
      const headers = version === 4 ? 28 : 48;
      expect(packet.subarray(headers)).to.deep.equal(data);
      expect(host.stats.udp.outDatagrams).to.equal(3);
      // Without its checksum it cannot be split there.
      socket.setOptions({ noChecksum: true, noChecksum6Send: true });
      socket.send(data, { destination: PEER[version], port: 1000, segmentSize: 1000 });
      expect(host.port.sent.slice(1).map(({ segmentSize: size }) => size)).to.deep.equal([0, 0, 0]);
    }
  });

  it('splits by itself what the link would have to fragment, and sets DF as told', () => {
    const port = { maxPacketBytes: 65_535, checksumOffload: true, udpSegmentation: true };
    const host = new Host({ port });
    const socket = bound(host, 4);
    const options = { destination: PEER[4], port: 1000 };
    socket.send(pattern(3000), { ...options, segmentSize: 1472 });
    socket.setOptions({ mtuDiscovery: 'dont' });
    socket.send(pattern(3000), { ...options, segmentSize: 1472 });
    const whole = host.port.sent.splice(0);
    expect(whole.map(({ segmentSize, packet }) => [segmentSize, packet[6] & 0x40])).to.deep.equal([
      [1472, 0x40],
      [1472, 0],
    ]);
    socket.send(pattern(3000), { ...options, segmentSize: 1473 });
    expect(host.port.sent.map(({ segmentSize }) => segmentSize)).to.deep.equal([0, 0, 0, 0, 0]);
  });

  it('refuses segments that are too many or too large', () => {
    const host = new Host();
    const socket = bound(host, 4);
    socket.setOptions({ mtuDiscovery: 'do' });
    const options = { destination: PEER[4], port: 1000 };
    expect(codeOf(() => socket.send(pattern(1290), { ...options, segmentSize: 10 }))).to.equal('EINVAL');
    expect(codeOf(() => socket.send(pattern(4000), { ...options, segmentSize: 1473 }))).to.equal('EMSGSIZE');
    expect(codeOf(() => socket.send(pattern(65_508), { ...options, segmentSize: 1000 }))).to.equal(
      'EMSGSIZE',
    );
    expect(host.port.sent).to.have.length(0);
  });

  it('counts what a link that fills up on the way does not take', () => {
    const host = new Host();
    const socket = bound(host, 4);
    const options = { destination: PEER[4], port: 1000, ...SEGMENTED };
    host.port.room = 2;
    expect(socket.send(pattern(350), options)).to.equal(true);
    expect(host.stats.udp).to.include({ outDatagrams: 2, sndbufErrors: 2 });
    expect(socket.send(pattern(350), options)).to.equal(false);
    expect(host.stats.udp.sndbufErrors).to.equal(2);
  });
});
