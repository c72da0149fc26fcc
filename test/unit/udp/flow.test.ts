/** UDP flows to any address: questions, decisions, answers, and how flows end. */
import { expect } from 'chai';
import { DropReason } from '../../../lib/base/stats.js';
import type { FlowError } from '../../../lib/udp/flow-entry.js';
import type { IcmpRejection } from '../../../lib/wire/icmp-rejection.js';
import { IpAddress } from '../../../lib/wire/ip-address.js';
import { bytes, CLIENT, ELSEWHERE, FARTHER, FlowWorld, GATEWAY, text } from './flow-world.js';

const codeOf = (call: () => unknown): string => {
  try {
    call();
  } catch (error) {
    return (error as NodeJS.ErrnoException).code ?? String(error);
  }
  return '';
};

const addressOf = IpAddress.parse;

describe('UDP flows to any address', () => {
  let world: FlowWorld;
  beforeEach(() => {
    world = new FlowWorld();
  });
  afterEach(() => world.close());

  it('hear what is left for them where one of their owners has thrown', () => {
    world.listen();
    const [first, second] = [world.socket(), world.socket()];
    for (const words of ['a', 'b', 'c']) first.send(words, ELSEWHERE[4], 53);
    for (const words of ['d', 'e']) second.send(words, ELSEWHERE[4], 53);
    const flows = world.requests.map((request) => request.accept());
    const heard: string[] = [];
    for (const flow of flows) {
      flow.onDatagram = (data) => {
        if (heard.push(text(data)) === 1) throw new Error('a mistake of its own');
      };
    }
    expect(() => world.settle()).to.throw('a mistake of its own');
    world.settle();
    expect(heard.sort()).to.deep.equal(['a', 'b', 'c', 'd', 'e']);
    first.send('f', ELSEWHERE[4], 53);
    expect(heard.pop()).to.equal('f');
    expect(world.gateway.udp.memoryBytes).to.equal(0);
  });

  for (const family of [4, 6] as const) {
    it(`are asked about with both ends, and answered from where they sent to, IPv${family}`, () => {
      const listener = world.listen();
      const { flows, heard } = world.acceptAll();
      const socket = world.socket(family);
      socket.send('question', ELSEWHERE[family], 53);
      const { sourceAddress, sourcePort, destinationAddress, destinationPort, link } = world.requests[0];
      expect([sourceAddress, sourcePort]).to.deep.equal([CLIENT[family], socket.endpoint.localPort]);
      expect([destinationAddress, destinationPort, link]).to.deep.equal([ELSEWHERE[family], 53, 1]);
      expect(heard).to.deep.equal([{ data: 'question', to: `${ELSEWHERE[family]}:53` }]);
      expect(flows[0].send(bytes('answer'), ELSEWHERE[family], 53)).to.equal(true);
      world.settle();
      expect(socket.received()).to.deep.equal([`answer@${ELSEWHERE[family]}:53`]);
      expect(listener.counts).to.include({ requested: 1, accepted: 1, flows: 1, pending: 0 });
    });

    it(`are answered from any address while they are full cones, IPv${family}`, () => {
      world.listen();
      const { flows, heard } = world.acceptAll();
      const socket = world.socket(family);
      socket.send('one', ELSEWHERE[family], 1000);
      socket.send('two', FARTHER[family], 2000);
      expect(world.requests).to.have.lengthOf(1);
      expect(heard.map(({ to }) => to)).to.deep.equal([
        `${ELSEWHERE[family]}:1000`,
        `${FARTHER[family]}:2000`,
      ]);
      flows[0].send(bytes('hello'), family === 4 ? '203.0.113.1' : '2001:db8::1', 7);
      world.settle();
      expect(socket.received()).to.deep.equal([`hello@${family === 4 ? '203.0.113.1' : '2001:db8::1'}:7`]);
    });

    it(`are one for each pair while they are symmetric, and answered only from there, IPv${family}`, () => {
      const listener = world.listen({ cone: 'symmetric' });
      const { flows } = world.acceptAll();
      const socket = world.socket(family);
      socket.send('one', ELSEWHERE[family], 1000);
      socket.send('two', ELSEWHERE[family], 1001);
      socket.send('three', FARTHER[family], 1000);
      socket.send('four', ELSEWHERE[family], 1000);
      expect(flows).to.have.lengthOf(3);
      expect(flows[0].received).to.equal(2);
      expect(flows[0].send(bytes('a'), FARTHER[family], 1000)).to.equal(false);
      expect(flows[0].send(bytes('b'), ELSEWHERE[family], 1001)).to.equal(false);
      expect(flows[0].send(bytes('c'), ELSEWHERE[family], 1000)).to.equal(true);
      world.settle();
      expect(socket.received()).to.deep.equal([`c@${ELSEWHERE[family]}:1000`]);
      expect(listener.counts).to.include({ unsolicited: 2, accepted: 3, flows: 3 });
    });

    const codes: [IcmpRejection, string][] = [
      ['net-unreachable', 'ENETUNREACH'],
      ['host-unreachable', 'EHOSTUNREACH'],
      ['port-unreachable', 'ECONNREFUSED'],
      ['prohibited', family === 4 ? 'EHOSTUNREACH' : 'EACCES'],
    ];
    for (const [reason, code] of codes) {
      it(`are rejected with ${reason}, which their socket hears as ${code}, IPv${family}`, () => {
        const listener = world.listen();
        world.decide = (request) => request.reject(reason);
        const socket = world.socket(family, { receiveErrors: true });
        socket.send('question', ELSEWHERE[family], 53);
        const entry = socket.endpoint.takeErrorEntry();
        expect(entry).to.include({ code, destinationPort: 53 });
        expect(String(entry?.reporter)).to.equal(ELSEWHERE[family]);
        expect(listener.counts).to.include({ rejected: 1, pending: 0, flows: 0 });
      });
    }
  }

  it('wait for a decision, and are then heard in order', () => {
    world.listen();
    const socket = world.socket();
    for (const words of ['a', 'b', 'c']) socket.send(words, ELSEWHERE[4], 53);
    expect(world.requests).to.have.lengthOf(1);
    const heard: string[] = [];
    const flow = world.requests[0].accept();
    expect(heard).to.deep.equal([]);
    flow.onDatagram = (data) => heard.push(text(data));
    expect(heard, 'not within the call').to.deep.equal([]);
    world.settle();
    expect(heard).to.deep.equal(['a', 'b', 'c']);
    socket.send('d', ELSEWHERE[4], 53);
    expect(heard).to.deep.equal(['a', 'b', 'c', 'd']);
    expect(world.gateway.udp.memoryBytes).to.equal(0);
  });

  it('are heard in order though a reader comes while more arrives', () => {
    world.listen();
    const socket = world.socket();
    const other = world.socket();
    socket.send('a', ELSEWHERE[4], 53);
    const heard: string[] = [];
    // The question about the second flow answers the first, in the same turn that brings more of it.
    world.decide = () => {
      world.requests[0].accept().onDatagram = (data) => heard.push(text(data));
    };
    const destination = addressOf(ELSEWHERE[4]);
    socket.endpoint.send(bytes('b'), { port: 53, destination });
    other.endpoint.send(bytes('x'), { port: 53, destination });
    socket.endpoint.send(bytes('c'), { port: 53, destination });
    world.settle();
    expect(heard).to.deep.equal(['a', 'b', 'c']);
  });

  it('keep no more than 32 datagrams, or 64 KiB, for who decides late', () => {
    const listener = world.listen();
    const socket = world.socket();
    for (let i = 0; i < 40; i++) socket.send(String(i), ELSEWHERE[4], 53);
    expect(listener.counts.dropped).to.equal(8);
    const big = world.socket();
    for (let i = 0; i < 3; i++) big.send(new Uint8Array(40_000), ELSEWHERE[4], 53);
    expect(listener.counts.dropped).to.equal(10);
    const heard: string[] = [];
    world.requests[0].accept().onDatagram = (data) => heard.push(text(data));
    world.settle();
    expect(heard).to.have.lengthOf(32);
    world.requests[1].ignore();
    expect(world.gateway.udp.memoryBytes).to.equal(0);
    expect(world.gateway.stats.drops.count(DropReason.UdpFlowRefused)).to.equal(11);
  });

  it('are not asked about again for five seconds once refused, but for another destination', () => {
    const listener = world.listen();
    world.decide = (request) => request.reject('port-unreachable');
    const socket = world.socket(4, { receiveErrors: true });
    const errors = (): number => {
      let count = 0;
      while (socket.endpoint.takeErrorEntry() !== undefined) count++;
      socket.endpoint.takeError();
      return count;
    };
    socket.send('a', ELSEWHERE[4], 53);
    socket.endpoint.takeError();
    socket.send('b', ELSEWHERE[4], 53);
    expect(errors(), 'answered all the same').to.equal(2);
    expect(world.requests).to.have.lengthOf(1);
    socket.send('c', ELSEWHERE[4], 54);
    socket.endpoint.takeError();
    socket.send('d', FARTHER[4], 54);
    socket.endpoint.takeError();
    expect(world.requests).to.have.lengthOf(3);
    world.settle(5_000);
    socket.send('e', FARTHER[4], 54);
    expect(world.requests).to.have.lengthOf(4);
    expect(listener.counts).to.include({ rejected: 4, dropped: 5, pending: 0 });
  });

  it('are ignored without a word', () => {
    const listener = world.listen();
    world.decide = (request) => request.ignore();
    const socket = world.socket(4, { receiveErrors: true });
    socket.send('a', ELSEWHERE[4], 53);
    socket.send('b', ELSEWHERE[4], 53);
    expect(socket.endpoint.takeErrorEntry()).to.equal(undefined);
    expect(world.requests).to.have.lengthOf(1);
    expect(listener.counts).to.include({ ignored: 1, dropped: 2 });
  });

  it('end two minutes after the last datagram from inside, whatever is answered', () => {
    const listener = world.listen();
    const { flows } = world.acceptAll();
    const ends: string[] = [];
    const socket = world.socket();
    socket.send('a', ELSEWHERE[4], 53);
    flows[0].onClose = (reason) => ends.push(reason);
    world.settle(119_000);
    socket.send('b', ELSEWHERE[4], 53);
    world.settle(119_900);
    flows[0].send(bytes('answer'), ELSEWHERE[4], 53);
    expect(ends).to.deep.equal([]);
    world.settle(200);
    expect(ends).to.deep.equal(['idle']);
    expect(flows[0].isClosed).to.equal(true);
    expect(flows[0].send(bytes('late'), ELSEWHERE[4], 53)).to.equal(false);
    expect(listener.counts).to.include({ idle: 1, flows: 0 });
    socket.received();
    socket.send('c', ELSEWHERE[4], 53);
    expect(world.requests, 'a new flow').to.have.lengthOf(2);
  });

  it('are kept alive by answers where that is asked for', () => {
    world.listen({ refreshInbound: true, idleMs: 1000 });
    const { flows } = world.acceptAll();
    const socket = world.socket();
    socket.send('a', ELSEWHERE[4], 53);
    world.settle(900);
    flows[0].send(bytes('answer'), ELSEWHERE[4], 53);
    world.settle(900);
    expect(flows[0].isClosed).to.equal(false);
    world.settle(101);
    expect(flows[0].isClosed).to.equal(true);
  });

  it('are forgotten when nobody decides', () => {
    const listener = world.listen({ pendingMs: 500 });
    const cancels: string[] = [];
    world.decide = (request) => {
      request.onCancel = (reason) => cancels.push(reason);
    };
    const socket = world.socket();
    socket.send('a', ELSEWHERE[4], 53);
    world.settle(500);
    expect(cancels).to.deep.equal(['expired']);
    expect(world.requests[0].isPending).to.equal(false);
    expect(codeOf(() => world.requests[0].accept())).to.equal('ECONNABORTED');
    world.requests[0].reject();
    world.requests[0].ignore();
    expect(listener.counts).to.include({ expired: 1, pending: 0, rejected: 0, ignored: 0, dropped: 1 });
    expect(world.gateway.udp.memoryBytes).to.equal(0);
  });

  it('find room where others were refused: what is remembered of those is no flow', () => {
    const listener = world.listen({ maxFlows: 3 });
    world.decide = (request) => {
      if (request.destinationPort === 9) request.reject();
      else request.accept();
    };
    for (let i = 0; i < 10; i++) world.socket().send('x', ELSEWHERE[4], 9);
    expect(listener.counts).to.include({ requested: 10, rejected: 10, overflows: 0 });
    for (let i = 0; i < 4; i++) world.socket().send('x', ELSEWHERE[4], 53);
    expect(listener.counts).to.include({ accepted: 3, overflows: 1, flows: 3 });
    world.clock.advanceBy(10e6);
    expect(listener.flows).to.equal(3);
  });

  it('are refused beyond maxFlows and maxPending, and counted', () => {
    const listener = world.listen({ maxFlows: 3, maxPending: 2 });
    for (let i = 0; i < 3; i++) world.socket().send('x', ELSEWHERE[4], 53);
    expect(listener.counts).to.include({ requested: 2, overflows: 1 });
    for (const request of world.requests) request.accept();
    for (let i = 0; i < 3; i++) world.socket().send('x', ELSEWHERE[4], 53);
    expect(listener.counts).to.include({ requested: 3, overflows: 3 });
    expect(world.gateway.stats.drops.count(DropReason.UdpFlowLimit)).to.equal(3);
  });

  it('leave to sockets what is for sockets, and to nobody what is for none', () => {
    world.listen();
    const { heard } = world.acceptAll();
    const own = world.gateway.openUdp(4);
    own.bind(undefined, 53);
    const socket = world.socket();
    socket.send('to the socket', GATEWAY[4], 53);
    socket.send('to no socket', GATEWAY[4], 54);
    socket.send('elsewhere', ELSEWHERE[4], 53);
    expect(text(own.receive()?.payload ?? bytes(''))).to.equal('to the socket');
    expect(heard.map(({ data }) => data)).to.deep.equal(['to no socket', 'elsewhere']);
  });

  it('leave our own addresses alone where that is asked for', () => {
    world.listen({ ownAddresses: false });
    const { heard } = world.acceptAll();
    const socket = world.socket(4, { receiveErrors: true });
    socket.send('ours', GATEWAY[4], 54);
    expect(socket.endpoint.takeErrorEntry()).to.include({ code: 'ECONNREFUSED' });
    socket.endpoint.takeError();
    socket.send('elsewhere', ELSEWHERE[4], 54);
    expect(heard.map(({ data }) => data)).to.deep.equal(['elsewhere']);
  });

  it('pass the filter of their listener, the first that fits', () => {
    const { drops } = world.gateway.stats;
    const dns = world.listen({ ports: [53, [5300, 5399]] });
    const rest = world.listen({ destinations: ['192.0.2.0/24', '2001:db8:7::/48'], sources: ['10.0.0.0/8'] });
    const socket = world.socket();
    socket.send('a', FARTHER[4], 53);
    socket.send('b', FARTHER[4], 5399);
    socket.send('c', ELSEWHERE[4], 80);
    socket.send('d', FARTHER[4], 80);
    expect([dns.counts.requested, rest.counts.requested]).to.deep.equal([1, 1]);
    expect(drops.count(DropReason.IpNotForUs)).to.equal(1);
    world.socket(6).send('e', ELSEWHERE[6], 80);
    expect(drops.count(DropReason.IpNotForUs), 'from no such network').to.equal(2);
  });

  it('are none of ours without a listener', () => {
    const { drops } = world.gateway.stats;
    const listener = world.listen();
    const { flows } = world.acceptAll();
    const ends: string[] = [];
    const socket = world.socket();
    socket.send('a', ELSEWHERE[4], 53);
    flows[0].onClose = (reason) => ends.push(reason);
    listener.close();
    listener.close();
    expect(ends).to.deep.equal(['listener']);
    expect(listener.isClosed).to.equal(true);
    socket.send('b', ELSEWHERE[4], 53);
    expect(drops.count(DropReason.IpNotForUs)).to.equal(1);
    expect(listener.counts).to.include({ flows: 0, pending: 0 });
  });

  it('end with the stack, decided on or not', () => {
    world.listen();
    const ends: string[] = [];
    world.socket().send('a', ELSEWHERE[4], 53);
    world.socket().send('b', ELSEWHERE[4], 53);
    world.requests[0].accept().onClose = (reason) => ends.push(reason);
    world.requests[1].onCancel = (reason) => ends.push(reason);
    world.gateway.close();
    expect(ends.sort()).to.deep.equal(['closed', 'stack']);
    expect(codeOf(() => world.gateway.listenAnyUdp({}, () => {}))).to.equal('ENETDOWN');
  });

  it('end when their owner closes them; the next datagram begins another', () => {
    const listener = world.listen();
    const { flows } = world.acceptAll();
    const ends: string[] = [];
    const socket = world.socket();
    socket.send('a', ELSEWHERE[4], 53);
    flows[0].onClose = (reason) => ends.push(reason);
    flows[0].close();
    flows[0].close();
    expect(ends).to.deep.equal(['closed']);
    expect(flows[0].send(bytes('x'), ELSEWHERE[4], 53)).to.equal(false);
    expect(listener.counts.unsent).to.equal(1);
    socket.send('b', ELSEWHERE[4], 53);
    expect(flows).to.have.lengthOf(2);
  });
});

describe('UDP flows: sizes and errors', () => {
  let world: FlowWorld;
  afterEach(() => world.close());

  for (const family of [4, 6] as const) {
    it(`carry fragmented datagrams both ways, IPv${family}`, () => {
      world = new FlowWorld();
      world.listen();
      let arrived = 0;
      world.decide = (request) => {
        const flow = request.accept();
        flow.onDatagram = (data, address, port) => {
          arrived = data.length;
          flow.send(data, address, port);
        };
      };
      const socket = world.socket(family);
      const data = Uint8Array.from({ length: 9000 }, (_, i) => i * 7);
      socket.send(data, ELSEWHERE[family], 9);
      expect(arrived).to.equal(9000);
      const back = socket.endpoint.receive();
      expect(back?.payload).to.deep.equal(data);
      expect(String(back?.source)).to.equal(ELSEWHERE[family]);
    });

    it(`hear that nobody has the port any more, IPv${family}`, () => {
      world = new FlowWorld();
      world.listen();
      const { flows } = world.acceptAll();
      const errors: FlowError[] = [];
      const socket = world.socket(family);
      socket.send('a', ELSEWHERE[family], 53);
      flows[0].onError = (error) => errors.push(error);
      socket.endpoint.close();
      flows[0].send(bytes('answer'), ELSEWHERE[family], 53);
      world.settle();
      expect(errors).to.deep.equal([{ code: 'ECONNREFUSED', mtu: 0, address: ELSEWHERE[family], port: 53 }]);
      expect(flows[0].isClosed).to.equal(false);
    });

    it(`tell the inside that a destination does not answer, IPv${family}`, () => {
      world = new FlowWorld();
      world.listen();
      const { flows } = world.acceptAll();
      const socket = world.socket(family, { receiveErrors: true });
      socket.send('a', ELSEWHERE[family], 53);
      flows[0].reject('port-unreachable');
      world.settle();
      const first = socket.endpoint.takeErrorEntry();
      expect(first).to.include({ code: 'ECONNREFUSED', destinationPort: 53 });
      expect(String(first?.destination)).to.equal(ELSEWHERE[family]);
      flows[0].reject('host-unreachable', FARTHER[family], 99);
      world.settle();
      const second = socket.endpoint.takeErrorEntry();
      expect(second).to.include({ code: 'EHOSTUNREACH', destinationPort: 99 });
      expect(String(second?.destination)).to.equal(FARTHER[family]);
      expect(flows[0].isClosed).to.equal(false);
    });
  }

  it('take super-packets apart, and send them where the link takes them', () => {
    world = new FlowWorld({ checksumOffload: true, segmentation: true, udpSegmentation: true });
    world.listen();
    const sizes: number[] = [];
    world.decide = (request) => {
      const flow = request.accept();
      flow.onDatagram = (data, address, port) => {
        sizes.push(data.length);
        if (sizes.length === 6) flow.send(new Uint8Array(5500), address, port, 1000);
      };
    };
    const socket = world.socket();
    socket.endpoint.connect(addressOf(ELSEWHERE[4]), 9);
    socket.endpoint.send(new Uint8Array(5500), { segmentSize: 1000 });
    world.settle();
    expect(sizes).to.deep.equal([1000, 1000, 1000, 1000, 1000, 500]);
    const back: number[] = [];
    for (let got = socket.endpoint.receive(); got !== undefined; got = socket.endpoint.receive())
      back.push(got.length);
    expect(back).to.deep.equal(sizes);
    expect(world.gateway.stats.ip.outRequests).to.equal(1);
  });

  it('refuse what can be no answer', () => {
    world = new FlowWorld();
    const listener = world.listen();
    const { flows } = world.acceptAll();
    world.socket().send('a', ELSEWHERE[4], 53);
    const [flow] = flows;
    const data = bytes('x');
    for (const from of ['224.0.0.1', '0.0.0.0', '255.255.255.255', '127.0.0.1', '2001:db8::1'])
      expect(flow.send(data, from, 53), from).to.equal(false);
    expect(flow.send(data, ELSEWHERE[4], 0)).to.equal(false);
    expect(flow.send(new Uint8Array(65_508), ELSEWHERE[4], 53)).to.equal(false);
    expect(
      flow.send(new Uint8Array(200), ELSEWHERE[4], 53, 1),
      'more segments than one call may have',
    ).to.equal(false);
    expect(listener.counts.unsent).to.equal(8);
    expect(codeOf(() => flow.send('x' as unknown as Uint8Array, ELSEWHERE[4], 53))).to.equal(
      'ERR_INVALID_ARG_TYPE',
    );
    expect(codeOf(() => flow.send(data, 'nowhere', 53))).to.equal('ERR_INVALID_ARG_VALUE');
    expect(codeOf(() => flow.send(data, ELSEWHERE[4], 65_536))).to.equal('ERR_OUT_OF_RANGE');
    expect(codeOf(() => flow.send(data, ELSEWHERE[4], 1, -1))).to.equal('ERR_OUT_OF_RANGE');
    expect(codeOf(() => flow.reject('never' as IcmpRejection))).to.equal('ERR_INVALID_ARG_VALUE');
    expect(codeOf(() => (flow.onDatagram = 5 as never))).to.equal('ERR_INVALID_ARG_TYPE');
  });

  it('are asked for with options that can be', () => {
    world = new FlowWorld();
    const wrong: [object, string][] = [
      [{ cone: 'wide' }, 'ERR_INVALID_ARG_VALUE'],
      [{ idleMs: 0 }, 'ERR_OUT_OF_RANGE'],
      [{ maxFlows: '1' }, 'ERR_INVALID_ARG_TYPE'],
      [{ refreshInbound: 1 }, 'ERR_INVALID_ARG_TYPE'],
      [{ ports: [] }, 'ERR_INVALID_ARG_VALUE'],
      [{ ports: [[2, 1]] }, 'ERR_OUT_OF_RANGE'],
      [{ ports: [[1]] }, 'ERR_INVALID_ARG_TYPE'],
      [{ ports: [70_000] }, 'ERR_OUT_OF_RANGE'],
      [{ destinations: ['10.0.0.0/33'] }, 'ERR_INVALID_ARG_VALUE'],
      [{ sources: '10.0.0.0/8' }, 'ERR_INVALID_ARG_TYPE'],
      [{ link: 9 }, 'ERR_OUT_OF_RANGE'],
    ];
    for (const [options, code] of wrong) {
      expect(
        codeOf(() => world.listen(options)),
        JSON.stringify(options),
      ).to.equal(code);
    }
    expect(() => world.listen({ idleMS: 5 } as object)).to.throw('unknown option "idleMS"');
    expect(codeOf(() => world.gateway.listenAnyUdp({}, 5 as never))).to.equal('ERR_INVALID_ARG_TYPE');
    for (let i = 0; i < 64; i++) world.listen();
    expect(codeOf(() => world.listen())).to.equal('ENOBUFS');
  });
});
