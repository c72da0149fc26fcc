/** Where the host dials for those inside, and where it does not. */
import { IpAddress, IpPrefix } from '../wire/ip-address.js';

/**
 * What is never dialled, whatever is allowed: addresses of this host or of its links alone, which nobody passes on
 * (RFC 3927 §7, RFC 4291 §2.5.6), groups, and IPv4 written as IPv6 in the old way. In the newer way, mapped, it is read
 * as the IPv4 address it is.
 */
const NEVER = [
  '0.0.0.0/8',
  '127.0.0.0/8',
  '169.254.0.0/16',
  '224.0.0.0/4',
  '255.255.255.255',
  '::/96',
  'fe80::/10',
  'ff00::/8',
].map((text) => IpPrefix.parse(text));

const LOOPBACK = { 4: '127.0.0.1', 6: '::1' } as const;

/** Why an address is not dialled: nobody may, or nobody listens there. */
export const Refusal = { Denied: 1, Nobody: 2 } as const;
export type Refusal = (typeof Refusal)[keyof typeof Refusal];

/** Addresses as those inside write them, and as the host does. */
export class Destinations {
  readonly #denied: readonly IpPrefix[];
  readonly #loopbacks: readonly IpAddress[];
  /** What the host's loopback is called inside, by its address. */
  readonly #shown = new Map<string, string>();
  readonly #isOwn: (address: IpAddress) => boolean;
  /** The text read last, for those who ask for the same place again and again. */
  #lastText = '';
  #lastAddress: IpAddress | undefined;

  /**
   * @param denied what nobody inside reaches
   * @param loopbacks addresses that stand for the host's loopback, at most one of each family
   * @param isOwn whether an address is the stack's: the host may know another by the same address
   * @throws ArgumentTypeError, ArgumentValueError
   */
  constructor(
    denied: readonly IpPrefix[],
    loopbacks: readonly string[],
    isOwn: (address: IpAddress) => boolean,
  ) {
    this.#isOwn = isOwn;
    this.#denied = denied;
    this.#loopbacks = loopbacks.map((text) => IpAddress.parse(text));
    for (const address of this.#loopbacks) this.#shown.set(LOOPBACK[address.family], address.toString());
  }

  /** What the host dials for an address, or why it does not. */
  dialled(text: string): string | Refusal {
    if (text !== this.#lastText) {
      this.#lastAddress = IpAddress.tryParse(text);
      this.#lastText = text;
    }
    const address = this.#lastAddress;
    if (address === undefined) return Refusal.Denied;
    if (this.#denied.some((prefix) => prefix.contains(address))) return Refusal.Denied;
    if (this.#loopbacks.some((own) => own.equals(address))) return LOOPBACK[address.family];
    if (this.#isOwn(address)) return Refusal.Nobody;
    return NEVER.some((prefix) => prefix.contains(address)) ? Refusal.Denied : address.toString();
  }

  /** What those inside call an address of the host's side; undefined for one they have no name for. */
  shown(text: string): string | undefined {
    const known = this.#shown.get(text);
    if (known !== undefined) return known;
    const isLoopback = text.startsWith('127.') || text === '::1';
    return isLoopback || text.includes('%') ? undefined : text;
  }
}
