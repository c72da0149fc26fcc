/** What a DHCP client says: its messages, with what stands in each of a kind (RFC 2131 Table 5). */
import type { EthernetLink } from '../ethernet/ethernet-link.js';
import { BROADCAST_MAC } from '../ethernet/mac-address.js';
import { ANY_V4, type IpAddress, LIMITED_BROADCAST } from '../wire/ip-address.js';
import type { ReadLease } from './lease.js';
import { CLIENT_PORT, DhcpType, DhcpOption as O, SERVER_PORT, writeDhcp } from './message.js';
import { textBytes, uint16Bytes } from './option-values.js';
import { writeUdp } from './udp-packet.js';

/** Largest message it takes, and least that may be said of that (RFC 2132 §9.10), bytes. */
const MAX_MESSAGE_BYTES = 1472;
const MIN_MESSAGE_BYTES = 576;
const WISHES = Uint8Array.of(
  O.SubnetMask,
  O.ClasslessRoutes,
  O.Router,
  O.DnsServers,
  O.Domain,
  O.SearchDomains,
  O.Mtu,
  O.Broadcast,
  O.RenewalTime,
  O.RebindingTime,
);

/** What differs between two messages of one type. */
export interface ClientMessage {
  readonly transaction: number;
  /** How long the client has been at it, s. */
  readonly seconds: number;
  readonly options?: readonly (readonly [code: number, value: Uint8Array])[];
  /** The lease whose address the client has and speaks from; none before. */
  readonly lease?: ReadLease;
  /** Whether only the server of that lease hears it. */
  readonly isToServer?: boolean;
}

export class ClientSender {
  readonly #link: EthernetLink;
  readonly #clientId: Uint8Array;
  readonly #hostname: string | undefined;

  constructor(link: EthernetLink, clientId: Uint8Array, hostname: string | undefined) {
    this.#link = link;
    this.#clientId = clientId;
    this.#hostname = hostname;
  }

  send(type: number, { transaction, seconds, options = [], lease, isToServer = false }: ClientMessage): void {
    const clientAddress = lease?.prefix.address ?? ANY_V4;
    // Those who give an address back do not say for how long they have been asking.
    const isAsking = type === DhcpType.Discover || type === DhcpType.Request;
    const payload = writeDhcp({
      isRequest: true,
      type,
      transaction,
      seconds: isAsking ? Math.min(0xffff, Math.floor(seconds)) : 0,
      isBroadcast: false,
      clientAddress,
      yourAddress: ANY_V4,
      relay: ANY_V4,
      mac: this.#link.mac,
      options: new Map([...options, [O.ClientId, this.#clientId], ...(isAsking ? this.#wishes() : [])]),
    });
    const destination = isToServer && lease !== undefined ? lease.server : LIMITED_BROADCAST;
    const ports = { sourcePort: CLIENT_PORT, destinationPort: SERVER_PORT };
    const packet = writeUdp({ source: clientAddress, destination, ...ports, payload });
    this.#link.sendIpv4(packet, isToServer && lease !== undefined ? nextHopTo(lease) : BROADCAST_MAC);
  }

  #wishes(): [code: number, value: Uint8Array][] {
    const most = Math.max(MIN_MESSAGE_BYTES, Math.min(MAX_MESSAGE_BYTES, this.#link.mtu));
    const wishes: [number, Uint8Array][] = [
      [O.MaxSize, uint16Bytes(most)],
      [O.ParameterList, WISHES],
    ];
    if (this.#hostname !== undefined) wishes.push([O.HostName, textBytes(this.#hostname)]);
    return wishes;
  }
}

/** Where packets to the server of a lease go: to itself, or as the lease says by its longest route, or its router. */
function nextHopTo({ server, prefix, routes, routers }: ReadLease): IpAddress {
  if (prefix.contains(server)) return server;
  let length = -1;
  let router = routes.length === 0 ? routers[0] : undefined;
  for (const { destination, gateway } of routes) {
    if (destination.length <= length || !destination.contains(server)) continue;
    length = destination.length;
    router = gateway.isUnspecified ? server : gateway;
  }
  return router ?? server;
}
