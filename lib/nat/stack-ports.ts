/** The ports a stack uses itself, and those it must leave to the translator: they share its addresses. */
import type { Stack } from '../stack/stack.js';
import { IpAddress } from '../wire/ip-address.js';
import type { IpPacket } from '../wire/ip-packet.js';
import { Protocol } from '../wire/ipv6.js';
import type { OwnPorts } from './host.js';
import type { Endpoint } from './rewrite.js';

export class StackPorts implements OwnPorts {
  readonly #stack: Stack;
  readonly #link: number;
  /** How often each port is kept, by protocol: given back by `clear`. */
  readonly #kept = new Map<number, Map<number, number>>();

  /** @param link the outside link, on which connections of the stack may live alone */
  constructor(stack: Stack, link: number) {
    this.#stack = stack;
    this.#link = link;
  }

  isTaken(protocol: number, port: number): boolean {
    if (protocol === Protocol.Tcp) return this.#stack.tcp.ports.isClaimed(port);
    if (protocol === Protocol.Udp) return this.#stack.udp.isPortTaken(port);
    return this.#stack.ip.echo.get(port) !== undefined;
  }

  hasFlow(protocol: number, near: Endpoint, far: Endpoint): boolean {
    if (protocol !== Protocol.Tcp) return false;
    return this.#stack.tcp.hasEnds({
      local: addressOf(near),
      remote: addressOf(far),
      localPort: near.port,
      remotePort: far.port,
      link: this.#link,
    });
  }

  wants(packet: IpPacket, port: number): boolean {
    const { ip, tcp } = this.#stack;
    // Nobody has looked yet whose the address is.
    packet.isForeign = !ip.isLocal(packet.destination());
    return tcp.any.find(packet, port) !== undefined;
  }

  reserve(protocol: number, port: number): void {
    const kept = this.#kept.get(protocol) ?? new Map<number, number>();
    this.#kept.set(protocol, kept);
    kept.set(port, (kept.get(port) ?? 0) + 1);
    if (protocol === Protocol.Tcp) this.#stack.tcp.ports.keep(port);
    else if (protocol === Protocol.Udp) this.#stack.udp.keepPort(port);
  }

  release(protocol: number, port: number): void {
    const kept = this.#kept.get(protocol);
    const count = kept?.get(port) ?? 0;
    if (kept === undefined || count === 0) return;
    if (count > 1) kept.set(port, count - 1);
    else kept.delete(port);
    if (protocol === Protocol.Tcp) this.#stack.tcp.ports.unkeep(port);
    else if (protocol === Protocol.Udp) this.#stack.udp.unkeepPort(port);
  }

  /** Gives back everything. */
  clear(): void {
    for (const [protocol, kept] of this.#kept) {
      for (const [port, count] of kept) {
        for (let i = 0; i < count; i++) this.release(protocol, port);
      }
    }
  }
}

const addressOf = ({ w0, w1, w2, w3 }: Endpoint): IpAddress =>
  w0 === 0 && w1 === 0 && w2 === 0xffff ? IpAddress.v4(w3) : IpAddress.v6(w0, w1, w2, w3);
