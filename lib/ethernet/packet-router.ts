/** Which Ethernet address a packet of the stack goes to: a group's, everybody's, that of a neighbour or of a router. */
import type { PacketBatch } from '../link/packet-batch.js';
import { IpAddress } from '../wire/ip-address.js';
import type { FrameHeader } from './frame.js';
import { Route } from './frame-output.js';
import { BROADCAST_MAC, groupHigh, groupLow } from './mac-address.js';
import type { Neighbor } from './neighbor-table.js';
import type { Neighbors } from './neighbors.js';
import { WholePackets } from './whole-packets.js';
import type { EthernetWire } from './wire.js';

export class PacketRouter {
  readonly #wire: EthernetWire;
  readonly #neighbors: Neighbors;
  readonly #whole = new WholePackets();

  constructor(wire: EthernetWire, neighbors: Neighbors) {
    this.#wire = wire;
    this.#neighbors = neighbors;
  }

  /** A turn of sending begins. */
  tick(): void {
    this.#neighbors.tick();
  }

  /** Where a packet of the stack goes: to a group, to everybody, to a neighbour; or it waits for one. */
  route(batch: PacketBatch, i: number, header: FrameHeader): Route {
    const { view } = batch;
    const at = batch.offset(i);
    const router = batch.nextHops.length > 0 ? batch.nextHops[i] : undefined;
    if (router !== undefined) {
      const neighbor = this.#neighbors.find(router.w0, router.w1, router.w2, router.w3);
      return this.#toNeighbor(neighbor, batch, i, header);
    }
    const isV4 = view.getUint8(at) >> 4 === 4;
    const d3 = view.getInt32(isV4 ? at + 16 : at + 36);
    if (isV4 ? d3 >>> 28 === 0xe : view.getUint8(at + 24) === 0xff) {
      const family = isV4 ? 4 : 6;
      header.destinationHigh = groupHigh(family);
      header.destinationLow = groupLow(family, d3);
      return Route.Send;
    }
    const neighbor = isV4
      ? this.#neighbors.find(0, 0, 0xffff, d3)
      : this.#neighbors.find(view.getInt32(at + 24), view.getInt32(at + 28), view.getInt32(at + 32), d3);
    return this.#toNeighbor(neighbor, batch, i, header);
  }

  #toNeighbor(neighbor: Neighbor | undefined, batch: PacketBatch, i: number, header: FrameHeader): Route {
    if (neighbor !== undefined && this.#neighbors.use(neighbor)) {
      header.destinationHigh = neighbor.macHigh;
      header.destinationLow = neighbor.macLow;
      return Route.Send;
    }
    const at = batch.offset(i);
    const isV4 = batch.bytes[at] >> 4 === 4;
    const destination = IpAddress.read(batch.view, at + (isV4 ? 16 : 24), isV4 ? 4 : 6);
    if (isV4 && batch.nextHops[i] === undefined && this.#wire.host?.isBroadcast(destination) === true) {
      header.destinationHigh = BROADCAST_MAC.high;
      header.destinationLow = BROADCAST_MAC.low;
      return Route.Send;
    }
    const packets = this.#whole.copy(batch, i);
    if (packets.length === 0) {
      this.#wire.counters.outMetadata++;
      return Route.Skip;
    }
    const next = neighbor ?? this.#neighbors.add(batch.nextHops[i] ?? destination);
    if (next !== undefined) for (const packet of packets) this.#neighbors.hold(next, packet);
    return Route.Skip;
  }
}
