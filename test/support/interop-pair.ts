/** One connection between the stack and the kernel, opened by either. */
import { expect } from 'chai';
import type { ListenOptions } from '../../lib/stack/stack.js';
import type { IpFamily } from '../../lib/wire/ip-address.js';
import { type InteropBed, KERNEL, STACK } from './interop.js';
import { type AwaitedEndpoint, dial, listen } from './interop-endpoint.js';
import type { KernelSocket, SocketOption } from './interop-kernel.js';

export interface Pair {
  readonly ours: AwaitedEndpoint;
  readonly theirs: KernelSocket;
  /** A port that only this connection has, on the side that `kernelStates` can find it by. */
  readonly port: number;
}

export interface PairOptions {
  /** The stack's options for it. */
  readonly tcp?: NonNullable<ListenOptions['options']>;
  /** The kernel's; of the listener where the stack opens. */
  readonly options?: readonly SocketOption[];
}

export type Open = (bed: InteropBed, family: IpFamily, options?: PairOptions) => Promise<Pair>;

const kernelOpens: Open = async (bed, family, { tcp = {}, options = [] } = {}) => {
  const kernel = await bed.kernel();
  const listener = listen(bed.stack, { port: 0, address: STACK[family], options: tcp });
  try {
    const accepting = listener.accept();
    const theirs = await kernel.connect({ address: STACK[family], port: listener.port, options });
    return { ours: await accepting, theirs, port: listener.port };
  } finally {
    listener.close();
  }
};

const stackOpens: Open = async (bed, family, { tcp = {}, options = [] } = {}) => {
  const kernel = await bed.kernel();
  const listener = await kernel.listen({ address: KERNEL[family], options });
  try {
    const ours = dial(bed.stack, { address: KERNEL[family], port: listener.local.port, options: tcp });
    await ours.connected();
    return { ours, theirs: await listener.accept(), port: ours.endpoint.localPort };
  } finally {
    await listener.close();
  }
};

/** Who sends the SYN, and what makes the connection. */
export const OPENERS: Readonly<Record<'the kernel' | 'the stack', Open>> = {
  'the kernel': kernelOpens,
  'the stack': stackOpens,
};

/** Sends so many bytes both ways at once, to the end, and compares them. */
export async function exchange({ ours, theirs }: Pair, bytes: number): Promise<void> {
  const received = [ours.receiveToEnd(), theirs.receiveToEnd()];
  const hashes = await Promise.all([theirs.sendBulk(bytes), ours.sendBulk(bytes)]);
  await theirs.shutdown();
  ours.endpoint.shutdown();
  for (const i of [0, 1]) expect(await received[i]).to.deep.equal({ bytes, sha256: hashes[i] });
}

/** Ends a pair in whatever state it is, and waits until the stack has forgotten it. */
export async function endPair(bed: InteropBed, pair: Pair | undefined): Promise<void> {
  if (pair === undefined) return;
  await pair.theirs.reset().catch(() => {});
  pair.ours.endpoint.abort();
  pair.ours.endpoint.close();
  await bed.reaches(pair.ours, 'CLOSED');
}
