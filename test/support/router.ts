/** An `IpPeer` between three networks, which passes packets on. */
import type { IpOptions } from '../../lib/ip/options.js';
import { IpPeer, type PeerOptions, type TestPort, type TestPortOptions } from './ip-peer.js';
import { bytesOf, checksumOf, type Seen, u16, udp, type V4Fields, type V6Fields, v4, v6 } from './ip-wire.js';

/** A host of the first network, where packets come from unless they say otherwise. */
export const NEAR = { 4: '10.0.0.2', 6: '2001:db8::2' } as const;
/** A host of the second network, where they go. */
export const FAR = { 4: '10.1.0.2', 6: '2001:db8:1::2' } as const;
/** The router on the first network, and on the second. */
export const OWN = { 4: '10.0.0.1', 6: '2001:db8::1' } as const;
export const OWN_FAR = { 4: '10.1.0.1', 6: '2001:db8:1::1' } as const;

export interface RouterOptions extends Omit<PeerOptions, 'options'> {
  readonly options?: Partial<IpOptions>;
  /** The second network's link. */
  readonly far?: TestPortOptions;
}

export class Router {
  readonly peer: IpPeer;
  /** The links of the networks 10.0/24, 10.1/24 and 10.2/24, and their like of IPv6. */
  readonly near: TestPort;
  readonly far: TestPort;
  readonly third: TestPort;

  constructor(given: RouterOptions = {}) {
    const { options, far, ...rest } = given;
    this.peer = new IpPeer({ ...rest, options: { forwarding: true, ...options } });
    this.near = this.peer.port;
    const of6 = (far?.mtu ?? 1500) < 1280 ? [] : ['2001:db8:1::1/64', 'fe80::1/64'];
    this.far = this.peer.addPort('far0', ['10.1.0.1/24', ...of6], far);
    this.third = this.peer.addPort('third0', ['10.2.0.1/24', '2001:db8:2::1/64']);
  }

  get stats(): IpPeer['stats'] {
    return this.peer.stats;
  }

  /** Takes what left by each link. */
  sent(): { near: Seen[]; far: Seen[]; third: Seen[] } {
    const { peer, near, far, third } = this;
    return { near: peer.sent(near), far: peer.sent(far), third: peer.sent(third) };
  }

  /** Whether nothing left. */
  get isSilent(): boolean {
    return this.peer.ports.every((port) => port.queue.length === 0);
  }
}

/** A packet from the near host to the far one. */
export const transit4 = (fields: V4Fields = {}): Uint8Array =>
  v4({ from: NEAR[4], to: FAR[4], payload: udp(NEAR[4], FAR[4], [1, 2, 3]), ...fields });

export const transit6 = (fields: V6Fields = {}): Uint8Array =>
  v6({ from: NEAR[6], to: FAR[6], payload: udp(NEAR[6], FAR[6], [1, 2, 3]), ...fields });

/** An IPv4 packet a hop further, its checksum from scratch. */
export function hopped4(packet: Uint8Array): Uint8Array {
  const next = packet.slice();
  const headerBytes = (next[0] & 15) * 4;
  next[8]--;
  next.set([0, 0], 10);
  next.set(u16(checksumOf(next.subarray(0, headerBytes))), 10);
  return next;
}

export function hopped6(packet: Uint8Array): Uint8Array {
  return bytesOf(packet.subarray(0, 7), [packet[7] - 1], packet.subarray(8));
}
