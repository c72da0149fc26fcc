/**
 * Is an address of ours really only ours? Duplicate address detection (RFC 4862 §5.4) and its like for IPv4
 * (RFC 5227): ask before an address is used, announce it, defend it afterwards.
 */
import { type Alarm, type Clock, NEVER } from '../base/clock.js';
import { randomFraction } from '../base/random.js';
import { ANY_V6, type IpAddress } from '../wire/ip-address.js';
import { ArpOperation, NO_MAC, writeArp } from './arp-packet.js';
import { EtherType } from './frame.js';
import { BROADCAST_MAC, type MacAddress } from './mac-address.js';
import {
  ALL_NODES,
  NaFlag,
  neighborAdvertisement,
  neighborSolicitation,
  solicitedNode,
} from './nd-message.js';
import type { EthernetWire } from './wire.js';

/** How addresses are asked for, announced and defended. */
export interface DetectionOptions {
  /** Whether an IPv4 address is asked for before it is used; false by default, as on Linux: it is only announced. */
  readonly ipv4: boolean;
  /** Requests of RFC 5227 §2.1.1; 3 by default. */
  readonly ipv4Probes: number;
  /** Shortest and longest time between them, ms; 1000 and 2000 by default. */
  readonly ipv4ProbeMs: readonly [number, number];
  /** Longest random wait before the first, ms; 1000 by default. */
  readonly ipv4WaitMs: number;
  /** Between the last and the use of the address, ms; 2000 by default. */
  readonly ipv4AnnounceWaitMs: number;
  /** Announcements of an IPv4 address, two seconds apart; 2 by default, 0 for none. */
  readonly ipv4Announcements: number;
  /** Solicitations before an IPv6 address is used (RFC 4862 §5.1 DupAddrDetectTransmits); 1 by default, 0 for none. */
  readonly ipv6Probes: number;
}

export const DEFAULT_DETECTION: DetectionOptions = Object.freeze({
  ipv4: false,
  ipv4Probes: 3,
  ipv4ProbeMs: [1000, 2000] as const,
  ipv4WaitMs: 1000,
  ipv4AnnounceWaitMs: 2000,
  ipv4Announcements: 2,
  ipv6Probes: 1,
});

const ANNOUNCE_INTERVAL_US = 2_000_000;
/** RFC 5227 §2.4: an address is defended once in so long. */
const DEFEND_INTERVAL_US = 10_000_000;
/** RFC 4861 §10: between two solicitations of RFC 4862 §5.4.2. */
const RETRANS_US = 1_000_000;
/** RFC 4861 §10 MAX_RTR_SOLICITATION_DELAY: hosts that start together do not ask together. */
const MAX_DELAY_US = 1_000_000;

/** Somebody else has, or claims, an address of ours. */
export interface AddressConflict {
  /** The address. */
  readonly address: IpAddress;
  /** Who claims it; absent where only its question was heard. */
  readonly mac?: MacAddress;
  /** Whether we gave it up: it was never used, or its owner asked for that. */
  readonly isLost: boolean;
}

/** Hears who has an address that was asked for; undefined for nobody. */
type Answer = (mac: MacAddress | undefined) => void;

const Phase = { Probing: 0, Announcing: 1, Settled: 2 } as const;

interface Watched {
  readonly address: IpAddress;
  phase: (typeof Phase)[keyof typeof Phase];
  sent: number;
  deadlineUs: number;
  /** When it was defended last, µs. */
  defendedUs: number;
}

export class AddressDetection {
  onConflict: (conflict: AddressConflict) => void = () => {};
  readonly #wire: EthernetWire;
  readonly #options: DetectionOptions;
  readonly #clock: Clock;
  readonly #alarm: Alarm;
  readonly #watched: Watched[] = [];
  /** Addresses somebody only wants to know about: a server before it gives one away. */
  readonly #questions = new Map<number, { deadlineUs: number; answers: Answer[] }>();

  constructor(wire: EthernetWire, options: DetectionOptions) {
    this.#wire = wire;
    this.#options = options;
    this.#clock = wire.clock;
    this.#alarm = wire.clock.createAlarm(() => this.#ring());
  }

  /** An address is new. @returns whether it must not be used yet */
  added(address: IpAddress, probe: boolean | undefined): boolean {
    const isV4 = address.family === 4;
    const { ipv4, ipv4WaitMs, ipv6Probes } = this.#options;
    const probes = probe ?? (isV4 ? ipv4 : ipv6Probes > 0);
    const nowUs = this.#clock.nowUs();
    const most = isV4 ? ipv4WaitMs * 1000 : MAX_DELAY_US;
    const delayUs = probes ? randomFraction(this.#wire.random) * most : 0;
    const phase = probes ? Phase.Probing : Phase.Announcing;
    this.#watched.push({ address, phase, sent: 0, deadlineUs: nowUs + delayUs, defendedUs: -Infinity });
    this.#setAlarm();
    return probes;
  }

  removed(address: IpAddress): void {
    const at = this.#watched.findIndex((watched) => watched.address.equals(address));
    if (at >= 0) this.#watched.splice(at, 1);
  }

  /** Whether an address is ours and not yet known to be nobody else's. */
  isTentative(address: IpAddress): boolean {
    return this.#find(address)?.phase === Phase.Probing;
  }

  /** Asks once whether somebody has an IPv4 address; the answer follows within `waitMs`. */
  ask(address: IpAddress, waitMs: number, answer: Answer): void {
    const asked = this.#questions.get(address.w3);
    if (asked !== undefined) {
      asked.answers.push(answer);
      return;
    }
    const deadlineUs = this.#clock.nowUs() + waitMs * 1000;
    this.#questions.set(address.w3, { deadlineUs, answers: [answer] });
    this.#sendArpProbe(address);
    this.#setAlarm();
  }

  /** Somebody said by ARP that it has `sender`, or (0) asked for `target` as we do before we use it. */
  arpHeard(sender: number, mac: MacAddress, target: IpAddress): void {
    const own = this.#watched.filter(({ address }) => address.family === 4);
    for (const watched of own) {
      const { address, phase } = watched;
      if (sender === address.w3) this.#conflict(watched, mac);
      // RFC 5227 §2.1.1: two hosts that ask for the same address give it up both.
      else if (sender === 0 && phase === Phase.Probing && target.equals(address))
        this.#conflict(watched, mac);
    }
    const question = this.#questions.get(sender);
    if (sender === 0 || question === undefined) return;
    this.#questions.delete(sender);
    for (const answer of question.answers) answer(mac);
  }

  /** Somebody advertised an IPv6 address of ours (RFC 4862 §5.4.4), or asked for it from nowhere (§5.4.3). */
  ndHeard(address: IpAddress, mac: MacAddress | undefined, isQuestion: boolean): void {
    const watched = this.#find(address);
    if (watched === undefined) return;
    if (watched.phase === Phase.Probing) this.#conflict(watched, mac);
    else if (!isQuestion) this.#conflict(watched, mac);
  }

  close(): void {
    this.#watched.length = 0;
    this.#questions.clear();
    this.#alarm.clear();
  }

  ref(): void {
    this.#alarm.ref?.();
  }

  unref(): void {
    this.#alarm.unref?.();
  }

  #find(address: IpAddress): Watched | undefined {
    return this.#watched.find((watched) => watched.address.equals(address));
  }

  #conflict(watched: Watched, mac: MacAddress | undefined): void {
    const { address, phase } = watched;
    this.#wire.counters.addressConflicts++;
    const said = mac === undefined ? { address } : { address, mac };
    if (phase === Phase.Probing) {
      this.#wire.host?.removeAddress(address);
      this.onConflict({ ...said, isLost: true });
      return;
    }
    // RFC 5227 §2.4 (c): ours is defended, but not so often that two of the kind flood the link.
    const nowUs = this.#clock.nowUs();
    if (nowUs - watched.defendedUs >= DEFEND_INTERVAL_US) {
      watched.defendedUs = nowUs;
      this.#announce(address);
    }
    this.onConflict({ ...said, isLost: false });
  }

  #ring(): void {
    const nowUs = this.#clock.nowUs();
    const unanswered: Answer[] = [];
    for (const [word, { deadlineUs, answers }] of this.#questions) {
      if (deadlineUs > nowUs) continue;
      this.#questions.delete(word);
      unanswered.push(...answers);
    }
    const due = this.#watched.filter(({ deadlineUs }) => deadlineUs <= nowUs);
    for (const watched of due) if (this.#watched.includes(watched)) this.#due(watched, nowUs);
    this.#setAlarm();
    // Last, as they are of others, who may throw.
    for (const answer of unanswered) answer(undefined);
  }

  #due(watched: Watched, nowUs: number): void {
    if (watched.phase === Phase.Probing) this.#probe(watched, nowUs);
    else this.#announceNext(watched, nowUs);
  }

  #probe(watched: Watched, nowUs: number): void {
    const { address, sent } = watched;
    const { ipv4Probes, ipv4ProbeMs, ipv4AnnounceWaitMs, ipv6Probes } = this.#options;
    const isV4 = address.family === 4;
    const probes = isV4 ? ipv4Probes : Math.max(1, ipv6Probes);
    if (sent === probes) {
      watched.phase = Phase.Announcing;
      watched.sent = 0;
      watched.deadlineUs = nowUs;
      this.#wire.host?.settle(address);
      this.#announceNext(watched, nowUs);
      return;
    }
    watched.sent++;
    if (isV4) {
      this.#sendArpProbe(address);
      const [least, most] = ipv4ProbeMs;
      const gapMs = least + randomFraction(this.#wire.random) * (most - least);
      watched.deadlineUs = nowUs + 1000 * (watched.sent === probes ? ipv4AnnounceWaitMs : gapMs);
    } else {
      const destination = solicitedNode(address);
      this.#wire.sendNd(neighborSolicitation({ source: ANY_V6, destination }, address), destination);
      watched.deadlineUs = nowUs + RETRANS_US;
    }
  }

  #announceNext(watched: Watched, nowUs: number): void {
    const { address } = watched;
    const times = address.family === 4 ? this.#options.ipv4Announcements : 1;
    if (watched.sent < times) {
      watched.sent++;
      this.#announce(address);
    }
    const isDone = watched.sent >= times;
    watched.phase = isDone ? Phase.Settled : Phase.Announcing;
    watched.deadlineUs = isDone ? NEVER : nowUs + ANNOUNCE_INTERVAL_US;
  }

  /** RFC 5227 §2.3 for IPv4; RFC 4861 §7.2.6 and RFC 9131 §5 for IPv6. */
  #announce(address: IpAddress): void {
    const { mac } = this.#wire;
    if (address.family === 6) {
      const ends = { source: address, destination: ALL_NODES };
      this.#wire.sendNd(neighborAdvertisement(ends, address, NaFlag.Override, mac), ALL_NODES);
      return;
    }
    const fields = { operation: ArpOperation.Request, senderMac: mac, targetMac: NO_MAC };
    this.#sendArp(writeArp({ ...fields, senderIp: address.w3, targetIp: address.w3 }));
  }

  #sendArpProbe(address: IpAddress): void {
    const fields = { operation: ArpOperation.Request, senderMac: this.#wire.mac, targetMac: NO_MAC };
    this.#sendArp(writeArp({ ...fields, senderIp: 0, targetIp: address.w3 }));
  }

  #sendArp(packet: Uint8Array): void {
    this.#wire.counters.arpOut++;
    this.#wire.sendFrame(BROADCAST_MAC, EtherType.Arp, packet);
  }

  #setAlarm(): void {
    let earliest: number = NEVER;
    for (const { deadlineUs } of this.#watched) earliest = Math.min(earliest, deadlineUs);
    for (const { deadlineUs } of this.#questions.values()) earliest = Math.min(earliest, deadlineUs);
    if (earliest === NEVER) this.#alarm.clear();
    else this.#alarm.setAt(earliest);
  }
}
