/**
 * A network without any right: the stack of a command on one end of a pipe, and on the other a gateway, by which
 * its connections leave through ordinary sockets of the host.
 */
import { openGateway } from '../../gateway/gateway.js';
import { createPipe, Stack, type SystemClock, SystemRandom } from '../../index.js';
import type { CommandContext } from '../frame/context.js';
import { HOST_ADDRESSES } from './door-names.js';
import type { Opened } from './network.js';

/** Addresses as slirp4netns has them, which people know. */
const ADDRESSES = ['10.0.2.100/24', 'fd00::100/64'] as const;
const GATEWAY_ADDRESSES = ['10.0.2.2/24', 'fd00::2/64'] as const;

export interface HostDoorOptions {
  readonly clock: SystemClock;
  /** Ports of the host's loopback that lead to the stack. */
  readonly publish: readonly string[];
  /** Bytes; 1500 by default. */
  readonly mtu?: number;
}

/** Opens it; the clean-ups of `context` close it again. */
export async function openHostDoor(
  context: CommandContext,
  { clock, publish, mtu = 1500 }: HostDoorOptions,
): Promise<Opened> {
  const [device, far] = createPipe({
    clock,
    mtu,
    names: ['host0', 'host0'],
    checksumOffload: true,
    segmentation: true,
  });
  const stack = new Stack({ clock, random: new SystemRandom() });
  context.defer(() => stack.close());
  const link = stack.addLink(far, { addresses: GATEWAY_ADDRESSES, defaultRoute: true });
  const opening = openGateway({
    stack,
    link,
    hostLoopback: HOST_ADDRESSES,
    publish,
    inside: ADDRESSES.map((address) => address.slice(0, address.indexOf('/'))),
  });
  await context.acquire(opening, (gateway) => gateway.close());
  return { device, kind: 'host', addresses: ADDRESSES, hostAddresses: GATEWAY_ADDRESSES };
}
