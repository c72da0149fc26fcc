/**
 * What the shards of a stack share, in one piece of shared memory: who lives, which ports are whose, which
 * connections are whose, and a ring of packets from each to each.
 */
import { ArgumentRangeError } from '../base/errors.js';
import type { Random } from '../base/random.js';
import { SharedRing } from '../base/shared-ring.js';
import { FlowTable } from './flow-table.js';
import { MIN_RING_BYTES, PacketRing } from './packet-ring.js';

/** As many as a mask of 32 bits has, without its sign. */
export const MAX_SHARDS = 31;
const PORTS = 65_536;
const MAX_FLOWS = 1 << 24;
const MAX_RING_BYTES = 1 << 26;

/** Words of the header. */
const Word = { SHARDS: 0, FLOWS: 1, RING_BYTES: 2, ALIVE: 3, KEYS: 4, TCP: 6, UDP: 8, ASLEEP: 16 } as const;
const HEADER_WORDS = 64;

/** First and last port of a range. */
export type PortRange = readonly [first: number, last: number];

/** What a board is made with. */
export interface BoardOptions {
  /** 1 .. 31. */
  readonly shards: number;
  /** Connections of all shards together that the table has room for, about; a power of two. */
  readonly flows?: number;
  /** Bytes of packets under way from one shard to one other; a power of two, 256 KiB at least. */
  readonly ringBytes?: number;
  /** Where the keys of the table come from. */
  readonly random: Random;
  /** The ephemeral ports of all shards together. */
  readonly tcpPorts: PortRange;
  readonly udpPorts: PortRange;
}

export const DEFAULT_FLOWS = 1 << 19;
export const DEFAULT_RING_BYTES = 1 << 20;

const isPowerOfTwo = (value: number): boolean =>
  Number.isInteger(value) && value > 0 && (value & (value - 1)) === 0;

const isPort = (value: number): boolean => Number.isInteger(value) && value >= 1 && value < PORTS;

/** The part of a range that is a shard's: they follow each other, none empty. */
export function portsOf(range: PortRange, shard: number, shards: number): PortRange {
  const [first, last] = range;
  const count = last - first + 1;
  const begin = (of: number): number => first + Math.floor((of * count) / shards);
  return [begin(shard), begin(shard + 1) - 1];
}

/** The shard whose part of a range a port is in; -1 outside. */
export function shardOfPort(range: PortRange, port: number, shards: number): number {
  const [first, last] = range;
  if (port < first || port > last) return -1;
  return Math.ceil(((port - first + 1) * shards) / (last - first + 1)) - 1;
}

export class Board {
  /** What the other shards are given. */
  readonly memory: SharedArrayBuffer;
  readonly shards: number;
  readonly flows: FlowTable;
  readonly tcpPorts: PortRange;
  readonly udpPorts: PortRange;
  readonly #header: Int32Array;
  readonly #tcpTaken: Int32Array;
  readonly #udpTaken: Int32Array;
  readonly #ringsAt: number;
  readonly #ringBytes: number;

  /** @throws ArgumentRangeError */
  static create(options: BoardOptions): Board {
    const { shards, flows = DEFAULT_FLOWS, ringBytes = DEFAULT_RING_BYTES, random } = options;
    if (!(Number.isInteger(shards) && shards >= 1 && shards <= MAX_SHARDS)) {
      throw new ArgumentRangeError(`shards must be 1 .. ${MAX_SHARDS}, not ${shards}`);
    }
    if (!isPowerOfTwo(flows) || flows < 1024 || flows > MAX_FLOWS) {
      throw new ArgumentRangeError(`flows must be a power of two, 1024 .. ${MAX_FLOWS}, not ${flows}`);
    }
    if (!isPowerOfTwo(ringBytes) || ringBytes < MIN_RING_BYTES || ringBytes > MAX_RING_BYTES) {
      throw new ArgumentRangeError(
        `ringBytes must be a power of two, ${MIN_RING_BYTES} .. ${MAX_RING_BYTES}, not ${ringBytes}`,
      );
    }
    for (const [first, last] of [options.tcpPorts, options.udpPorts]) {
      if (!isPort(first) || !isPort(last)) throw new ArgumentRangeError('ephemeral ports must be 1 .. 65535');
      if (last - first + 1 < shards)
        throw new ArgumentRangeError('each shard needs ephemeral ports of its own');
    }
    const words = HEADER_WORDS + 2 * PORTS + flows;
    const bytes = words * 4 + shards * shards * SharedRing.memoryBytes(ringBytes);
    const memory = new SharedArrayBuffer(bytes);
    const header = new Int32Array(memory, 0, HEADER_WORDS);
    header[Word.SHARDS] = shards;
    header[Word.FLOWS] = flows;
    header[Word.RING_BYTES] = ringBytes;
    header[Word.KEYS] = random.uint32();
    header[Word.KEYS + 1] = random.uint32();
    header.set(options.tcpPorts, Word.TCP);
    header.set(options.udpPorts, Word.UDP);
    return new Board(memory);
  }

  /** @param memory of a board that was created, here or in another thread */
  constructor(memory: SharedArrayBuffer) {
    const header = new Int32Array(memory, 0, HEADER_WORDS);
    this.memory = memory;
    this.#header = header;
    this.shards = header[Word.SHARDS];
    this.tcpPorts = [header[Word.TCP], header[Word.TCP + 1]];
    this.udpPorts = [header[Word.UDP], header[Word.UDP + 1]];
    this.#ringBytes = header[Word.RING_BYTES];
    const flows = header[Word.FLOWS];
    let at = HEADER_WORDS * 4;
    this.#tcpTaken = new Int32Array(memory, at, PORTS);
    this.#udpTaken = new Int32Array(memory, at + PORTS * 4, PORTS);
    at += 2 * PORTS * 4;
    let key: number = Word.KEYS;
    this.flows = new FlowTable(new Int32Array(memory, at, flows), { uint32: () => header[key++] });
    this.#ringsAt = at + flows * 4;
  }

  /** The ring from one shard to another. */
  ring(from: number, to: number): PacketRing {
    const { memory } = this;
    const ringBytes = this.#ringBytes;
    const at = this.#ringsAt + (from * this.shards + to) * SharedRing.memoryBytes(ringBytes);
    return new PacketRing(new SharedRing({ memory, at, ringBytes }));
  }

  // ---- who lives --------------------------------------------------------------------------------

  /** Shards that take what is handed to them, one bit each. */
  get alive(): number {
    return Atomics.load(this.#header, Word.ALIVE);
  }

  isAlive(shard: number): boolean {
    return (this.alive & (1 << shard)) !== 0;
  }

  /** A shard takes packets from now on. */
  arrived(shard: number): void {
    Atomics.or(this.#header, Word.ALIVE, 1 << shard);
  }

  /** A shard is gone: what it had is nobody's. */
  gone(shard: number): void {
    Atomics.and(this.#header, Word.ALIVE, ~(1 << shard));
    Atomics.store(this.#header, Word.ASLEEP + shard, 0);
    this.flows.removeAll(shard);
    for (let port = 0; port < PORTS; port++) {
      Atomics.and(this.#tcpTaken, port, ~(1 << shard));
      Atomics.and(this.#udpTaken, port, ~(1 << shard));
    }
    for (let from = 0; from < this.shards; from++) this.ring(from, shard).clear();
  }

  // ---- who sleeps -------------------------------------------------------------------------------

  /** A shard says that it must be woken for what comes from now on. It looks at its rings once more after that. */
  sleeps(shard: number): void {
    Atomics.store(this.#header, Word.ASLEEP + shard, 1);
  }

  /** Whether a shard slept; it is awake, or being woken, from now on. */
  rouse(shard: number): boolean {
    return Atomics.exchange(this.#header, Word.ASLEEP + shard, 0) === 1;
  }

  // ---- ports ------------------------------------------------------------------------------------

  /** Shards that listen on a port of TCP, or bind it, one bit each. */
  tcpShards(port: number): number {
    return Atomics.load(this.#tcpTaken, port);
  }

  setTcp(port: number, shard: number, isTaken: boolean): void {
    setBit(this.#tcpTaken, port, shard, isTaken);
  }

  /** Shards with a socket on a port of UDP. */
  udpShards(port: number): number {
    return Atomics.load(this.#udpTaken, port);
  }

  setUdp(port: number, shard: number, isTaken: boolean): void {
    setBit(this.#udpTaken, port, shard, isTaken);
  }
}

function setBit(masks: Int32Array, port: number, shard: number, value: boolean): void {
  if (value) Atomics.or(masks, port, 1 << shard);
  else Atomics.and(masks, port, ~(1 << shard));
}
