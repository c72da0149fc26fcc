/**
 * Routing rules, as `ip rule` has them: an ordered list, each with a selector and an action.
 */
import { ArgumentRangeError, ArgumentTypeError, ArgumentValueError, StackError } from '../base/errors.js';
import { type IpFamily, IpPrefix } from '../wire/ip-address.js';
import { PrefixMask } from './prefix-mask.js';
import { RouteTableId, type RouteTableName, tableNumber } from './route.js';
import type { RouteQuery } from './route-query.js';

export const RULE_ACTIONS = ['lookup', 'blackhole', 'unreachable', 'prohibit', 'goto', 'nop'] as const;
/** What a rule does: asks a table, refuses, jumps, or nothing. */
export type RuleAction = (typeof RULE_ACTIONS)[number];

/** First and last of a range, or one number. */
export type RangeSpec = number | readonly [number, number];

/** A rule as a caller describes it. Selectors that are absent match anything. */
export interface RuleSpec {
  /** 0 .. 2^32-1, evaluated in ascending order; by default just before the first rule that has one above 0. */
  readonly priority?: number;
  /** Both families when neither this nor an address says otherwise. */
  readonly family?: IpFamily;
  /** Source prefix. */
  readonly from?: string | IpPrefix;
  /** Destination prefix. */
  readonly to?: string | IpPrefix;
  /** DSCP << 2. */
  readonly tos?: number;
  /** Name or index of the port a packet came in through; `lo` for those this host sends. */
  readonly iif?: string | number;
  /** Name or index of the port a socket is bound to. */
  readonly oif?: string | number;
  /** Routing mark. */
  readonly mark?: number;
  /** Bits of the mark that count; all by default. */
  readonly markMask?: number;
  /** Protocol number. */
  readonly ipproto?: number;
  /** Source port. */
  readonly sport?: RangeSpec;
  /** Destination port. */
  readonly dport?: RangeSpec;
  /** User of the socket. */
  readonly uid?: RangeSpec;
  /** Matches what the selectors do not. */
  readonly not?: boolean;
  /** `lookup` by default. */
  readonly action?: RuleAction;
  /** For `lookup`; `main` by default. */
  readonly table?: number | RouteTableName;
  /** For `goto`: a priority above this rule's. */
  readonly goto?: number;
  /** For `lookup`: routes with prefixes of at most this length do not count. */
  readonly suppressPrefixLength?: number;
}

const MAX_PRIORITY = 0xffff_ffff;

/**
 * A rule, read and checked.
 * @hideconstructor
 */
export class Rule {
  /** Its place among the rules: 0 first. */
  readonly priority: number;
  /** 4 or 6; 0 for both. */
  readonly family: IpFamily | 0;
  /** Source prefix; undefined for any, as with the other selectors. */
  readonly from: PrefixMask | undefined;
  /** Destination prefix. */
  readonly to: PrefixMask | undefined;
  /** DSCP << 2; 0 for any. */
  readonly tos: number;
  /** Port a packet came in through. */
  readonly iif: string | number | undefined;
  /** Port a socket is bound to. */
  readonly oif: string | number | undefined;
  /** Routing mark. */
  readonly mark: number;
  /** Bits of the mark that count; 0 for none. */
  readonly markMask: number;
  /** Protocol number; 0 for any. */
  readonly ipproto: number;
  /** Source ports, first and last. */
  readonly sport: readonly [number, number] | undefined;
  /** Destination ports, first and last. */
  readonly dport: readonly [number, number] | undefined;
  /** Users of the socket, first and last. */
  readonly uid: readonly [number, number] | undefined;
  /** Whether it matches what the selectors do not. */
  readonly not: boolean;
  /** What it does. */
  readonly action: RuleAction;
  /** Number of the table asked; 0 for other actions. */
  readonly table: number;
  /** Priority to go on with; 0 for other actions. */
  readonly goto: number;
  /** Routes with prefixes of at most this length do not count; -1 for none. */
  readonly suppressPrefixLength: number;
  /** Indexes of the ports that `iif` and `oif` name; -1 while there is none. @hidden */
  iifIndex = -1;
  /** @hidden */
  oifIndex = -1;

  /** @throws ArgumentTypeError, ArgumentValueError or ArgumentRangeError for what can never be right */
  constructor(spec: RuleSpec, priority: number) {
    this.priority = integer('priority', priority, MAX_PRIORITY);
    this.from = prefixOf(spec.from);
    this.to = prefixOf(spec.to);
    this.family = spec.family ?? this.from?.family ?? this.to?.family ?? 0;
    for (const prefix of [this.from, this.to]) {
      if (prefix !== undefined && prefix.family !== this.family) {
        throw new ArgumentValueError('the prefixes of a rule must be of its family');
      }
    }
    this.tos = integer('tos', spec.tos ?? 0, 0xfc) & 0xfc;
    this.iif = spec.iif;
    this.oif = spec.oif;
    this.mark = integer('mark', spec.mark ?? 0, 0xffff_ffff) | 0;
    this.markMask =
      (spec.mark === undefined && spec.markMask === undefined
        ? 0
        : integer('markMask', spec.markMask ?? 0xffff_ffff, 0xffff_ffff)) | 0;
    this.ipproto = integer('ipproto', spec.ipproto ?? 0, 255);
    this.sport = rangeOf('sport', spec.sport, 0xffff);
    this.dport = rangeOf('dport', spec.dport, 0xffff);
    this.uid = rangeOf('uid', spec.uid, 0xffff_ffff);
    this.not = spec.not ?? false;
    this.action = spec.action ?? (spec.goto === undefined ? 'lookup' : 'goto');
    if (!RULE_ACTIONS.includes(this.action)) throw new ArgumentValueError(`not an action: ${this.action}`);
    this.table = this.action === 'lookup' ? tableNumber(spec.table ?? 'main') : 0;
    this.goto = this.action === 'goto' ? integer('goto', spec.goto ?? 0, MAX_PRIORITY) : 0;
    if (this.action === 'goto' && this.goto <= priority) {
      throw new ArgumentRangeError('a rule can only go to a rule of a higher priority number');
    }
    this.suppressPrefixLength =
      spec.suppressPrefixLength === undefined
        ? -1
        : integer('suppressPrefixLength', spec.suppressPrefixLength, 128);
  }

  /** @hidden */
  matches(query: RouteQuery): boolean {
    return this.#selects(query) !== this.not;
  }

  /** Whether every selector is the same as in `other`: the same rule twice is a mistake. @hidden */
  equals(other: Rule): boolean {
    return JSON.stringify(this) === JSON.stringify(other);
  }

  #selects(query: RouteQuery): boolean {
    if (this.iif !== undefined && this.iifIndex !== query.iif) return false;
    if (this.oif !== undefined && this.oifIndex !== query.oif) return false;
    if (((query.mark ^ this.mark) & this.markMask) !== 0) return false;
    if (this.tos !== 0 && this.tos !== query.tos) return false;
    if (this.ipproto !== 0 && this.ipproto !== query.protocol) return false;
    if (this.from !== undefined && !this.from.covers(query.s0, query.s1, query.s2, query.s3)) return false;
    if (this.to !== undefined && !this.to.covers(query.d0, query.d1, query.d2, query.d3)) return false;
    return (
      within(this.sport, query.sourcePort) &&
      within(this.dport, query.destinationPort) &&
      within(this.uid, query.uid)
    );
  }

  /** Its fields, prefixes as text. */
  toJSON(): Record<string, unknown> {
    const { from, to, ...rest } = this;
    return { ...rest, from: from?.toString(), to: to?.toString(), iifIndex: undefined, oifIndex: undefined };
  }
}

const within = (range: readonly [number, number] | undefined, value: number): boolean =>
  range === undefined || (value >= range[0] && value <= range[1]);

function integer(name: string, value: number, most: number): number {
  if (!Number.isInteger(value) || value < 0 || value > most) {
    throw new ArgumentRangeError(`${name} of a rule must be 0 .. ${most}, not ${value}`);
  }
  return value;
}

function rangeOf(
  name: string,
  range: RangeSpec | undefined,
  most: number,
): readonly [number, number] | undefined {
  if (range === undefined) return undefined;
  const [first, last] = typeof range === 'number' ? [range, range] : range;
  integer(name, first, most);
  integer(name, last, most);
  if (first > last) throw new ArgumentRangeError(`${name} of a rule must be an ascending range`);
  return [first, last];
}

const prefixOf = (value: string | IpPrefix | undefined): PrefixMask | undefined =>
  value === undefined ? undefined : new PrefixMask(value instanceof IpPrefix ? value : IpPrefix.parse(value));

/** What a list of rules needs of its surroundings. */
export interface RuleSurroundings {
  /** Index of a port by name or index; -1 for none. */
  portIndex(port: string | number): number;
  /** Something changed. */
  changed(): void;
  readonly limit: number;
}

/**
 * The rules, in the order in which they are evaluated.
 * @hideconstructor
 */
export class RuleList {
  readonly #surroundings: RuleSurroundings;
  #rules: Rule[] = [];
  /**
   * Whether the first rule sends everything to the local table, as it does unless somebody changed it.
   * @hidden
   */
  localFirst = false;

  constructor(surroundings: RuleSurroundings) {
    this.#surroundings = surroundings;
    this.add({ priority: 0, table: 'local' });
    this.add({ priority: 32_766, table: 'main' });
    this.add({ priority: 32_767, table: 'default' });
  }

  /** In the order in which they are evaluated. */
  list(): readonly Rule[] {
    return this.#rules;
  }

  /**
   * Adds a rule behind those of its priority.
   * @throws StackError EEXIST for the same rule twice, ENOBUFS for one too many
   */
  add(spec: RuleSpec): Rule {
    if (typeof spec !== 'object' || spec === null) throw new ArgumentTypeError('a rule must be an object');
    const rule = new Rule(spec, spec.priority ?? this.#defaultPriority());
    if (this.#rules.some((other) => other.equals(rule))) throw new StackError('EEXIST', 'rule');
    if (this.#rules.length >= this.#surroundings.limit) throw new StackError('ENOBUFS', 'rule');
    const place = this.#rules.findIndex((other) => other.priority > rule.priority);
    this.#rules = this.#rules.toSpliced(place < 0 ? this.#rules.length : place, 0, rule);
    this.#changed();
    return rule;
  }

  /**
   * Removes the first rule that has everything `spec` names.
   * @throws StackError ENOENT when there is none
   */
  delete(spec: RuleSpec): void {
    const wanted = Object.entries(new Rule({ priority: 0, ...spec }, spec.priority ?? 0).toJSON());
    const named = new Set(Object.keys(spec));
    if (named.has('goto')) named.add('action');
    if (named.has('from') || named.has('to')) named.add('family');
    const place = this.#rules.findIndex((rule) => {
      const has = rule.toJSON();
      return wanted.every(
        ([key, value]) => !named.has(key) || JSON.stringify(has[key]) === JSON.stringify(value),
      );
    });
    if (place < 0) throw new StackError('ENOENT', 'rule');
    this.#rules = this.#rules.toSpliced(place, 1);
    this.#changed();
  }

  /** Removes all but those of priority 0, without which nothing is local: `ip rule flush`. */
  flush(): void {
    this.#rules = this.#rules.filter((rule) => rule.priority === 0);
    this.#changed();
  }

  /** Looks up the names of ports anew. @hidden */
  portsChanged(): void {
    for (const rule of this.#rules) {
      rule.iifIndex = rule.iif === undefined ? -1 : this.#surroundings.portIndex(rule.iif);
      rule.oifIndex = rule.oif === undefined ? -1 : this.#surroundings.portIndex(rule.oif);
      // A port that does not exist must match nothing, not even what comes from nowhere.
      if (rule.iifIndex < 0) rule.iifIndex = -2;
      if (rule.oifIndex < 0) rule.oifIndex = -2;
    }
  }

  /** Place of the first rule of `priority` for `family`, or -1. @hidden */
  placeOf(priority: number, family: IpFamily): number {
    return this.#rules.findIndex(
      (rule) => rule.priority === priority && (rule.family === 0 || rule.family === family),
    );
  }

  #changed(): void {
    this.portsChanged();
    const first = this.#rules[0];
    this.localFirst =
      first !== undefined && first.table === RouteTableId.local && isPlain(first) && first.family === 0;
    this.#surroundings.changed();
  }

  /** Just before the first rule behind the local one, as `ip rule add` chooses. */
  #defaultPriority(): number {
    const second = this.#rules[1];
    return second === undefined || second.priority === 0 ? 0 : second.priority - 1;
  }
}

/** Whether a rule selects everything. */
function isPlain(rule: Rule): boolean {
  const selects = [rule.from, rule.to, rule.iif, rule.oif, rule.sport, rule.dport, rule.uid];
  const numbers = rule.tos | rule.markMask | rule.ipproto;
  return selects.every((s) => s === undefined) && numbers === 0 && !rule.not && rule.suppressPrefixLength < 0;
}
