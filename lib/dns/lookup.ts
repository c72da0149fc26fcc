/**
 * Names as programs look them up, which is more than to ask a name server: addresses stand for themselves,
 * `localhost` is this stack, the hosts table is read, domains are tried, both families are asked, and the best
 * address comes first.
 */
import { IpAddress } from '../wire/ip-address.js';
import type { Answer } from './answer.js';
import type { Channel } from './channel.js';
import type { DnsStack } from './dns-stack.js';
import { dnsHost } from './host.js';
import { askableName, isLocalhost, isNowhere, LOOPBACK } from './names.js';

export interface FoundAddress {
  address: string;
  family: number;
}

export interface LookupQuery {
  readonly hostname: string;
  readonly family: 0 | 4 | 6;
  /** Bits of `Hint`. */
  readonly hints: number;
  readonly order: ResultOrder;
}

export const RESULT_ORDERS = ['verbatim', 'ipv4first', 'ipv6first'] as const;
export type ResultOrder = (typeof RESULT_ORDERS)[number];

/** What is found, at least one; or a code. */
export type LookedUp = (found: FoundAddress[] | string) => void;

/** Bits of `options.hints`, as Linux numbers them. */
export const Hint = { V4MAPPED: 8, ALL: 16, ADDRCONFIG: 32 } as const;

const TYPES = { 4: 'A', 6: 'AAAA' } as const;

/** Looks a name up that is no address. `lookedUp` is called later. */
export function lookUp(stack: DnsStack, channel: Channel, query: LookupQuery, lookedUp: LookedUp): void {
  const { hostname } = query;
  const soon = (found: FoundAddress[] | string): void => dnsHost().soon(() => lookedUp(found));
  if (isLocalhost(hostname)) {
    soon(arrange(stack, query, [IpAddress.parse(LOOPBACK.A), IpAddress.parse(LOOPBACK.AAAA)], true));
    return;
  }
  const wanted = wantedFamilies(stack, query);
  const known = stack.dnsSettings.hosts
    .addressesOf(hostname)
    ?.filter(({ family }) => wanted.includes(family));
  if (known !== undefined && known.length > 0) {
    soon(arrange(stack, query, known, true));
    return;
  }
  const name = askableName(hostname);
  if (name === undefined || name === '' || isNowhere(name) || wanted.length === 0) {
    soon('ENOTFOUND');
    return;
  }
  const candidates = candidatesOf(name, hostname.endsWith('.'), stack.dnsSettings);
  new Search(channel, candidates, wanted, (found) => {
    lookedUp(typeof found === 'string' ? found : arrange(stack, query, found, false));
  });
}

/** The families to look for: with `ADDRCONFIG` those that this stack has itself. */
function wantedFamilies(stack: DnsStack, { family, hints }: LookupQuery): (4 | 6)[] {
  const mayMap = family === 6 && (hints & Hint.V4MAPPED) !== 0;
  const asked: (4 | 6)[] = family === 0 || mayMap ? [4, 6] : [family];
  if ((hints & Hint.ADDRCONFIG) === 0) return asked;
  const ours = new Set<number>();
  for (const { address } of stack.ip.addresses()) {
    const own = IpAddress.tryParse(address.split('/')[0]);
    if (own !== undefined && !own.isLoopback) ours.add(own.family);
  }
  return ours.size === 0 ? asked : asked.filter((one) => ours.has(one));
}

/** The names to try, in order, as `ndots` and `search` have it. A dot at the end says that nothing is to be added. */
function candidatesOf(name: string, isWhole: boolean, settings: DnsStack['dnsSettings']): string[] {
  if (isWhole) return [name];
  const longer = settings.search
    .map((domain) => askableName(domain === '' ? name : `${name}.${domain}`))
    .filter((candidate) => candidate !== undefined);
  const dots = name.split('.').length - 1;
  const order = dots >= settings.ndots ? [name, ...longer] : [...longer, name];
  return [...new Set(order)];
}

/** Tries one name after the other, in all families at once. */
class Search {
  readonly #channel: Channel;
  readonly #candidates: string[];
  readonly #families: readonly (4 | 6)[];
  readonly #done: (found: IpAddress[] | string) => void;
  /** What to say if nothing is found: not that there is nothing, as long as a server could not say. */
  #code = 'ENOTFOUND';

  constructor(
    channel: Channel,
    candidates: string[],
    families: readonly (4 | 6)[],
    done: (found: IpAddress[] | string) => void,
  ) {
    this.#channel = channel;
    this.#candidates = candidates;
    this.#families = families;
    this.#done = done;
    this.#next();
  }

  #next(): void {
    const name = this.#candidates.shift();
    if (name === undefined) {
      this.#done(this.#code);
      return;
    }
    const answers: Answer[] = [];
    for (const family of this.#families) {
      this.#channel.ask({ name, type: TYPES[family] }, (answer) => {
        answers.push(answer);
        if (answers.length === this.#families.length) this.#answered(answers);
      });
    }
  }

  #answered(answers: readonly Answer[]): void {
    const found = answers.flatMap(({ records }) => records.map(({ data }) => IpAddress.parse(String(data))));
    if (found.length > 0) {
      this.#done(found);
      return;
    }
    for (const { code } of answers) this.#code = weightier(this.#code, code === '' ? 'ENODATA' : code);
    // Without an answer from anybody the next name has none either.
    if (answers.some(({ code }) => GIVES_UP.has(code))) this.#done(this.#code);
    else this.#next();
  }
}

const GIVES_UP: ReadonlySet<string> = new Set(['ETIMEOUT', 'ECONNREFUSED', 'ECANCELLED', 'ENOMEM']);

const weightOf = (code: string): number => (code === 'ENOTFOUND' ? 0 : code === 'ENODATA' ? 1 : 2);

const weightier = (a: string, b: string): string => (weightOf(b) > weightOf(a) ? b : a);

/** Addresses as the caller wants them; a code where none is left. */
function arrange(
  stack: DnsStack,
  query: LookupQuery,
  found: readonly IpAddress[],
  isOrdered: boolean,
): FoundAddress[] | string {
  const { family, hints, order } = query;
  const inOrder = isOrdered ? found : stack.ip.orderDestinations(found);
  const v4 = inOrder.filter((address) => address.family === 4);
  const v6 = inOrder.filter((address) => address.family === 6);
  const show = (address: IpAddress): FoundAddress => ({ address: String(address), family: address.family });
  let shown: FoundAddress[];
  if (family === 4) shown = v4.map(show);
  else if (family === 6) {
    shown = v6.map(show);
    const mayMap = (hints & Hint.V4MAPPED) !== 0;
    if (mayMap && (shown.length === 0 || (hints & Hint.ALL) !== 0)) {
      shown.push(...v4.map((address) => ({ address: `::ffff:${address}`, family: 6 })));
    }
  } else if (order === 'ipv4first') shown = [...v4, ...v6].map(show);
  else if (order === 'ipv6first') shown = [...v6, ...v4].map(show);
  else shown = inOrder.map(show);
  return shown.length > 0 ? shown : 'ENOTFOUND';
}
