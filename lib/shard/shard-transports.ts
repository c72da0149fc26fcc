/** What TCP and UDP of a shard tell its neighbours, and what they give them. */
import { StrangerKind, type TcpNeighbours } from '../tcp/neighbours.js';
import type { UdpNeighbours } from '../udp/neighbours.js';
import { Cast, ChecksumState, type IpPacket } from '../wire/ip-packet.js';
import { shardOfPort } from './board.js';
import type { HandOver } from './hand-over.js';

/** TCP and UDP have verified what they find nobody for: the neighbour need not do so again. */
function verified(packet: IpPacket): IpPacket {
  if (packet.checksum === ChecksumState.Unknown) packet.checksum = ChecksumState.Valid;
  return packet;
}

export class ShardTcp implements TcpNeighbours {
  readonly #handOver: HandOver;
  readonly #words = new Int32Array(9);

  constructor(handOver: HandOver) {
    this.#handOver = handOver;
  }

  takeSegment(packet: IpPacket, localPort: number, remotePort: number, kind: StrangerKind): boolean {
    const handOver = this.#handOver;
    const { board, index } = handOver;
    if (!handOver.isFresh(packet)) return false;
    const owner = board.flows.find(this.#wordsOf(packet, localPort, remotePort), 0);
    if (owner >= 0 && owner !== index) return handOver.give(owner, verified(packet));
    if (kind === StrangerKind.SynHeard) return false;
    if (kind === StrangerKind.SynUnheard) {
      return handOver.giveToOne(board.tcpShards(localPort), verified(packet), remotePort);
    }
    // Where the table had no room, the port tells; who has it answers what belongs to nobody.
    return handOver.give(shardOfPort(board.tcpPorts, localPort, board.shards), verified(packet));
  }

  occupied(words: Int32Array, at: number): void {
    const { board, index, stats } = this.#handOver;
    if (!board.flows.add(words, at, index)) stats.flowsFull++;
  }

  vacated(words: Int32Array, at: number): void {
    const { board, index } = this.#handOver;
    board.flows.remove(words, at, index);
  }

  portTaken(port: number): void {
    this.#handOver.board.setTcp(port, this.#handOver.index, true);
  }

  portFreed(port: number): void {
    this.#handOver.board.setTcp(port, this.#handOver.index, false);
  }

  #wordsOf(packet: IpPacket, localPort: number, remotePort: number): Int32Array {
    const words = this.#words;
    words[0] = packet.d0;
    words[1] = packet.d1;
    words[2] = packet.d2;
    words[3] = packet.d3;
    words[4] = packet.s0;
    words[5] = packet.s1;
    words[6] = packet.s2;
    words[7] = packet.s3;
    words[8] = (localPort << 16) | remotePort;
    return words;
  }
}

export class ShardUdp implements UdpNeighbours {
  readonly #handOver: HandOver;

  constructor(handOver: HandOver) {
    this.#handOver = handOver;
  }

  takeDatagram(packet: IpPacket, localPort: number, remotePort: number): boolean {
    const handOver = this.#handOver;
    if (!handOver.isFresh(packet)) return false;
    return handOver.giveToOne(handOver.board.udpShards(localPort), verified(packet), remotePort);
  }

  copyDatagram(packet: IpPacket, localPort: number): number {
    const handOver = this.#handOver;
    // Multicast was copied as it came in: IP brings only what is for groups of this shard.
    if (packet.cast !== Cast.Broadcast || !handOver.isFresh(packet)) return 0;
    return handOver.copy(handOver.board.udpShards(localPort), verified(packet));
  }

  portTaken(port: number): void {
    this.#handOver.board.setUdp(port, this.#handOver.index, true);
  }

  portFreed(port: number): void {
    this.#handOver.board.setUdp(port, this.#handOver.index, false);
  }
}
