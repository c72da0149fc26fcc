/**
 * Where the demo happens: TUNs in network namespaces of its own, with the kernel on the other side; or
 * where that cannot be, pipes to a second stack in memory. Two links each: a plain one, and one with
 * loss and delay.
 */
import type { Clock } from '../../base/clock.js';
import { EmulatedLink } from '../../link/emulated-link.js';
import type { DirectionOptions } from '../../link/emulation-options.js';
import type { LinkDevice } from '../../link/link-device.js';
import { createPipe } from '../../link/pipe-device.js';
import { openPrivateTun, type PrivateTun } from '../../link/tun-private.js';
import { createNet } from '../../net/net.js';
import { SeededRandom } from '../../sim/seeded-random.js';
import { Stack } from '../../stack/stack.js';
import { SystemClock } from '../../stack/system-clock.js';
import { SystemRandom } from '../../stack/system-random.js';
import { obstacle } from '../network/obstacle.js';
import { Capture } from './capture.js';
import { KernelPeer, type Peer, StackPeer } from './peers.js';
import type { SocketsOf } from './services.js';

/** The poor link: 40 ms there and back, and of each 100 packets either way 2 are lost. */
export const POOR_LINK: DirectionOptions = { delayMs: 20, loss: 0.02 };
/** The same packets are lost in every run. */
const POOR_LINK_SEED = 2;

/** One link and who is on it. */
export interface DemoLink {
  readonly name: string;
  /** IPv4 and IPv6 address of the stack, and of the other side. */
  readonly ours: readonly [v4: string, v6: string];
  readonly theirs: readonly [v4: string, v6: string];
  readonly peer: Peer;
}

export interface Place {
  readonly mode: 'root' | 'user' | 'memory';
  /** Where this is, in a sentence or two. */
  readonly description: string;
  readonly clock: Clock;
  readonly stack: Stack;
  readonly net: SocketsOf;
  readonly capture: Capture;
  readonly plain: DemoLink;
  readonly poor: DemoLink;
  /** Ends everything that was made for the demo. May be called twice. */
  close(): Promise<void>;
}

interface Addresses {
  readonly name: string;
  readonly ours: readonly [string, string];
  readonly theirs: readonly [string, string];
}
const PLAIN: Addresses = {
  name: 'tun0',
  ours: ['10.77.0.2', 'fd77::2'],
  theirs: ['10.77.0.1', 'fd77::1'],
};
const POOR: Addresses = {
  name: 'tun1',
  ours: ['10.78.0.2', 'fd78::2'],
  theirs: ['10.78.0.1', 'fd78::1'],
};

const withLengths = ([v4, v6]: readonly [string, string]): string[] => [`${v4}/24`, `${v6}/64`];

export interface PlaceOptions {
  readonly capturePath: string;
  /** Do not even try a TUN. */
  readonly inMemory: boolean;
}

/** @throws CliError where the capture cannot be written */
export async function openPlace(options: PlaceOptions): Promise<Place> {
  const clock = new SystemClock();
  const capture = new Capture(options.capturePath, clock);
  try {
    if (options.inMemory) return await inMemory(clock, capture, 'In memory, as asked');
    const tuns = await openTuns();
    if (!Array.isArray(tuns)) return await inMemory(clock, capture, `No TUN can be opened here: ${tuns}`);
    return await withKernel(clock, capture, tuns);
  } catch (error) {
    capture.close();
    throw error;
  }
}

/** Both TUNs, or why there are none. */
async function openTuns(): Promise<PrivateTun[] | string> {
  const opened = await Promise.allSettled(
    [PLAIN, POOR].map(({ name, theirs }) => openPrivateTun({ name, address: withLengths(theirs) })),
  );
  const tuns = opened.flatMap((one) => (one.status === 'fulfilled' ? [one.value] : []));
  const failure = opened.find((one) => one.status === 'rejected');
  if (failure === undefined) return tuns;
  await Promise.all(tuns.map((tun) => tun.close()));
  return obstacle(failure.reason);
}

function makeStack(clock: Clock): Stack {
  return new Stack({ clock, random: new SystemRandom() });
}

/** Adds both links to the stack: recorded, and one of them poor. */
function addLinks(stack: Stack, clock: Clock, capture: Capture, [plain, poor]: LinkDevice[]): void {
  const emulated = new EmulatedLink(poor, {
    clock,
    random: new SeededRandom(POOR_LINK_SEED),
    outgoing: POOR_LINK,
    incoming: POOR_LINK,
  });
  stack.addLink(capture.record(plain), { addresses: withLengths(PLAIN.ours) });
  stack.addLink(capture.record(emulated), { addresses: withLengths(POOR.ours) });
}

async function withKernel(clock: Clock, capture: Capture, tuns: PrivateTun[]): Promise<Place> {
  const stack = makeStack(clock);
  let isClosed = false;
  const close = async (): Promise<void> => {
    if (isClosed) return;
    isClosed = true;
    stack.close();
    await Promise.all(tuns.map((tun) => tun.close()));
    capture.close();
  };
  try {
    const devices = tuns.map((tun) => tun.device);
    addLinks(stack, clock, capture, devices);
    const peers = await Promise.all(tuns.map((tun) => KernelPeer.start(tun)));
    const mode = process.getuid?.() === 0 ? 'root' : 'user';
    const owner = mode === 'root' ? '' : ', inside a user namespace since this user is not root';
    const [plain, poor] = [
      { ...PLAIN, peer: peers[0] },
      { ...POOR, peer: peers[1] },
    ];
    return {
      mode,
      description: `A TUN in a network namespace of its own${owner}.`,
      clock,
      stack,
      net: createNet(stack),
      capture,
      plain,
      poor,
      close,
    };
  } catch (error) {
    await close();
    throw error;
  }
}

async function inMemory(clock: Clock, capture: Capture, reason: string): Promise<Place> {
  const stack = makeStack(clock);
  const other = makeStack(clock);
  const [plain, plainPeer] = createPipe({
    clock,
    names: ['pipe0', 'pipe0'],
    checksumOffload: true,
    segmentation: true,
  });
  const [poor, poorPeer] = createPipe({ clock, names: ['pipe1', 'pipe1'] });
  addLinks(stack, clock, capture, [plain, poor]);
  other.addLink(plainPeer, { addresses: withLengths(PLAIN.theirs) });
  other.addLink(poorPeer, { addresses: withLengths(POOR.theirs) });
  const peer = await StackPeer.start(other, createNet(other));
  return {
    mode: 'memory',
    description: `${reason}. The other side is a second stack in this process, not the kernel.`,
    clock,
    stack,
    net: createNet(stack),
    capture,
    plain: { ...PLAIN, name: 'pipe0', peer },
    poor: { ...POOR, name: 'pipe1', peer },
    close: async () => {
      stack.close();
      other.close();
      capture.close();
    },
  };
}
