/**
 * What of IP may differ from link to link, and what each link has of it.
 */
import { ArgumentTypeError } from '../base/errors.js';
import { checkIpOption, DEFAULT_IP_OPTIONS, type IpOptions } from './options.js';
import { LOOPBACK_PORT } from './route-query.js';

/** Settings of IP that each link may have for itself; a link has those of the stack unless it is told otherwise. */
export type LinkIpOptions = Pick<
  IpOptions,
  'forwarding' | 'reversePathFilter' | 'directedBroadcast' | 'sendRedirects' | 'mssClamp'
>;

const NAMES: readonly (keyof LinkIpOptions)[] = [
  'forwarding',
  'reversePathFilter',
  'directedBroadcast',
  'sendRedirects',
  'mssClamp',
];

export class LinkSettings {
  readonly #common: LinkIpOptions;
  readonly #links: LinkIpOptions[] = [];
  /** Whether any link asks where answers would go: most never do. */
  checksReversePath = false;

  constructor(common: LinkIpOptions) {
    this.#common = common;
    // What loops back inside is this host's own, and never passed on.
    this.#links[LOOPBACK_PORT] = { ...pick(common), forwarding: false };
    this.#look();
  }

  /** What a link has. */
  of(index: number): LinkIpOptions {
    return index < this.#links.length ? this.#links[index] : this.#common;
  }

  /**
   * Changes some settings of a link.
   * @throws TypeError for an unknown name, ArgumentTypeError or ArgumentRangeError for a value that is none
   */
  set(index: number, given: Partial<LinkIpOptions>): void {
    if (typeof given !== 'object' || given === null) {
      throw new ArgumentTypeError('settings of a link must be an object');
    }
    for (const [key, value] of Object.entries(given)) {
      const name = NAMES.find((known) => known === key);
      if (name === undefined) throw new TypeError(`unknown IP option of a link "${key}"`);
      checkIpOption(name, value, DEFAULT_IP_OPTIONS[name]);
    }
    const settings = { ...pick(this.of(index)), ...given };
    if (index === LOOPBACK_PORT) settings.forwarding = false;
    while (this.#links.length < index) this.#links.push(this.#common);
    this.#links[index] = settings;
    this.#look();
  }

  /** A link is gone: another that gets its number begins with what all have. */
  forget(index: number): void {
    if (index > LOOPBACK_PORT && index < this.#links.length) this.#links[index] = this.#common;
    this.#look();
  }

  #look(): void {
    const all = [this.#common, ...this.#links];
    this.checksReversePath = all.some(({ reversePathFilter }) => reversePathFilter !== 'off');
  }
}

const pick = ({
  forwarding,
  reversePathFilter,
  directedBroadcast,
  sendRedirects,
  mssClamp,
}: LinkIpOptions): { -readonly [name in keyof LinkIpOptions]: LinkIpOptions[name] } => ({
  forwarding,
  reversePathFilter,
  directedBroadcast,
  sendRedirects,
  mssClamp,
});
