/** Which ICMP messages, and which packets to groups, are for neighbours, or for them too. */

import type { PacketBatch } from '../link/packet-batch.js';
import type { Stack } from '../stack/stack.js';
import { Icmp4Type, Icmp6Type } from '../wire/icmp.js';
import { IpPacket } from '../wire/ip-packet.js';
import { IPV4_MF, IPV4_OFFSET_MASK } from '../wire/ipv4.js';
import { Protocol } from '../wire/ipv6.js';
import { shardOfPort } from './board.js';
import type { HandOver } from './hand-over.js';
import { QuotedEnds } from './icmp-ends.js';

const ICMP_HEADER_BYTES = 8;

/** Hears the ICMP of a shard, and shares what is not, or not only, for it. */
export class ShardIcmp {
  readonly #ip: Stack['ip'];
  readonly #handOver: HandOver;
  readonly #quoted = new QuotedEnds();

  constructor(ip: Stack['ip'], handOver: HandOver) {
    this.#ip = ip;
    this.#handOver = handOver;
    ip.addRawListener(Protocol.Icmp, 4, (packet) => this.#heard4(packet));
    ip.addRawListener(Protocol.Icmpv6, 6, (packet) => this.#heard6(packet));
  }

  #heard4(packet: IpPacket): void {
    if (packet.payloadBytes < ICMP_HEADER_BYTES || !this.#handOver.isFresh(packet)) return;
    const type = packet.view.getUint8(packet.payloadAt);
    if (type === Icmp4Type.EchoReply) this.#echoReply(packet);
    else if (
      type === Icmp4Type.Unreachable ||
      type === Icmp4Type.TimeExceeded ||
      type === Icmp4Type.ParameterProblem
    ) {
      this.#error(packet);
    }
  }

  #heard6(packet: IpPacket): void {
    if (packet.payloadBytes < ICMP_HEADER_BYTES || !this.#handOver.isFresh(packet)) return;
    const type = packet.view.getUint8(packet.payloadAt);
    if (type === Icmp6Type.EchoReply) this.#echoReply(packet);
    else if (type < Icmp6Type.Echo) this.#error(packet);
  }

  /** An answer nobody here waits for: whoever asked will know. */
  #echoReply(packet: IpPacket): void {
    const handOver = this.#handOver;
    const identifier = packet.view.getUint16(packet.payloadAt + 4);
    if (this.#ip.echo.get(identifier) === undefined) handOver.copy(handOver.others, packet);
  }

  /** An error goes to whoever has what it quotes; this shard then finds nothing of its own in it. */
  #error(packet: IpPacket): void {
    const quoted = this.#quoted;
    if (!quoted.read(packet)) return;
    const { board, others } = this.#handOver;
    const { localPort } = quoted;
    if (quoted.protocol === Protocol.Udp) {
      // Flows (`listenAny`) have no port: only their shard knows of them.
      const shards = packet.isForeign ? 0 : board.udpShards(localPort);
      this.#handOver.copy(shards === 0 ? others : shards, packet);
      return;
    }
    const found = board.flows.find(quoted.words, 0);
    this.#handOver.give(found >= 0 ? found : shardOfPort(board.tcpPorts, localPort, board.shards), packet);
  }
}

/**
 * Gives neighbours copies of what is for groups, as it comes in: only they know which they are in. Datagrams go to
 * those with a socket on the port, everything else, such as the questions of multicast routers, to all.
 */
export class GroupSharing {
  readonly #handOver: HandOver;
  readonly #packet = new IpPacket();

  constructor(handOver: HandOver) {
    this.#handOver = handOver;
  }

  /** A batch from outside. */
  share(batch: PacketBatch): void {
    const { view } = batch;
    for (let i = 0; i < batch.count; i++) {
      const at = batch.offset(i);
      const length = batch.length(i);
      if (length < 20) continue;
      const isIpv4 = view.getUint8(at) >> 4 === 4;
      const isGroup = isIpv4
        ? view.getUint8(at + 16) >> 4 === 0xe
        : length >= 40 && view.getUint8(at + 24) === 0xff;
      if (isGroup) this.#copy(batch, i, isIpv4);
    }
  }

  #copy(batch: PacketBatch, i: number, isIpv4: boolean): void {
    const handOver = this.#handOver;
    const packet = this.#packet;
    packet.aim(batch.bytes, batch.view, batch.offset(i), batch.length(i));
    packet.checksum = batch.checksum(i);
    packet.segmentSize = batch.segmentSize(i);
    packet.mark = batch.mark(i);
    const port = isIpv4 ? udpPort4(packet) : udpPort6(packet);
    handOver.copy(port < 0 ? handOver.others : handOver.board.udpShards(port), packet);
  }
}

/** The port a datagram is for; -1 for a fragment, or something else. */
function udpPort4({ view, at, length }: IpPacket): number {
  const headerBytes = (view.getUint8(at) & 15) * 4;
  const isWhole = (view.getUint16(at + 6) & (IPV4_MF | IPV4_OFFSET_MASK)) === 0;
  const isUdp = view.getUint8(at + 9) === Protocol.Udp;
  return isUdp && isWhole && length >= headerBytes + 4 ? view.getUint16(at + headerBytes + 2) : -1;
}

const udpPort6 = ({ view, at, length }: IpPacket): number =>
  view.getUint8(at + 6) === Protocol.Udp && length >= 44 ? view.getUint16(at + 42) : -1;
