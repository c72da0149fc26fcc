/** Names that need not be asked for: a hosts table, as `/etc/hosts` has one. */
import { ArgumentTypeError, ArgumentValueError } from '../base/errors.js';
import { IpAddress } from '../wire/ip-address.js';

/**
 * A hosts table: the text of a hosts file (`10.0.0.2 server.example server`, `#` begins a comment), or each name
 * with its address or addresses.
 */
export type HostsOption = string | Readonly<Record<string, string | readonly string[]>>;

/** Most names a table may have. */
const MAX_NAMES = 100_000;

/** Names are compared without regard to case and to the dot at the end (RFC 4343). */
export const hostKey = (name: string): string => name.toLowerCase().replace(/\.$/, '');

/**
 * Names that need not be asked for, with their addresses.
 * @hideconstructor
 */
export class HostsTable {
  readonly #addresses = new Map<string, IpAddress[]>();
  /** The first name of each address. */
  readonly #names = new Map<string, string>();

  /**
   * Lines of a text that say nothing are skipped, as C libraries do.
   * @throws ArgumentTypeError, ArgumentValueError for a map with addresses that are none, or a table too large
   */
  constructor(given: HostsOption = {}) {
    if (typeof given === 'string') {
      for (const { address, names } of parseHosts(given)) for (const name of names) this.#add(name, address);
      return;
    }
    if (given === null || typeof given !== 'object') {
      throw new ArgumentTypeError('hosts must be the text of a hosts file, or a map from names to addresses');
    }
    for (const [name, addresses] of Object.entries(given)) {
      if (hostKey(name) === '') throw new ArgumentValueError('a name in hosts must not be empty');
      for (const address of typeof addresses === 'string' ? [addresses] : addresses) {
        this.#add(name, IpAddress.parse(address));
      }
    }
  }

  #add(name: string, address: IpAddress): void {
    const key = hostKey(name);
    const text = address.toString();
    if (!this.#names.has(text)) this.#names.set(text, name.replace(/\.$/, ''));
    const known = this.#addresses.get(key);
    if (known === undefined) {
      if (this.#addresses.size === MAX_NAMES) throw new ArgumentValueError(`more than ${MAX_NAMES} hosts`);
      this.#addresses.set(key, [address]);
    } else if (!known.some((other) => other.equals(address))) {
      known.push(address);
    }
  }

  /** How many names. */
  get size(): number {
    return this.#addresses.size;
  }

  /** The addresses of a name in the order given; undefined when it is not in the table. */
  addressesOf(name: string): readonly IpAddress[] | undefined {
    return this.#addresses.get(hostKey(name));
  }

  /** The first name given for an address. */
  nameOf(address: IpAddress): string | undefined {
    return this.#names.get(address.toString());
  }
}

export interface HostsLine {
  readonly address: IpAddress;
  readonly names: readonly string[];
}

/** What the lines of a hosts file say. */
export function parseHosts(text: string): HostsLine[] {
  const lines: HostsLine[] = [];
  for (const line of text.split(/\r\n|\n|\r/)) {
    const [first, ...names] = line.replace(/#.*/, '').trim().split(/\s+/);
    // Addresses with a zone belong to links of one host, and are skipped with what is none.
    const address = IpAddress.tryParse(first);
    if (address !== undefined && names.length > 0) lines.push({ address, names });
  }
  return lines;
}
