/**
 * Datagram packetization-layer path MTU discovery (RFC 8899), for protocols that run over UDP endpoints:
 * how large datagrams may be, found by probes that the protocol pads and its peer acknowledges. A state
 * machine told facts and asked for probes; it sends nothing and holds no clock.
 *
 *     const search = new DatagramPlpmtud({ maxBytes: 1472 });
 *     search.connected(nowUs);
 *     const bytes = search.nextProbe(nowUs); // send a padded datagram so long when it is not 0
 *     search.acknowledged(bytes, nowUs);     // the peer has it
 *     search.nextDeadlineUs;                 // ask for a probe again then
 *
 * For an endpoint of a stack, `UdpLayer.searchPathMtu` runs it with clock, timers and ICMP. By itself, the endpoint
 * should be set to `mtuDiscovery: 'probe'`, so that probes leave with DF whatever ICMP says.
 * All sizes are bytes of UDP payload.
 */
import { NEVER } from '../base/clock.js';
import { ArgumentRangeError, ArgumentValueError } from '../base/errors.js';

/** Where the search is (RFC 8899 §5.2). */
export type PlpmtudState = 'disabled' | 'base' | 'searching' | 'search-complete' | 'error';

/** Settings of a search, each with its default. Sizes are bytes of UDP payload. */
export interface PlpmtudOptions {
  /** MAX_PLPMTU: the largest datagram link and peer take; 1472, which is Ethernet's over IPv4. */
  readonly maxBytes: number;
  /** BASE_PLPMTU: a size that nearly every path takes; 1200 (RFC 8899 §5.1.2). */
  readonly baseBytes: number;
  /** MIN_PLPMTU: smaller ones are not used; 548, a datagram every IPv4 host takes (RFC 8085 §3.2). Over IPv6 1232 always fit. */
  readonly minBytes: number;
  /** PROBE_TIMER: a probe not acknowledged by then is lost, ms; 15000, not below 1000. */
  readonly probeTimerMs: number;
  /** MAX_PROBES: lost in a row, of any size, before a conclusion is drawn; 3. */
  readonly maxProbes: number;
  /** PMTU_RAISE_TIMER: until a path is searched again for more, ms; 600000. */
  readonly raiseTimerMs: number;
  /**
   * CONFIRMATION_TIMER: how often the size found is probed again, ms; 0, never. Only for protocols whose
   * data is not acknowledged; others tell losses by `lost` (RFC 8899 §5.1.1).
   */
  readonly confirmationTimerMs: number;
}

export const DEFAULT_PLPMTUD_OPTIONS: PlpmtudOptions = Object.freeze({
  maxBytes: 1472,
  baseBytes: 1200,
  minBytes: 548,
  probeTimerMs: 15_000,
  maxProbes: 3,
  raiseTimerMs: 600_000,
  confirmationTimerMs: 0,
});

/** RFC 8899 §5.1.1: the PROBE_TIMER must not be shorter, ms. */
const LEAST_PROBE_TIMER_MS = 1000;

/**
 * Datagrams that fill common paths (RFC 8899 §5.3.2), over IPv6 and IPv4: 1280, tunnels of 1400 and 1420,
 * 6in4 and GRE at 1480 and 1476, PPPoE at 1492, Ethernet, jumbo frames of 4000 and 9000.
 */
const COMMON_BYTES = [
  1232, 1252, 1352, 1372, 1392, 1412, 1428, 1432, 1448, 1452, 1464, 1472, 3952, 3972, 8952, 8972,
];

/** A Packet Too Big that has come. */
export interface PacketTooBigReport {
  /** PL_PTB_SIZE: what the reported MTU leaves to a datagram. See `datagramBytes`. */
  readonly bytes: number;
  /**
   * Whether the quoted packet is one that was sent: by its addresses and ports, which the endpoint has
   * checked, and by something only both ends know (RFC 8899 §4.6.1).
   */
  readonly isValidated: boolean;
}

/** UDP payload that a packet of `mtu` bytes carries, without options or extension headers. */
export const datagramBytes = (mtu: number, family: 4 | 6): number => mtu - (family === 4 ? 28 : 48);

/**
 * Datagram packetization-layer path MTU discovery (RFC 8899), for protocols over UDP that pad and acknowledge
 * probes: how large datagrams may be. It is told facts and asked for probes; it sends nothing and holds no
 * clock. Set the endpoint to `mtuDiscovery: 'probe'`, so that probes leave with DF whatever ICMP says.
 */
export class DatagramPlpmtud {
  readonly #options: PlpmtudOptions;
  #state: PlpmtudState = 'disabled';
  #plpmtuBytes: number;
  #maxBytes: number;
  /** Largest size this search may find: MAX_PLPMTU, or what a Packet Too Big named. */
  #ceilingBytes: number;
  /** PROBED_SIZE, and whether that probe is under way or to be sent. */
  #probedBytes = 0;
  #isUnderWay = false;
  #isDue = false;
  /** PROBE_COUNT: probes lost in a row. */
  #probeCount = 0;
  /** The first probe of a search tries the whole. */
  #isOptimistic = true;
  /** Large datagrams lost in a row. */
  #losses = 0;
  #probeTimerUs = NEVER;
  #raiseTimerUs = NEVER;
  #confirmationTimerUs = NEVER;

  /** @throws ArgumentValueError, ArgumentRangeError for what no search could work with */
  constructor(options: Partial<PlpmtudOptions> = {}) {
    for (const key of Object.keys(options)) {
      if (!Object.hasOwn(DEFAULT_PLPMTUD_OPTIONS, key)) {
        throw new ArgumentValueError(`unknown path MTU option "${key}"`);
      }
    }
    this.#options = Object.freeze({ ...DEFAULT_PLPMTUD_OPTIONS, ...options });
    checkOptions(this.#options);
    this.#plpmtuBytes = this.#options.baseBytes;
    this.#maxBytes = this.#options.maxBytes;
    this.#ceilingBytes = this.#maxBytes;
  }

  /** Where the search is. */
  get state(): PlpmtudState {
    return this.#state;
  }

  /** PLPMTU: the largest datagram to send now, probes apart. */
  get plpmtuBytes(): number {
    return this.#plpmtuBytes;
  }

  /** Size of the probe that is under way, or to be sent next; 0 for none. */
  get probedBytes(): number {
    return this.#isUnderWay || this.#isDue ? this.#probedBytes : 0;
  }

  /** When `nextProbe` wants to be called, µs: at once (0) where a probe waits to be sent. */
  get nextDeadlineUs(): number {
    if (this.#isDue) return 0;
    return Math.min(this.#probeTimerUs, this.#raiseTimerUs, this.#confirmationTimerUs);
  }

  /** The peer is there (or again): discovery begins with the base. */
  connected(): void {
    if (this.#state === 'disabled') this.#enterBase();
  }

  /** The peer is not there any more. */
  disconnected(): void {
    this.#stop();
    this.#state = 'disabled';
    this.#plpmtuBytes = Math.min(this.#options.baseBytes, this.#maxBytes);
  }

  /**
   * Size of the probe to send now, 0 for none; that it was sent is taken for granted. A sender without
   * anything else to say may ask later (RFC 8899 §4.3).
   */
  nextProbe(nowUs: number): number {
    if (this.#probeTimerUs <= nowUs) this.#probeLost(nowUs);
    if (this.#raiseTimerUs <= nowUs) this.#enterSearching(nowUs);
    if (this.#confirmationTimerUs <= nowUs) {
      this.#confirmationTimerUs = NEVER;
      this.#probeCount = 0;
      this.#want(this.#plpmtuBytes);
    }
    if (!this.#isDue) return 0;
    this.#isDue = false;
    this.#isUnderWay = true;
    this.#probeTimerUs = nowUs + this.#options.probeTimerMs * 1000;
    return this.#probedBytes;
  }

  /** The peer has acknowledged a datagram of `bytes`, a probe or another. */
  acknowledged(bytes: number, nowUs: number): void {
    if (bytes > this.#options.baseBytes) this.#losses = 0;
    if (!this.#isUnderWay || bytes !== this.#probedBytes) return;
    this.#isUnderWay = false;
    this.#probeTimerUs = NEVER;
    this.#probeCount = 0;
    if (this.#state === 'base') this.#enterSearching(nowUs);
    else if (this.#state === 'error') this.#probedInError(bytes, nowUs);
    else if (this.#state === 'search-complete') this.#awaitConfirmation(nowUs);
    else {
      this.#plpmtuBytes = bytes;
      this.#continue(nowUs);
    }
  }

  /** A datagram of `bytes` was lost, as far as the protocol can tell. Too many large ones in a row mean a black hole. */
  lost(bytes: number, nowUs: number): void {
    if (this.#isUnderWay && bytes === this.#probedBytes) {
      // While there is an error, probes keep the pace of their timer.
      if (this.#state !== 'error') this.#probeLost(nowUs);
      return;
    }
    if (bytes <= this.#options.baseBytes || bytes > this.#plpmtuBytes) return;
    if (++this.#losses >= this.#options.maxProbes) this.blackHole();
  }

  /** The path has ceased to carry datagrams of the size in use (RFC 8899 §4.3): discovery begins anew with the base. */
  blackHole(): void {
    if (this.#state !== 'disabled' && this.#state !== 'error') this.#enterBase();
  }

  /**
   * Packet Too Big was received (RFC 8899 §4.6.2). What it says is never believed, only probed.
   * @returns whether anything changed
   */
  packetTooBig(report: PacketTooBigReport, nowUs: number): boolean {
    const { bytes, isValidated } = report;
    const { minBytes, baseBytes } = this.#options;
    const sentBytes = Math.max(this.#plpmtuBytes, this.probedBytes);
    if (!isValidated || this.#state === 'disabled' || bytes < minBytes || bytes >= sentBytes) return false;
    if (bytes < baseBytes) {
      if (this.#state === 'error') return false;
      this.#enterError();
      return true;
    }
    if (bytes < this.#plpmtuBytes) {
      this.#enterBase();
      this.#ceilingBytes = bytes;
      return true;
    }
    if (this.#state !== 'searching') return false;
    this.#ceilingBytes = bytes;
    if (bytes === this.#plpmtuBytes) {
      this.#complete(nowUs);
    } else {
      this.#probeCount = 0;
      this.#want(bytes);
    }
    return true;
  }

  /** The link, or the peer, takes datagrams of up to `maxBytes` now. @throws ArgumentRangeError below `minBytes` */
  limitChanged(maxBytes: number, nowUs: number): void {
    if (!(Number.isSafeInteger(maxBytes) && maxBytes >= this.#options.minBytes)) {
      throw new ArgumentRangeError(
        `maxBytes must be an integer from ${this.#options.minBytes}, not ${maxBytes}`,
      );
    }
    const isOpen = this.#ceilingBytes === this.#maxBytes;
    this.#maxBytes = maxBytes;
    this.#ceilingBytes = isOpen ? maxBytes : Math.min(this.#ceilingBytes, maxBytes);
    this.#plpmtuBytes = Math.min(this.#plpmtuBytes, maxBytes);
    if (this.#state === 'search-complete' && maxBytes > this.#plpmtuBytes) this.#enterSearching(nowUs);
    else if (this.#state === 'searching') this.#continue(nowUs);
    else if (this.probedBytes > maxBytes) this.#want(maxBytes);
  }

  // ---- states -----------------------------------------------------------------------------------

  #stop(): void {
    this.#isDue = false;
    this.#isUnderWay = false;
    this.#probeCount = 0;
    this.#losses = 0;
    this.#probeTimerUs = NEVER;
    this.#raiseTimerUs = NEVER;
    this.#confirmationTimerUs = NEVER;
  }

  #want(bytes: number): void {
    this.#probedBytes = bytes;
    this.#isDue = true;
    this.#isUnderWay = false;
    this.#probeTimerUs = NEVER;
  }

  #enterBase(): void {
    this.#stop();
    this.#state = 'base';
    this.#ceilingBytes = this.#maxBytes;
    this.#plpmtuBytes = Math.min(this.#options.baseBytes, this.#maxBytes);
    this.#want(this.#plpmtuBytes);
  }

  #enterSearching(nowUs: number): void {
    const fromAbove = this.#state === 'search-complete';
    this.#stop();
    this.#state = 'searching';
    if (fromAbove) this.#ceilingBytes = this.#maxBytes;
    this.#isOptimistic = true;
    this.#continue(nowUs);
  }

  /** Not even the base arrives: the smallest size is used, and confirmed first. */
  #enterError(): void {
    this.#stop();
    this.#state = 'error';
    this.#ceilingBytes = this.#maxBytes;
    this.#plpmtuBytes = Math.min(this.#options.minBytes, this.#maxBytes);
    this.#want(this.#plpmtuBytes);
  }

  #complete(nowUs: number): void {
    this.#stop();
    this.#state = 'search-complete';
    // At the very limit there is nothing to raise.
    if (this.#plpmtuBytes < this.#maxBytes) {
      this.#raiseTimerUs = nowUs + this.#options.raiseTimerMs * 1000;
    }
    this.#awaitConfirmation(nowUs);
  }

  #awaitConfirmation(nowUs: number): void {
    const { confirmationTimerMs } = this.#options;
    this.#confirmationTimerUs = confirmationTimerMs > 0 ? nowUs + confirmationTimerMs * 1000 : NEVER;
  }

  // ---- probes -----------------------------------------------------------------------------------

  /** A probe was not acknowledged in time. */
  #probeLost(nowUs: number): void {
    this.#isUnderWay = false;
    this.#probeTimerUs = NEVER;
    this.#probeCount++;
    const isLast = this.#probeCount >= this.#options.maxProbes;
    if (this.#state === 'searching') {
      this.#isOptimistic = false;
      if (isLast) this.#complete(nowUs);
      else this.#continue(nowUs);
    } else if (!isLast) {
      this.#want(this.#probedBytes);
    } else if (this.#state === 'base') {
      this.#enterError();
    } else if (this.#state === 'search-complete') {
      this.#enterBase();
    } else if (this.#probedBytes <= this.#plpmtuBytes) {
      // Nothing arrives (RFC 8899 §5.2): the protocol has lost its peer, and says when it is back.
      this.#stop();
      this.#state = 'disabled';
    } else {
      this.#probeCount = 0;
      this.#want(this.#probedBytes);
    }
  }

  /** In ERROR the smallest size was confirmed, or at last the base. */
  #probedInError(bytes: number, nowUs: number): void {
    const baseBytes = Math.min(this.#options.baseBytes, this.#maxBytes);
    if (bytes >= baseBytes) {
      this.#plpmtuBytes = bytes;
      this.#enterSearching(nowUs);
      return;
    }
    // The base is tried as often as a probe takes, for as long as the error lasts.
    this.#probedBytes = baseBytes;
    this.#probeTimerUs = nowUs + this.#options.probeTimerMs * 1000;
  }

  #continue(nowUs: number): void {
    const size = this.#nextSize();
    if (size === 0) this.#complete(nowUs);
    else this.#want(size);
  }

  /** What to probe next: the ceiling, and if that was lost the common sizes one after the other. */
  #nextSize(): number {
    const low = this.#plpmtuBytes;
    const high = this.#ceilingBytes;
    if (high <= low) return 0;
    if (this.#isOptimistic) return high;
    for (const size of COMMON_BYTES) if (size > low && size < high) return size;
    return high;
  }
}

function checkOptions(options: PlpmtudOptions): void {
  const { minBytes, baseBytes, maxBytes, probeTimerMs, maxProbes, raiseTimerMs } = options;
  for (const [key, value] of Object.entries(options)) {
    if (!(Number.isSafeInteger(value) && value >= 0)) {
      throw new ArgumentRangeError(`${key} must be an integer from 0, not ${String(value)}`);
    }
  }
  if (!(minBytes >= 1 && minBytes <= baseBytes && baseBytes <= maxBytes && maxBytes <= 65_527)) {
    throw new ArgumentRangeError('1 <= minBytes <= baseBytes <= maxBytes <= 65527 must hold');
  }
  if (probeTimerMs < LEAST_PROBE_TIMER_MS) {
    throw new ArgumentRangeError(
      `probeTimerMs must be at least ${LEAST_PROBE_TIMER_MS}, not ${probeTimerMs}`,
    );
  }
  if (maxProbes < 1) throw new ArgumentRangeError('maxProbes must be at least 1');
  if (raiseTimerMs < 1) throw new ArgumentRangeError('raiseTimerMs must be at least 1');
  if (options.confirmationTimerMs >= raiseTimerMs) {
    throw new ArgumentRangeError('confirmationTimerMs must be less than raiseTimerMs');
  }
}
