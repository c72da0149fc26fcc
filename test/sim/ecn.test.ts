/** Congestion that is marked instead of lost, and paths and peers that do not play by the rules: tcp.md ECN-12, robustness.md D10. */
import { expect } from 'chai';
import type { DirectionOptions } from '../../lib/link/emulation-options.js';
import { Simulation } from '../../lib/sim/simulation.js';
import type { Transfer } from '../../lib/sim/transfer.js';
import type { CongestionControl } from '../../lib/tcp/congestion/congestion-control.js';
import { NewReno } from '../../lib/tcp/congestion/new-reno.js';
import { registerCongestionControl } from '../../lib/tcp/congestion/registry.js';
import type { ConnectionInfo } from '../../lib/tcp/connection-info.js';
import type { EcnSetting } from '../../lib/tcp/ecn/negotiation.js';
import { TcpFlag } from '../../lib/wire/tcp.js';
import { ecnOf, flagsOf, isSyn, setEcn, setFlags, textBytesOf } from '../support/tampering.js';

const BYTES = 2_000_000;
/** 10 Mbit/s and 20 ms: 17 packets fill the path. */
const PATH = { rateBps: 10e6, delayMs: 10, queuePackets: 60 };
const MARKING = { ...PATH, ecnThresholdPackets: 15 };
const { CWR, ECE } = TcpFlag;

/** When a sender was told of congestion, and of how much of what. */
const signals: { kind: string; atUs: number }[] = [];
registerCongestionControl('noting-reno', (parameters) => {
  const reno = new NewReno(parameters);
  const onCongestion = reno.onCongestion.bind(reno);
  return Object.assign(reno as CongestionControl, {
    onCongestion(kind: 'loss' | 'ecn' | 'timeout', inFlightBytes: number, nowUs: number): void {
      signals.push({ kind, atUs: nowUs });
      onCongestion(kind, inFlightBytes, nowUs);
    },
  });
});

interface Outcome {
  readonly info: ConnectionInfo;
  readonly receiver: ConnectionInfo;
  readonly net: Simulation;
  readonly transfer: Transfer;
  /** Least window of the sender while it sent, segments. */
  readonly leastWindow: number;
  readonly seconds: number;
}

interface Setup {
  readonly up?: DirectionOptions;
  readonly down?: DirectionOptions;
  readonly ecn?: 'classic' | 'accurate' | 'none';
  readonly bytes?: number;
  readonly seed?: number;
  readonly limitS?: number;
}

const SETTINGS: Readonly<Record<string, readonly [EcnSetting, EcnSetting]>> = {
  none: ['off', 'off'],
  classic: ['request', 'accept'],
  accurate: ['request-accurate', 'accept-accurate'],
};

/** A transfer from client to server, which must be complete and right. */
function run({
  up = MARKING,
  down = PATH,
  ecn = 'classic',
  bytes = BYTES,
  seed = 1,
  limitS = 300,
}: Setup): Outcome {
  const [client, server] = SETTINGS[ecn];
  const net = new Simulation({
    seed,
    upstream: up,
    downstream: down,
    client: { tcp: { connection: { ecn: client, congestionControl: 'noting-reno' } } },
    server: { tcp: { connection: { ecn: server } } },
  });
  signals.length = 0;
  const transfer = net.start({ bytes });
  let leastWindow = Number.POSITIVE_INFINITY;
  let info = transfer.clientEndpoint.info;
  let receiver = info;
  for (let i = 0; i < limitS * 100 && !transfer.isOver; i++) {
    net.clock.runUntil(() => transfer.isOver, 10_000);
    if (transfer.receivedBytes === bytes) continue;
    info = transfer.clientEndpoint.info;
    receiver = transfer.serverEndpoint?.info ?? receiver;
    if (info.unsentBytes > 0) leastWindow = Math.min(leastWindow, info.cwndBytes / info.mssBytes);
  }
  expect(transfer.isOver, 'it ends').to.equal(true);
  expect(transfer.isIntact, 'every byte is right').to.equal(true);
  expect(transfer.receivedBytes).to.equal(bytes);
  const seconds = transfer.durationUs / 1e6;
  net.close();
  return { info, receiver, net, transfer, leastWindow, seconds };
}

/** Packets dropped or damaged nowhere, only looked at or changed. */
const passing = (path: DirectionOptions, change: (packet: Uint8Array) => void): DirectionOptions => ({
  ...path,
  dropIf: (packet) => {
    change(packet);
    return false;
  },
});

/** Marks ask for several reductions, and for no two within a round trip of at least 20 ms. */
function expectOneReductionPerRoundTrip(): void {
  const marks = signals.filter(({ kind }) => kind === 'ecn');
  expect(marks.length, 'reductions').to.be.above(1);
  for (let i = 1; i < marks.length; i++) {
    expect(marks[i].atUs - marks[i - 1].atUs, `reduction ${i}`).to.be.at.least(20_000);
  }
}

describe('a queue that marks', () => {
  for (const ecn of ['classic', 'accurate'] as const) {
    it(`is kept short without a loss, with ${ecn} ECN`, () => {
      const { info, receiver, net, seconds } = run({ ecn });
      expect(info).to.include({ ecn, retransmissions: 0 });
      expect(net.link?.outgoing.counters.queueDrops).to.equal(0);
      expect(net.link?.outgoing.counters.maxQueuePackets).to.be.below(60);
      expect(receiver.receivedMarks).to.be.above(0);
      expect(signals.every(({ kind }) => kind === 'ecn')).to.equal(true);
      expectOneReductionPerRoundTrip();
      // 2 MB at 10 Mbit/s take 1.7 s with all headers.
      expect(seconds).to.be.below(2.2);
    });
  }

  it('is fed back exactly, mark by mark, with accurate ECN', () => {
    const { info, receiver, net } = run({ ecn: 'accurate' });
    expect(receiver.receivedMarks).to.be.within(1, net.link?.outgoing.counters.marked ?? 0);
    expect(receiver.receivedMarks - info.deliveredMarks).to.be.within(0, 10);
    expect(info.deliveredEcn.ceBytes).to.be.at.most(receiver.receivedEcn.ceBytes);
    expect(receiver.receivedEcn.ceBytes).to.equal(receiver.receivedMarks * info.mssBytes);
  });

  it('and loses as well: what is lost is sent again, and everything arrives', () => {
    for (const ecn of ['classic', 'accurate'] as const) {
      const { info } = run({ ecn, up: { ...MARKING, loss: 0.01 }, down: { ...PATH, loss: 0.01 } });
      expect(info.retransmissions).to.be.above(0);
      expectOneReductionPerRoundTrip();
    }
  });
});

describe('feedback of marks', () => {
  it('is repeated by a receiver in every ACK until the sender has heard, to whose cost it may be [ECN-12]', () => {
    // Marks are made here, so that what the receiver saw is known when its ACKs come by.
    let number = 0;
    let isOwed = false;
    let echoes = 0;
    const up = passing({ ...PATH, queuePackets: 1000 }, (packet) => {
      if (textBytesOf(packet) === 0 || ecnOf(packet) === 0) return;
      number++;
      const cwr = (flagsOf(packet) & CWR) !== 0;
      arriving.push({ mark: number % 97 === 0, cwr, bytes: textBytesOf(packet) });
      if (number % 97 === 0) setEcn(packet, 3);
    });
    const arriving: { mark: boolean; cwr: boolean; bytes: number }[] = [];
    let seenBytes = 0;
    let first = 0;
    const down = passing(PATH, (packet) => {
      const view = new DataView(packet.buffer, packet.byteOffset, packet.length);
      const acked = view.getUint32(28);
      if (isSyn(packet)) {
        first = acked;
        return;
      }
      // Everything that has arrived by now has been acknowledged by this ACK or an earlier one.
      while (seenBytes < acked - first && arriving.length > 0) {
        const { mark, cwr, bytes } = arriving.shift() ?? { mark: false, cwr: false, bytes: 0 };
        if (cwr) isOwed = false;
        if (mark) isOwed = true;
        seenBytes += bytes;
      }
      const echoed = (flagsOf(packet) & ECE) !== 0;
      if (echoed) echoes++;
      expect(echoed, `ACK of byte ${seenBytes}`).to.equal(isOwed);
    });
    const { info } = run({ up, down, bytes: 600_000 });
    expect(info.ecn).to.equal('classic');
    expect(echoes).to.be.above(10);
  });

  it('that a cheat keeps back is made good by loss: the sender still slows down, and gets everything there [ECN-12]', () => {
    for (const ecn of ['classic', 'accurate'] as const) {
      const mask = TcpFlag.AE | CWR | ECE;
      let kept = 0;
      // The counter stands still, or ECE is never set; options go with it.
      const down = passing(PATH, (packet) => {
        if (isSyn(packet)) return;
        kept++;
        setFlags(packet, mask, ecn === 'accurate' ? TcpFlag.AE | ECE : 0);
        blankCounters(packet);
      });
      const { info, net } = run({ ecn, down });
      expect(kept).to.be.above(100);
      expect(info.ecn).to.equal(ecn);
      expect(net.link?.outgoing.counters.marked).to.be.above(0);
      expect(net.link?.outgoing.counters.queueDrops).to.be.above(0);
      const kinds = new Set(signals.map(({ kind }) => kind));
      expect(kinds.has('ecn')).to.equal(false);
      expect(kinds.has('loss')).to.equal(true);
    }
  });
});

/** Turns the option of accurate ECN into NOPs. */
function blankCounters(packet: Uint8Array): void {
  const view = new DataView(packet.buffer, packet.byteOffset, packet.length);
  const end = 20 + (packet[32] >> 4) * 4;
  for (let at = 40; at < end; ) {
    const kind = packet[at];
    if (kind === 0) return;
    const bytes = kind === 1 ? 1 : packet[at + 1];
    if (kind === 172 || kind === 174) {
      for (let i = at; i < at + bytes; i++) {
        const even = i & ~1;
        const before = view.getUint16(even);
        packet[i] = 1;
        const sum = ~view.getUint16(36) & 0xffff;
        const total = sum + (~before & 0xffff) + view.getUint16(even);
        const folded = (total & 0xffff) + (total >>> 16);
        view.setUint16(36, ~((folded & 0xffff) + (folded >>> 16)) & 0xffff);
      }
    }
    at += bytes;
  }
}

describe('a path', () => {
  it('that clears the ECN field is as good as one without ECN [D10]', () => {
    for (const ecn of ['classic', 'accurate'] as const) {
      const bleached = passing(MARKING, (packet) => setEcn(packet, 0));
      const { info, net, seconds } = run({
        ecn,
        up: bleached,
        down: passing(PATH, (packet) => setEcn(packet, 0)),
      });
      const plain = run({ ecn: 'none', up: MARKING });
      expect(net.link?.outgoing.counters.marked).to.equal(0);
      expect(info.deliveredMarks).to.equal(0);
      expect(seconds).to.be.below(1.2 * plain.seconds);
    }
  });

  it('that marks everything slows a sender down to a segment, at most once a round trip, and stops nothing [D10]', () => {
    const marking = passing(PATH, (packet) => {
      if (ecnOf(packet) !== 0) setEcn(packet, 3);
    });
    const classic = run({ up: marking, bytes: 60_000 });
    expect(classic.info).to.include({ ecn: 'classic', retransmissions: 0 });
    expect(classic.leastWindow).to.be.at.least(1);
    expect(signals.length).to.be.above(3);
    expectOneReductionPerRoundTrip();
    // With the accurate one it is found out, and the rest goes as if there was no ECN.
    const accurate = run({ up: marking, ecn: 'accurate' });
    expect(accurate.info).to.include({ ecn: 'accurate', ecnCapable: false, retransmissions: 0 });
    expect(accurate.leastWindow).to.be.at.least(1);
    expectOneReductionPerRoundTrip();
    expect(accurate.seconds).to.be.below(6);
  });

  it('that marks also what cannot be marked does no more [D10]', () => {
    for (const ecn of ['classic', 'accurate'] as const) {
      const all = passing(PATH, (packet) => setEcn(packet, 3));
      const { info } = run({ ecn, up: all, down: all, bytes: 100_000 });
      // The SYN arrived marked: no ECN, or nothing is sent that can be marked.
      expect(info.ecnCapable).to.equal(false);
      if (ecn === 'accurate') expectOneReductionPerRoundTrip();
      else expect(signals).to.deep.equal([]);
    }
  });

  it('or peer that sets ECE for ever slows a sender down, at most once a round trip, and stops nothing [D10]', () => {
    const stuck = passing(PATH, (packet) => {
      if (!isSyn(packet)) setFlags(packet, ECE, ECE);
    });
    const { info, leastWindow } = run({ down: stuck, bytes: 60_000 });
    expect(info).to.include({ ecn: 'classic', retransmissions: 0 });
    expect(leastWindow).to.be.at.least(1);
    expectOneReductionPerRoundTrip();
  });

  it('that swallows SYNs with ECN, or answers them with an RST, is passed without [D10]', () => {
    for (const ecn of ['classic', 'accurate'] as const) {
      const swallowing = {
        ...MARKING,
        dropIf: (packet: Uint8Array) => isSyn(packet) && (flagsOf(packet) & ECE) !== 0,
      };
      const { info, seconds } = run({ ecn, up: swallowing, bytes: 100_000 });
      expect(info).to.include({ ecn: 'none', ecnCapable: false });
      // The classic one is given up at the first time-out, the accurate one at the second.
      expect(seconds).to.be.within(ecn === 'classic' ? 1 : 3, ecn === 'classic' ? 1.5 : 3.5);
    }
  });

  it('that swallows ECN-capable packets is passed by what is sent again [D10]', () => {
    const swallowing = { ...PATH, dropIf: (packet: Uint8Array) => ecnOf(packet) !== 0 };
    for (const ecn of ['classic', 'accurate'] as const) {
      const { info } = run({ ecn, up: swallowing, bytes: 10_000 });
      expect(info.retransmissions).to.be.above(0);
    }
  });
});
