/** The TUN: packets of the kernel, in batches, with the kernel's own offloads. Linux. */
import { closeSync, existsSync, fstatSync, statSync } from 'node:fs';
import { availableParallelism } from 'node:os';
import {
  ArgumentRangeError,
  ArgumentTypeError,
  ArgumentValueError,
  invariant,
  StackError,
} from '../base/errors.js';
import { IpPrefix } from '../wire/ip-address.js';
import { HostNetwork } from './host-network.js';
import type { LinkDevice } from './link-device.js';
import { MAX_PACKET_BYTES, PacketBatch } from './packet-batch.js';
import {
  callAddon,
  errnoName,
  NativeCounter as N,
  NATIVE_COUNTERS,
  NativeEvent,
  type NativeTun,
  type NativeTunOptions,
  nativeAddon,
  Offload,
  WriteOutcome,
} from './tun-addon.js';

/** What a TUN is opened with. All are optional; an unknown one is refused. */
export interface TunOptions {
  /**
   * `tun` for IP packets, the default; `tap` for Ethernet frames, which an `EthernetLink` needs. An adopted interface is
   * what it is: another mode is refused.
   */
  mode?: 'tun' | 'tap';
  /** Name of the interface, at most 15 bytes; may hold `%d`. The kernel chooses `tun<n>` by default. */
  name?: string;
  /** Largest IP packet on the wire, bytes, 68 .. 65535; 1500 by default, an adopted TUN's own where it tells. */
  mtu?: number;
  /** Whether to exchange super-packets and leave checksums to the kernel where it can; true by default. */
  offload?: boolean;
  /** Whether further devices of the same name become further queues of it; false by default. */
  multiQueue?: boolean;
  /** Whether the interface stays when the device is closed; false by default. */
  persist?: boolean;
  /** Addresses of the host's side, such as `10.0.0.1/24` or `fd00::1/64`; none by default. */
  address?: string | readonly string[];
  /** Whether to bring the interface up; true by default. An adopted one is left as it is. */
  up?: boolean;
  /**
   * Packets the kernel keeps for us while we are busy; 10,000 by default (its own 500 drop under load). An
   * adopted interface keeps what it has.
   */
  txQueueLength?: number;
  /**
   * Adopts an open descriptor: a TUN (its offloads are found out), or a datagram or sequenced-packet
   * socket that carries one IP packet at a time. It is closed with the device, and stays the caller's if
   * this fails.
   */
  fd?: number;
  /** For a socket given as `fd`: whether a virtio header of 12 bytes stands before each packet. */
  virtioHeader?: boolean;
  /** Network namespace to open it in, as a file: `/var/run/netns/blue`, `/proc/1234/ns/net`. */
  netns?: string;
  /**
   * How long the event loop may look for more packets before it sleeps, µs, 0 .. 10000; 50 by default, 0 on a
   * single processor. Sleeping and being woken takes as long as a peer nearby takes to answer. The device
   * learns whether it pays: only after packets that came sooner than this is it awake for them, and the longer
   * the more of them there are; an idle one sleeps. What Linux calls `net.core.busy_poll`.
   */
  busyPollUs?: number;
  /** Where to configure it: by default the network it is in, as far as that can be entered from here. */
  host?: HostNetwork;
}

const DEFAULT_TUN_OPTIONS = {
  offload: true,
  multiQueue: false,
  persist: false,
  virtioHeader: false,
  busyPollUs: availableParallelism() > 1 ? 50 : 0,
} as const;
const DEFAULT_MTU = 1500;
/** A TUN's own queue of 500 packets drops under bulk. */
const DEFAULT_QUEUE = 10_000;
const MIN_MTU = 68; // RFC 791 §3.2
const MAX_BUSY_POLL_US = 10_000;
const VIRTIO_BYTES = 12;
const ETHERNET_HEADER_BYTES = 14;
const OPTION_NAMES: ReadonlySet<string> = new Set(
  'mode name mtu offload multiQueue persist address up txQueueLength fd virtioHeader netns busyPollUs host'.split(
    ' ',
  ),
);

/** What a device has done since it was opened. */
export interface TunStats {
  /** Packets received from the kernel. */
  rxPackets: number;
  /** Bytes of them. */
  rxBytes: number;
  /** Batches that were lent; `rxPackets / rxBatches` is their mean size. */
  rxBatches: number;
  /** Batches found because the loop had not gone to sleep (`busyPollUs`). */
  rxAwake: number;
  /** Reads that failed. */
  rxErrors: number;
  /** Packets dropped because what came with them contradicts them (`DropReason.LinkMetadata`). */
  rxMetadata: number;
  /** Packets the kernel took. */
  txPackets: number;
  /** Bytes of them. */
  txBytes: number;
  /** Batches that were sent. */
  txBatches: number;
  /** How often the device was full. */
  txBlocked: number;
  /** Packets the device did not take. */
  txDropped: number;
  /** The same by the reason it gave, the name of an errno. */
  txDroppedBy: Record<string, number>;
}

/** A TUN of the host, with the kernel's own offloads. Linux only; made by `TunDevice.create`. */
export class TunDevice implements LinkDevice {
  readonly name: string;
  /** Largest packet, bytes; of a TAP, largest frame, which is 14 more than the MTU of the interface. */
  readonly mtu: number;
  readonly maxPacketBytes: number;
  readonly checksumOffload = true;
  readonly gathers = true;
  /** Present on a TAP, whose packets are frames. */
  readonly framing?: 'ethernet';
  readonly udpSegmentation: boolean;
  /** What the kernel agreed to. */
  readonly offloads: {
    /** It completes transport checksums, and says which it has verified. */
    checksum: boolean;
    /** TCP super-packets pass whole. */
    tso: boolean;
    /** Those of connections with ECN too. */
    tsoEcn: boolean;
    /** UDP super-packets pass whole. */
    uso: boolean;
  };
  onWritable: () => void = () => {};
  onDown: (error: Error) => void = () => {};
  readonly #native: NativeTun;
  readonly #incoming = new PacketBatch();
  readonly #outgoing = new PacketBatch();
  readonly #counters = new Float64Array(new SharedArrayBuffer(8 * NATIVE_COUNTERS));
  #onBatch: (batch: PacketBatch) => void = () => {};
  #blocked = false;
  #open = false;
  #closed = false;

  private constructor(native: NativeTun, name: string, mtu: number) {
    const { offloads } = native.facts;
    const has = (bits: number): boolean => (offloads & bits) === bits;
    this.#native = native;
    const linkBytes = native.facts.isEthernet ? ETHERNET_HEADER_BYTES : 0;
    this.name = name;
    this.mtu = mtu + linkBytes;
    if (native.facts.isEthernet) this.framing = 'ethernet';
    this.offloads = {
      checksum: has(Offload.CHECKSUM),
      tso: has(Offload.TSO4 | Offload.TSO6),
      tsoEcn: has(Offload.TSO_ECN),
      uso: has(Offload.USO4 | Offload.USO6),
    };
    this.udpSegmentation = this.offloads.uso;
    this.maxPacketBytes = (this.offloads.tso ? MAX_PACKET_BYTES : mtu) + linkBytes;
  }

  /**
   * Opens a TUN, or adopts a descriptor, and configures the host's side of it. Needs CAP_NET_ADMIN, or an
   * interface that was made for this user.
   * @throws AddonError where there is no addon
   * @throws StackError `open EACCES /dev/net/tun`, `ioctl EPERM tun0`, `ioctl EBUSY tun0` …
   */
  static create(options: TunOptions = {}): TunDevice {
    check(options);
    const native = openNative(options);
    try {
      const { mode } = options;
      if (mode !== undefined && native.facts.isEthernet !== (mode === 'tap')) {
        throw new ArgumentValueError(`fd ${options.fd} is no ${mode}`);
      }
      const configured = configure(native, options);
      return new TunDevice(native, native.facts.isTun ? native.name : (options.name ?? 'socket'), configured);
    } catch (error) {
      if (options.fd === undefined) native.close();
      else native.release();
      throw error;
    }
  }

  /** The descriptor; -1 once closed. It remains the device's. */
  get fd(): number {
    return this.#closed ? -1 : this.#native.fd;
  }

  /** What it has done since it was opened. */
  get stats(): TunStats {
    const c = this.#counters;
    const txDroppedBy: Record<string, number> = {};
    for (let i = N.ERRNO_BASE; i < NATIVE_COUNTERS; i++) {
      if (c[i] > 0) txDroppedBy[errnoName(i - N.ERRNO_BASE)] = c[i];
    }
    return {
      rxPackets: c[N.RX_PACKETS],
      rxBytes: c[N.RX_BYTES],
      rxBatches: c[N.RX_BATCHES],
      rxAwake: c[N.RX_AWAKE],
      rxErrors: c[N.RX_ERRORS],
      rxMetadata: c[N.RX_METADATA],
      txPackets: c[N.TX_PACKETS],
      txBytes: c[N.TX_BYTES],
      txBatches: c[N.TX_BATCHES],
      txBlocked: c[N.TX_BLOCKED],
      txDropped: c[N.TX_DROPPED],
      txDroppedBy,
    };
  }

  open(onBatch: (batch: PacketBatch) => void): void {
    if (this.#closed || this.#open) throw new StackError('EBADF', 'open', this.name);
    const incoming = this.#incoming;
    const outgoing = this.#outgoing;
    const hear = (event: number, value: number): void => this.#hear(event, value);
    this.#onBatch = onBatch;
    callAddon(
      () =>
        this.#native.start(
          incoming.bytes,
          incoming.words,
          outgoing.bytes,
          outgoing.words,
          this.#counters,
          hear,
        ),
      this.name,
    );
    this.#open = true;
  }

  borrow(): PacketBatch | undefined {
    if (this.#blocked || !this.#open) return undefined;
    const batch = this.#outgoing;
    if (batch.room < this.maxPacketBytes) this.send(batch);
    return this.#blocked ? undefined : batch;
  }

  send(batch: PacketBatch): void {
    if (!this.#open) return;
    invariant(batch === this.#outgoing && !this.#blocked, 'a device sends the batch it has lent');
    if (this.#write(batch) === WriteOutcome.BLOCKED) this.#blocked = true;
    else batch.clear();
  }

  #write({ memories }: PacketBatch): number {
    return memories.length > 0 ? this.#native.write(memories) : this.#native.write();
  }

  close(): void {
    this.#closed = true;
    this.#open = false;
    this.#native.close();
  }

  ref(): void {
    this.#native.ref();
  }

  unref(): void {
    this.#native.unref();
  }

  #hear(event: number, value: number): void {
    if (event === NativeEvent.BATCH) {
      this.#onBatch(this.#incoming);
    } else if (event === NativeEvent.WRITABLE) {
      this.#blocked = false;
      this.#outgoing.clear();
      this.onWritable();
    } else {
      this.#blocked = false;
      this.#outgoing.clear();
      this.onDown(new StackError(errnoName(value), 'read', this.name));
    }
  }
}

function check(options: TunOptions): void {
  for (const key of Object.keys(options)) {
    if (!OPTION_NAMES.has(key)) throw new ArgumentValueError(`unknown TUN option "${key}"`);
  }
  const { mtu, name, fd, txQueueLength, netns, busyPollUs, mode = 'tun' } = options;
  if (mode !== 'tun' && mode !== 'tap') {
    throw new ArgumentValueError(`the mode of a TUN is tun or tap, not ${String(mode)}`);
  }
  if (mtu !== undefined && !(Number.isInteger(mtu) && mtu >= MIN_MTU && mtu <= MAX_PACKET_BYTES)) {
    throw new ArgumentRangeError(`the MTU of a TUN is ${MIN_MTU} .. ${MAX_PACKET_BYTES} bytes: ${mtu}`);
  }
  if (txQueueLength !== undefined && !(Number.isInteger(txQueueLength) && txQueueLength > 0)) {
    throw new ArgumentRangeError(`a queue length is a positive integer: ${txQueueLength}`);
  }
  if (
    busyPollUs !== undefined &&
    !(Number.isInteger(busyPollUs) && busyPollUs >= 0 && busyPollUs <= MAX_BUSY_POLL_US)
  ) {
    throw new ArgumentRangeError(`busyPollUs is 0 .. ${MAX_BUSY_POLL_US} µs: ${busyPollUs}`);
  }
  if (name !== undefined && typeof name !== 'string') {
    throw new ArgumentTypeError('the name of a TUN must be a string');
  }
  if (fd !== undefined && !(Number.isInteger(fd) && fd >= 0)) {
    throw new ArgumentTypeError('a descriptor must be an integer of 0 or more');
  }
  if (netns !== undefined && typeof netns !== 'string') {
    throw new ArgumentTypeError('a network namespace is given as the path of a file');
  }
  for (const address of addressesOf(options)) IpPrefix.parse(address);
}

const addressesOf = ({ address = [] }: TunOptions): readonly string[] =>
  typeof address === 'string' ? [address] : address;

function openNative(options: TunOptions): NativeTun {
  const { name = '', fd, netns } = options;
  const { offload, multiQueue, persist, virtioHeader, busyPollUs } = { ...DEFAULT_TUN_OPTIONS, ...options };
  const tap = options.mode === 'tap';
  const addon = nativeAddon();
  const given: NativeTunOptions =
    fd === undefined
      ? { name, offload, multiQueue, persist, busyPollUs, tap, ...(netns === undefined ? {} : { netns }) }
      : { fd, offload, busyPollUs, tap, headerBytes: virtioHeader ? VIRTIO_BYTES : 0 };
  try {
    return callAddon(() => new addon.NativeTun(given));
  } catch (error) {
    if (!(error instanceof StackError)) throw error;
    throw new StackError(error.code, error.syscall, subjectOf(error, options));
  }
}

/** What an error of opening is about. */
function subjectOf({ syscall }: StackError, { name, fd, netns }: TunOptions): string | undefined {
  if (fd !== undefined) return `fd ${fd}`;
  if (syscall === 'setns' || (syscall === 'open' && netns !== undefined && !existsSync(netns))) return netns;
  return syscall === 'open' ? '/dev/net/tun' : name;
}

/** Sets what was asked for, and finds out the MTU. */
function configure(native: NativeTun, options: TunOptions): number {
  const adopted = options.fd !== undefined;
  const wanted = adopted ? options : { mtu: DEFAULT_MTU, up: true, txQueueLength: DEFAULT_QUEUE, ...options };
  const addresses = addressesOf(options);
  const { mtu, up, txQueueLength } = wanted;
  if (!native.facts.isTun) return mtu ?? DEFAULT_MTU;
  const host = hostOf(native, options);
  try {
    const changes = {
      ...(mtu === undefined ? {} : { mtu }),
      ...(txQueueLength === undefined ? {} : { txQueueLength }),
    };
    if (host === undefined) {
      const more = addresses.length > 0 || up !== undefined || txQueueLength !== undefined;
      if (more) throw new StackError('EPERM', 'netlink', native.name);
      return mtu ?? DEFAULT_MTU;
    }
    if (Object.keys(changes).length > 0) host.setLink(native.name, changes);
    for (const address of addresses) host.addAddress(native.name, address, { replace: true });
    if (up !== undefined) host.setLink(native.name, { up });
    return mtu ?? host.link(native.name)?.mtu ?? DEFAULT_MTU;
  } finally {
    if (options.host === undefined) host?.close();
  }
}

/** The network the interface is in; undefined where an adopted TUN's cannot be found out or entered. */
function hostOf(native: NativeTun, { host, netns, fd }: TunOptions): HostNetwork | undefined {
  if (host !== undefined) return host;
  if (netns !== undefined) return HostNetwork.open({ netns });
  if (fd === undefined) return HostNetwork.open();
  let namespace = -1;
  try {
    namespace = callAddon(() => nativeAddon().openNamespace(native.fd));
    const here = fstatSync(namespace).ino === statSync('/proc/self/ns/net').ino;
    return HostNetwork.open(here ? {} : { netns: `/proc/self/fd/${namespace}` });
  } catch (error) {
    if (error instanceof StackError) return undefined;
    throw error;
  } finally {
    if (namespace >= 0) closeSync(namespace);
  }
}
