/**
 * The search for the path MTU of a connected endpoint (RFC 8899): `DatagramPlpmtud` with the clock, the
 * timers and the Packet Too Big messages of the stack. Probes are the protocol's: only it can pad a datagram
 * and have it acknowledged.
 */
import type { DatagramIcmpError, DatagramPath } from './carrier.js';
import {
  DatagramPlpmtud,
  DEFAULT_PLPMTUD_OPTIONS,
  datagramBytes,
  type PlpmtudOptions,
  type PlpmtudState,
} from './datagram-plpmtud.js';

/** What `stack.udp.searchPathMtu` is told: how to probe, whom to tell, and the limits and times of RFC 8899 §5.1. */
export interface PathMtuSearchOptions extends Partial<PlpmtudOptions> {
  /**
   * Sends a datagram of exactly `bytes` bytes by the endpoint, for the peer to acknowledge. What is not sent
   * counts as lost when the probe timer ends.
   */
  readonly probe: (bytes: number) => void;
  /** Told when datagrams may be of another size. */
  readonly onChange?: (plpmtuBytes: number) => void;
  /**
   * Whether what a Packet Too Big quotes of a datagram, from its first byte of payload on, is something that
   * was sent and that only both ends know. Without it such messages are ignored (RFC 8899 §4.6.1).
   */
  readonly validate?: (quoted: Uint8Array) => boolean;
}

/** What a search asks of UDP. */
export interface SearchHost {
  nowUs(): number;
  /** Its deadline may have changed. */
  wake(): void;
  /** It is over. */
  ended(search: PathMtuSearch): void;
}

const UDP_HEADER_BYTES = 8;

/**
 * A search for the largest datagrams that a path carries (RFC 8899), begun by `stack.udp.searchPathMtu`. The
 * protocol above tells it what became of its probes.
 */
export class PathMtuSearch {
  readonly #host: SearchHost;
  readonly #probe: PathMtuSearchOptions['probe'];
  readonly #onChange: PathMtuSearchOptions['onChange'];
  readonly #validate: PathMtuSearchOptions['validate'];
  readonly #machine: DatagramPlpmtud;
  #isOver = false;
  /** The size the owner knows of. */
  #toldBytes: number;

  /**
   * @internal Use `UdpLayer.searchPathMtu`. The link of `path` limits `maxBytes`.
   * @throws ArgumentRangeError for sizes and times no search could work with
   */
  constructor(host: SearchHost, path: DatagramPath, options: PathMtuSearchOptions) {
    const { probe, onChange, validate, ...given } = options;
    const linkBytes = datagramBytes(path.port.mtu, path.destination.family);
    const maxBytes = Math.min(given.maxBytes ?? linkBytes, linkBytes);
    const baseBytes = Math.min(given.baseBytes ?? DEFAULT_PLPMTUD_OPTIONS.baseBytes, maxBytes);
    const minBytes = Math.min(given.minBytes ?? DEFAULT_PLPMTUD_OPTIONS.minBytes, baseBytes);
    this.#host = host;
    this.#probe = probe;
    this.#onChange = onChange;
    this.#validate = validate;
    this.#machine = new DatagramPlpmtud({ ...given, maxBytes, baseBytes, minBytes });
    this.#toldBytes = this.#machine.plpmtuBytes;
  }

  /** Where the search is (RFC 8899 §5.2). */
  get state(): PlpmtudState {
    return this.#machine.state;
  }

  /** The largest datagram to send now, bytes of payload; probes may be larger. */
  get plpmtuBytes(): number {
    return this.#machine.plpmtuBytes;
  }

  /** @internal */
  get nextDeadlineUs(): number {
    return this.#machine.nextDeadlineUs;
  }

  /** The peer answers (again): the search begins with the base, and its first probe is sent at once. */
  connected(): void {
    this.#do(() => this.#machine.connected());
  }

  /** The peer has acknowledged a datagram of `bytes` bytes, a probe or another. */
  acknowledged(bytes: number): void {
    this.#do((nowUs) => this.#machine.acknowledged(bytes, nowUs));
  }

  /** A datagram of `bytes` bytes was lost, as far as the protocol can tell. */
  lost(bytes: number): void {
    this.#do((nowUs) => this.#machine.lost(bytes, nowUs));
  }

  /** Nothing of the size in use arrives any more: the search begins anew. */
  blackHole(): void {
    this.#do(() => this.#machine.blackHole());
  }

  /** Ends it; closing the endpoint does so too. */
  stop(): void {
    if (this.#isOver) return;
    this.#isOver = true;
    this.#machine.disconnected();
    this.#host.ended(this);
  }

  /** @internal Sends the probe that is due. */
  deadlineReached(): void {
    this.#do(() => {});
  }

  /** @internal A router says that a datagram of this endpoint was too big. */
  packetTooBig({ mtu, quote }: DatagramIcmpError): void {
    const { view, payloadAt, payloadBytes } = quote;
    const from = view.byteOffset + payloadAt + UDP_HEADER_BYTES;
    const quoted = new Uint8Array(view.buffer, from, Math.max(payloadBytes - UDP_HEADER_BYTES, 0));
    const isValidated = this.#validate?.(quoted) === true;
    const report = { bytes: datagramBytes(mtu, quote.version), isValidated };
    this.#do((nowUs) => this.#machine.packetTooBig(report, nowUs));
  }

  #do(step: (nowUs: number) => void): void {
    if (this.#isOver) return;
    const nowUs = this.#host.nowUs();
    step(nowUs);
    const bytes = this.#machine.nextProbe(nowUs);
    if (this.#machine.plpmtuBytes !== this.#toldBytes) {
      this.#toldBytes = this.#machine.plpmtuBytes;
      this.#onChange?.(this.#toldBytes);
    }
    if (bytes > 0 && !this.#isOver) this.#probe(bytes);
    this.#host.wake();
  }
}
