/**
 * Finds and loads the native addon, which only the TUN needs. Importing this costs nothing; the addon is
 * loaded when the first TUN is opened.
 */
import { existsSync } from 'node:fs';
import { createRequire } from 'node:module';
import { constants } from 'node:os';
import { resolve } from 'node:path';
import { arch, env, platform, report } from 'node:process';
import { fileURLToPath } from 'node:url';
import bindings from 'bindings';
import { StackError } from '../base/errors.js';
import { ChecksumState } from '../wire/ip-packet.js';
import {
  BATCH_HEADER_WORDS,
  BatchWord,
  MAX_SLOT_BYTES,
  SLOT_ALIGN,
  SLOT_WORDS,
  SlotWord,
} from './packet-batch.js';

/** What the addon found out about the descriptor it opened or adopted. */
export interface TunFacts {
  /** False for a socket that carries packets. */
  readonly isTun: boolean;
  /** Whether it carries Ethernet frames. */
  readonly isEthernet: boolean;
  /** Bytes of virtio header before each packet; 0 without offloads. */
  readonly headerBytes: number;
  /** TUN_F_* bits, see `Offload`. */
  readonly offloads: number;
  readonly multiQueue: boolean;
  readonly persist: boolean;
}

export interface NativeTunOptions {
  readonly name?: string;
  readonly offload: boolean;
  readonly multiQueue?: boolean;
  readonly persist?: boolean;
  readonly netns?: string;
  readonly fd?: number;
  readonly headerBytes?: number;
  readonly tap?: boolean;
  /** As `TunOptions.busyPollUs`; 0 by default. */
  readonly busyPollUs?: number;
}

export interface NativeTun {
  readonly name: string;
  readonly fd: number;
  readonly facts: TunFacts;
  start(
    inBytes: Uint8Array,
    inWords: Int32Array,
    outBytes: Uint8Array,
    outWords: Int32Array,
    counters: Float64Array,
    callback: (event: number, value: number) => void,
  ): void;
  /** Sends the outgoing batch, whose texts may lie in these memories: a `WriteOutcome`. */
  write(memories?: readonly Uint8Array[]): number;
  ref(): void;
  unref(): void;
  close(): void;
  /** Gives an adopted descriptor back, unclosed; before `start` only. */
  release(): void;
}

export interface NativeNetlink {
  readonly fd: number;
  /** Sends one request, returns the messages that answer it. */
  exchange(request: Uint8Array): Uint8Array;
  close(): void;
}

/** The folded sum, not complemented, of `length` bytes at `offset` and `initial`, in network order. */
export type NativeChecksum = (bytes: Uint8Array, offset: number, length: number, initial?: number) => number;

export interface NativeAddon {
  readonly layout: Readonly<Record<string, number>>;
  readonly NativeTun: new (options: NativeTunOptions) => NativeTun;
  readonly NativeNetlink: new (options: { netns?: string; fd?: number }) => NativeNetlink;
  /** The fastest variant for this processor. */
  readonly checksum: NativeChecksum;
  /** All variants this processor runs: `plain`, and `sse2`, `avx2` or `neon`. */
  readonly checksums: Readonly<Record<string, NativeChecksum>>;
  /** A pair of connected sockets that `sendDescriptor` works over. */
  socketPair(): [number, number];
  sendDescriptor(socket: number, fd: number, text?: string): void;
  /** Does not wait: EAGAIN when nothing has come. `fd` is -1 when only text came. */
  receiveDescriptor(socket: number): { fd: number; text: string };
  /** Copies a descriptor of another process (Linux 5.6). */
  stealDescriptor(pid: number, fd: number): number;
  /** Opens the network namespace a TUN is in (Linux 5.2; needs CAP_NET_ADMIN there). */
  openNamespace(fd: number): number;
  /** Where it was loaded from. */
  readonly path: string;
}

/** TUN_F_* bits of `TunFacts.offloads`. */
export const Offload = { CHECKSUM: 1, TSO4: 2, TSO6: 4, TSO_ECN: 8, USO4: 32, USO6: 64 } as const;

/** Events a device's callback hears. */
export const NativeEvent = { BATCH: 0, WRITABLE: 1, DOWN: 2 } as const;

/** What `NativeTun.write` answers. */
export const WriteOutcome = { WRITTEN: 0, BLOCKED: 1, FAILED: 2 } as const;

/** Places in the array of counters; the drops by errno begin at ERRNO_BASE. */
export const NativeCounter = {
  RX_PACKETS: 0,
  RX_BYTES: 1,
  RX_BATCHES: 2,
  RX_ERRORS: 3,
  RX_METADATA: 4,
  TX_PACKETS: 5,
  TX_BYTES: 6,
  TX_BATCHES: 7,
  TX_BLOCKED: 8,
  TX_DROPPED: 9,
  RX_AWAKE: 10,
  ERRNO_BASE: 16,
} as const;
export const NATIVE_COUNTERS = 176;

const LAYOUT: Readonly<Record<string, number>> = {
  batchCount: BatchWord.COUNT,
  batchError: BatchWord.ERROR,
  batchTail: BatchWord.TAIL,
  batchHeaderWords: BATCH_HEADER_WORDS,
  slotOffset: SlotWord.OFFSET,
  slotLength: SlotWord.LENGTH,
  slotChecksum: SlotWord.CHECKSUM,
  slotSegmentSize: SlotWord.SEGMENT_SIZE,
  slotHeaderBytes: SlotWord.HEADER_BYTES,
  slotMark: SlotWord.MARK,
  slotTimeLow: SlotWord.TIME_LOW,
  slotTimeHigh: SlotWord.TIME_HIGH,
  slotVerdict: SlotWord.VERDICT,
  slotTextAt: SlotWord.TEXT_AT,
  slotTextBytes: SlotWord.TEXT_BYTES,
  slotTextMemory: SlotWord.TEXT_MEMORY,
  slotWords: SLOT_WORDS,
  slotAlign: SLOT_ALIGN,
  maxSlotBytes: MAX_SLOT_BYTES,
  checksumUnknown: ChecksumState.Unknown,
  checksumValid: ChecksumState.Valid,
  checksumBad: ChecksumState.Bad,
  checksumPartial: ChecksumState.Partial,
  errnoBase: NativeCounter.ERRNO_BASE,
  counters: NATIVE_COUNTERS,
};

/** There is no addon for this system, or not one that fits. */
export class AddonError extends Error {
  /** Tells it from other errors. */
  readonly code = 'ERR_TUNSTACK_ADDON';
}

const BUILD_IT = 'build it with `npx tunstack build-addon`';

let loaded: NativeAddon | undefined;

/**
 * The addon.
 * @throws AddonError, in one sentence what is missing and what to do
 */
export function nativeAddon(): NativeAddon {
  loaded ??= load();
  return loaded;
}

/** Whether a TUN can be opened at all: whether there is an addon for this system. */
export function hasNativeAddon(): boolean {
  try {
    nativeAddon();
    return true;
  } catch {
    return false;
  }
}

function load(): NativeAddon {
  if (platform !== 'linux') {
    throw new AddonError(`A TUN can be opened on Linux only, and this is ${platform}: use another link.`);
  }
  const addon = env.TUNSTACK_ADDON === undefined ? loadFromPackage() : loadFrom(env.TUNSTACK_ADDON);
  for (const [name, value] of Object.entries(LAYOUT)) {
    if (addon.layout?.[name] !== value) {
      throw new AddonError(
        `The addon ${addon.path} is of another version than this package (${name}): ${BUILD_IT}.`,
      );
    }
  }
  return addon;
}

/** The one file named by TUNSTACK_ADDON: for a build with sanitizers, or one kept elsewhere. */
function loadFrom(named: string): NativeAddon {
  try {
    const path = resolve(named);
    const addon = createRequire(import.meta.url)(path) as NativeAddon & { path: string };
    addon.path = path;
    return addon;
  } catch (error) {
    const [reason] = (error as Error).message.split('\n');
    throw new AddonError(`The addon that TUNSTACK_ADDON names does not load: ${reason}.`);
  }
}

function loadFromPackage(): NativeAddon {
  // The same depth from lib/link and dist/link.
  const root = fileURLToPath(new URL('../..', import.meta.url));
  const target = `${platform}-${arch}${isMusl() ? '-musl' : ''}`;
  const places = [
    ['module_root', 'prebuilds', target, 'bindings'],
    ['module_root', 'build', 'Release', 'bindings'],
  ];
  let reason = `there is none for ${target}`;
  // A prebuilt addon that does not load here must not hide one that was built here.
  for (const place of places) {
    try {
      return bindings({ bindings: 'tunstack', module_root: root, try: [place] }) as NativeAddon;
    } catch (error) {
      const message = (error as Error).message;
      if (!message.startsWith('Could not locate'))
        reason = `the one for ${target} does not load (${message})`;
    }
  }
  throw new AddonError(`Opening a TUN needs the native addon, and ${reason}: ${BUILD_IT}.`);
}

function isMusl(): boolean {
  if (existsSync('/etc/alpine-release')) return true;
  // The report looks up the names of open connections unless told not to.
  const settings = report as typeof report & { excludeNetwork?: boolean };
  const before = settings?.excludeNetwork;
  if (settings === undefined) return false;
  settings.excludeNetwork = true;
  const { header } = settings.getReport() as unknown as { header: { glibcVersionRuntime?: string } };
  if (before !== undefined) settings.excludeNetwork = before;
  return header.glibcVersionRuntime === undefined;
}

const ERRNO_NAMES: string[] = [];
for (const [name, number] of Object.entries(constants.errno)) ERRNO_NAMES[number] ??= name;
// Linux has names that Node does not know.
ERRNO_NAMES[77] = 'EBADFD';
ERRNO_NAMES[91] ??= 'EPROTOTYPE';
ERRNO_NAMES[36] ??= 'ENAMETOOLONG';
ERRNO_NAMES[105] = 'ENOBUFS';
ERRNO_NAMES[11] = 'EAGAIN';
ERRNO_NAMES[95] = 'EOPNOTSUPP';

/** `ENODEV` for 19. */
export const errnoName = (errno: number): string => ERRNO_NAMES[errno] ?? `E${errno}`;

/** Calls the addon; what it throws for a failed system call becomes a `StackError` about `subject`. */
export function callAddon<Value>(call: () => Value, subject?: string): Value {
  try {
    return call();
  } catch (error) {
    const { errno, syscall } = error as { errno?: unknown; syscall?: unknown };
    if (typeof errno !== 'number' || typeof syscall !== 'string') throw error;
    throw new StackError(errnoName(errno), syscall, subject);
  }
}
