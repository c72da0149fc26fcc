/** The options of who takes UDP flows to any address. */
import { ArgumentRangeError, ArgumentTypeError, ArgumentValueError } from '../base/errors.js';
import type { AnyFilter } from '../wire/any-filter.js';

/** What makes a flow, and how long it lasts. */
export interface AnyUdpOptions extends AnyFilter {
  /** Whether the stack's own addresses are taken too, where no socket has the port; true by default. */
  readonly ownAddresses?: boolean;
  /**
   * `full`: a flow is an address and port inside, whatever it sends to, and may be answered from any address
   * (RFC 4787 §4.1, §5: endpoint-independent mapping and filtering). `symmetric`: it is a pair of such, and is
   * answered only from where it sent to. `full` by default.
   */
  readonly cone?: 'full' | 'symmetric';
  /**
   * A flow ends when nothing was sent from inside for so long, ms; 120,000 by default, and no less is allowed for
   * translators (RFC 4787 §4.3 REQ-5), which should have 300,000.
   */
  readonly idleMs?: number;
  /** Whether answers keep a flow alive too, which lets those outside do so (RFC 4787 §4.3 REQ-6); false by default. */
  readonly refreshInbound?: boolean;
  /**
   * Flows at once, those asked about included; datagrams that would begin one more are dropped. 4096 by default. Those
   * refused lately are remembered only as long as no other flow needs their place.
   */
  readonly maxFlows?: number;
  /** Flows asked about and not decided on, at once; one more is refused. 1024 by default. */
  readonly maxPending?: number;
  /** Who asks is forgotten after so long without a decision, ms; 30,000 by default. */
  readonly pendingMs?: number;
}

/** What is not for the filter. */
export type FlowOptions = Required<Omit<AnyUdpOptions, 'destinations' | 'sources' | 'ports' | 'link'>>;

export const DEFAULT_FLOW_OPTIONS: FlowOptions = Object.freeze({
  ownAddresses: true,
  cone: 'full',
  idleMs: 120_000,
  refreshInbound: false,
  maxFlows: 4096,
  maxPending: 1024,
  pendingMs: 30_000,
});

const FILTER_KEYS: ReadonlySet<string> = new Set(['destinations', 'sources', 'ports', 'link']);
/** The most flows, and ms, that make sense of a number. */
const MOST: Readonly<Record<string, number>> = {
  idleMs: 0x7fff_ffff,
  pendingMs: 0x7fff_ffff,
  maxFlows: 1 << 20,
  maxPending: 1 << 20,
};

/**
 * The defaults with `given` in place of some of them.
 * @throws TypeError for an unknown name; ArgumentTypeError, ArgumentValueError, ArgumentRangeError for a wrong value
 */
export function resolveFlowOptions(given: AnyUdpOptions): FlowOptions {
  if (given === null || typeof given !== 'object') throw new ArgumentTypeError('options must be an object');
  const options: Record<string, unknown> = { ...DEFAULT_FLOW_OPTIONS };
  for (const [key, value] of Object.entries(given)) {
    if (FILTER_KEYS.has(key) || value === undefined) continue;
    if (!Object.hasOwn(DEFAULT_FLOW_OPTIONS, key))
      throw new TypeError(`unknown option "${key}" of UDP flows`);
    checkOption(key, value);
    options[key] = value;
  }
  return Object.freeze(options as unknown as FlowOptions);
}

function checkOption(key: string, value: unknown): void {
  if (key === 'cone') {
    if (value === 'full' || value === 'symmetric') return;
    throw new ArgumentValueError(`cone must be full or symmetric, not ${String(value)}`);
  }
  if (key === 'refreshInbound' || key === 'ownAddresses') {
    if (typeof value !== 'boolean') throw new ArgumentTypeError(`${key} must be a boolean`);
    return;
  }
  if (typeof value !== 'number') throw new ArgumentTypeError(`${key} must be a number`);
  if (!Number.isInteger(value) || value < 1 || value > MOST[key]) {
    throw new ArgumentRangeError(`${key} must be an integer within 1 .. ${MOST[key]}, not ${value}`);
  }
}
