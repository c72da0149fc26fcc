/** Echo requests to any address: answered, dropped, or decided on by somebody, then or later. */
import { expect } from 'chai';
import type { IcmpError } from '../../../lib/ip/interfaces.js';
import type { AnyEchoOptions, PingRequest } from '../../../lib/stack/any-echo.js';
import type { IcmpRejection } from '../../../lib/wire/icmp-rejection.js';
import { IpAddress } from '../../../lib/wire/ip-address.js';
import { bytes, CLIENT, ELSEWHERE, FARTHER, FlowWorld, GATEWAY, text } from '../udp/flow-world.js';

/** What came back for a client that pings. */
class Pinger {
  readonly replies: string[] = [];
  readonly errors: string[] = [];
  readonly #world: FlowWorld;

  constructor(world: FlowWorld) {
    this.#world = world;
    world.client.ip.echo.add(77, {
      reply: (packet, { sequence, dataAt, dataBytes }) => {
        const data = text(packet.bytes.subarray(dataAt, dataAt + dataBytes));
        this.replies.push(`${packet.source()} ${sequence} ${data.length > 40 ? data.length : data}`);
      },
      error: (error: IcmpError, sequence) =>
        this.errors.push(`${error.reporter.source()} ${sequence} ${error.type}/${error.code}`),
    });
  }

  ping(address: string, sequence = 1, payload = bytes('data')): void {
    const destination = IpAddress.parse(address);
    this.#world.client.ip.sendEchoRequest({ destination, identifier: 77, sequence, payload });
    this.#world.settle();
  }
}

const codeOf = (call: () => unknown): string => {
  try {
    call();
  } catch (error) {
    return (error as NodeJS.ErrnoException).code ?? String(error);
  }
  return '';
};

describe('echo requests to any address', () => {
  let world: FlowWorld;
  let pinger: Pinger;
  const requests: PingRequest[] = [];
  beforeEach(() => {
    world = new FlowWorld();
    pinger = new Pinger(world);
    requests.length = 0;
  });
  afterEach(() => world.close());
  const listen = (options: AnyEchoOptions = {}) =>
    world.gateway.listenAnyEcho(options, (request) => requests.push(request));

  for (const family of [4, 6] as const) {
    it(`are answered from the address they were sent to, IPv${family}`, () => {
      const listener = world.gateway.listenAnyEcho({});
      pinger.ping(ELSEWHERE[family]);
      pinger.ping(FARTHER[family], 2, new Uint8Array(4000));
      expect(pinger.replies).to.deep.equal([`${ELSEWHERE[family]} 1 data`, `${FARTHER[family]} 2 4000`]);
      expect(listener.counts).to.include({ requested: 2, answered: 2 });
    });

    it(`are handed over whatever a handler throws about others, IPv${family}`, () => {
      const listener = world.gateway.listenAnyEcho({ pendingMs: 5000 }, (request) => {
        requests.push(request);
        request.onCancel = () => {
          throw new Error('cancelled');
        };
        if (request.sequence === 1) throw new Error('asked');
      });
      for (const sequence of [1, 2, 3]) {
        const destination = IpAddress.parse(ELSEWHERE[family]);
        const ask = { destination, identifier: 77, sequence, payload: bytes('data') };
        world.client.ip.sendEchoRequest(ask);
      }
      expect(() => world.settle()).to.throw('asked');
      world.settle();
      expect(requests.map(({ sequence }) => sequence)).to.deep.equal([1, 2, 3]);
      for (let i = 0; i < 3; i++) expect(() => world.settle(6000), `request ${i}`).to.throw('cancelled');
      expect(listener.pending).to.equal(0);
      expect(listener.counts).to.include({ requested: 3, expired: 3 });
    });

    it(`are handed over, and answered later, IPv${family}`, () => {
      const listener = listen();
      pinger.ping(ELSEWHERE[family], 5, bytes('hello'));
      const [request] = requests;
      expect(request).to.include({
        sourceAddress: CLIENT[family],
        destinationAddress: ELSEWHERE[family],
        family,
        identifier: 77,
        sequence: 5,
        hopLimit: 64,
        link: 1,
        isPending: true,
      });
      expect(text(request.data)).to.equal('hello');
      expect(listener.pending).to.equal(1);
      world.settle(1000);
      expect(pinger.replies).to.deep.equal([]);
      request.reply();
      request.reply();
      world.settle();
      expect(pinger.replies).to.deep.equal([`${ELSEWHERE[family]} 5 hello`]);
      expect(request.isPending).to.equal(false);
      expect(listener.pending).to.equal(0);
      expect(listener.counts).to.include({ answered: 1 });
    });

    const reasons: [IcmpRejection, string, string][] = [
      ['net-unreachable', '3/0', '1/0'],
      ['host-unreachable', '3/1', '1/3'],
      ['port-unreachable', '3/3', '1/4'],
      ['prohibited', '3/13', '1/1'],
    ];
    for (const [reason, four, six] of reasons) {
      it(`are rejected with ${reason}, IPv${family}`, () => {
        const listener = listen();
        pinger.ping(ELSEWHERE[family], 3);
        requests[0].reject(reason);
        world.settle();
        expect(pinger.errors).to.deep.equal([`${ELSEWHERE[family]} 3 ${family === 4 ? four : six}`]);
        expect(listener.counts).to.include({ rejected: 1 });
      });
    }
  }

  it('are dropped on purpose, by rule or by whoever was asked', () => {
    const silent = world.gateway.listenAnyEcho({ respond: 'drop', destinations: ['192.0.2.0/24'] });
    const asked = listen();
    pinger.ping(ELSEWHERE[4]);
    pinger.ping(FARTHER[4]);
    requests[0].ignore();
    world.settle(20_000);
    expect([pinger.replies, pinger.errors]).to.deep.equal([[], []]);
    expect(silent.counts).to.include({ requested: 1, ignored: 1 });
    expect(asked.counts).to.include({ requested: 1, ignored: 1, expired: 0 });
  });

  it('are forgotten when nobody decides in time', () => {
    const listener = listen({ pendingMs: 500 });
    const cancels: string[] = [];
    pinger.ping(ELSEWHERE[4], 1);
    requests[0].onCancel = (reason) => cancels.push(reason);
    world.settle(300);
    pinger.ping(ELSEWHERE[4], 2);
    world.settle(200);
    expect(cancels).to.deep.equal(['expired']);
    expect(listener.pending).to.equal(1);
    requests[0].reply();
    requests[1].reply();
    world.settle();
    expect(pinger.replies).to.deep.equal([`${ELSEWHERE[4]} 2 data`]);
    world.settle(1000);
    expect(listener.counts).to.include({ expired: 1, answered: 1 });
  });

  it('wait in bounds of number and memory', () => {
    const few = listen({ maxPending: 2, destinations: ['192.0.2.0/24'] });
    const many = listen();
    for (let i = 0; i < 5; i++) pinger.ping(ELSEWHERE[4], i);
    expect(few.counts).to.include({ requested: 5, overflows: 3 });
    for (let i = 0; i < 70; i++) pinger.ping(FARTHER[4], i, new Uint8Array(65_000));
    expect(many.pending).to.equal(64);
    expect(many.counts.overflows).to.equal(6);
  });

  it('leave our own addresses to the stack, unless it does not answer', () => {
    const listener = world.gateway.listenAnyEcho({});
    pinger.ping(GATEWAY[4]);
    expect(pinger.replies).to.have.lengthOf(1);
    expect(listener.counts.requested).to.equal(0);
    const mute = new FlowWorld({}, { echoReplies: false });
    const other = new Pinger(mute);
    mute.gateway.listenAnyEcho({});
    other.ping(GATEWAY[4]);
    expect(other.replies).to.have.lengthOf(1);
    mute.close();
  });

  it('are nobody’s once the listener or the stack is closed', () => {
    const listener = listen();
    const cancels: string[] = [];
    pinger.ping(ELSEWHERE[4]);
    requests[0].onCancel = (reason) => cancels.push(reason);
    listener.close();
    listener.close();
    expect(cancels).to.deep.equal(['closed']);
    pinger.ping(ELSEWHERE[4]);
    expect(requests).to.have.lengthOf(1);
    listen();
    pinger.ping(ELSEWHERE[4]);
    requests[1].onCancel = (reason) => cancels.push(reason);
    world.gateway.close();
    expect(cancels).to.deep.equal(['closed', 'closed']);
    expect(codeOf(() => listen())).to.equal('ENETDOWN');
  });

  it('are asked for with options that can be', () => {
    const wrong: [object, string][] = [
      [{ respnd: 'drop' }, 'ERR_INVALID_ARG_VALUE'],
      [{ respond: 'maybe' }, 'ERR_INVALID_ARG_VALUE'],
      [{ ports: [7] }, 'ERR_INVALID_ARG_VALUE'],
      [{ maxPending: 0 }, 'ERR_OUT_OF_RANGE'],
      [{ pendingMs: '5' }, 'ERR_INVALID_ARG_TYPE'],
      [{ link: 5 }, 'ERR_OUT_OF_RANGE'],
    ];
    for (const [options, code] of wrong) expect(codeOf(() => listen(options))).to.equal(code);
    expect(codeOf(() => world.gateway.listenAnyEcho({}, 5 as never))).to.equal('ERR_INVALID_ARG_TYPE');
    for (let i = 0; i < 64; i++) listen();
    expect(codeOf(() => listen())).to.equal('ENOBUFS');
  });
});
