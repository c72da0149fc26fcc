/** What `dgram` asks of a stack. */
import type { Stack } from '../stack/stack.js';

/** The socket below a socket. */
export type UdpEndpoint = ReturnType<Stack['openUdp']>;

export type DgramStack = Pick<Stack, 'hold' | 'openUdp' | 'release' | 'stats'> & {
  readonly ip: Pick<Stack['ip'], 'addresses' | 'portIndex' | 'portName'>;
};

/** Bits of what an endpoint tells: as `UdpEvent` of the layer below. */
export const Happened = { READABLE: 1, ERROR: 2, WRITABLE: 4 } as const;
