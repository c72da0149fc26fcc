/** How a shard gives packets to its neighbours: into a ring in shared memory, and a call where they sleep. */
import type { IpPacket } from '../wire/ip-packet.js';
import type { Board } from './board.js';
import type { PacketRing } from './packet-ring.js';

/** What passed between one shard and its neighbours. */
export interface ShardStats {
  /** Packets handed to a neighbour, copies not counted. */
  handedOver: number;
  /** Copies of packets that are for several: multicast, answers whose asker is unknown, errors about flows. */
  copied: number;
  /** Packets taken from neighbours. */
  takenOver: number;
  /** Packets dropped because a neighbour did not keep up. */
  ringFull: number;
  /** How often a neighbour that slept was woken. */
  wakeUps: number;
  /** Connections the common table had no room for. */
  flowsFull: number;
}

export interface HandOverParts {
  readonly board: Board;
  readonly index: number;
  readonly wake: (shard: number) => void;
  /** Whether a packet came from outside, by the link that all share, and not from a neighbour. */
  readonly isFresh: (packet: IpPacket) => boolean;
}

export class HandOver {
  readonly board: Board;
  readonly index: number;
  readonly stats: ShardStats = {
    handedOver: 0,
    copied: 0,
    takenOver: 0,
    ringFull: 0,
    wakeUps: 0,
    flowsFull: 0,
  };
  /** Whether a packet may be handed over: what was once stays where it is, so that none goes round. */
  readonly isFresh: (packet: IpPacket) => boolean;
  /** Every shard but this, one bit each. */
  readonly others: number;
  readonly #wake: (shard: number) => void;
  readonly #rings: PacketRing[] = [];

  constructor({ board, index, wake, isFresh }: HandOverParts) {
    this.board = board;
    this.index = index;
    this.isFresh = isFresh;
    this.others = (2 ** board.shards - 1) & ~(1 << index);
    this.#wake = wake;
    for (let to = 0; to < board.shards; to++) this.#rings.push(board.ring(index, to));
  }

  /** Gives a packet to one shard. @returns false, and nothing given, when that is nobody, or this one */
  give(shard: number, packet: IpPacket): boolean {
    if (shard < 0 || shard === this.index || !this.board.isAlive(shard)) return false;
    // A full ring is a full queue: the packet is dropped there, and answered by nobody.
    if (this.#put(shard, packet)) this.stats.handedOver++;
    return true;
  }

  /** Gives a packet to one of several shards, the same for each packet of a flow. @returns as `give` */
  giveToOne(mask: number, packet: IpPacket, remotePort: number): boolean {
    let left = mask & this.others & this.board.alive;
    if (left === 0) return false;
    for (let turn = flowHash(packet, remotePort) % bitCount(left); turn > 0; turn--) left &= left - 1;
    return this.give(lowestBit(left), packet);
  }

  /** Gives several shards a copy each. @returns how many got one */
  copy(mask: number, packet: IpPacket): number {
    let copies = 0;
    for (let left = mask & this.others & this.board.alive; left !== 0; left &= left - 1) {
      if (this.#put(lowestBit(left), packet)) copies++;
    }
    this.stats.copied += copies;
    return copies;
  }

  #put(shard: number, packet: IpPacket): boolean {
    if (!this.#rings[shard].put(packet, packet.checksum)) {
      this.stats.ringFull++;
      return false;
    }
    if (this.board.rouse(shard)) {
      this.stats.wakeUps++;
      this.#wake(shard);
    }
    return true;
  }
}

/** Fibonacci hashing of who sends: it only spreads load, and protects nothing. */
const flowHash = (packet: IpPacket, remotePort: number): number =>
  Math.imul(remotePort ^ packet.s0 ^ packet.s1 ^ packet.s2 ^ packet.s3, 0x9e37_79b1) >>> 8;

const lowestBit = (mask: number): number => 31 - Math.clz32(mask & -mask);

function bitCount(mask: number): number {
  let count = 0;
  for (let left = mask; left !== 0; left &= left - 1) count++;
  return count;
}
