/** Routing rules of the kernel (`ip rule`) as netlink messages. */
import { ArgumentValueError } from '../base/errors.js';
import { type IpFamily, IpPrefix } from '../wire/ip-address.js';
import {
  addressBytes,
  familyNumber,
  familyOf,
  type NetlinkBytes,
  NetlinkRequest,
  readAddress,
} from './netlink.js';

/** What a rule does: asks a table, or refuses. */
export type HostRuleAction = 'table' | 'blackhole' | 'unreachable' | 'prohibit';

/** A routing rule of the host. Selectors that are absent match anything. */
export interface HostRule {
  /** Rules are asked in this order, 0 first; the kernel finds a free place by default. */
  readonly priority?: number;
  /** 4 by default where neither `from` nor `to` tells. */
  readonly family?: IpFamily;
  /** Source prefix. */
  readonly from?: string;
  /** Destination prefix. */
  readonly to?: string;
  /** Routing mark. */
  readonly mark?: number;
  /** Which bits of the mark count; all by default. */
  readonly mask?: number;
  /** Link a packet came in by; `lo` for the host's own. */
  readonly iif?: string;
  /** Link a socket is bound to. */
  readonly oif?: string;
  /** The table asked, 254 (`main`) by default. */
  readonly table?: number;
  /** `table` by default. */
  readonly action?: HostRuleAction;
}

const FRA = {
  DST: 1,
  SRC: 2,
  IIFNAME: 3,
  PRIORITY: 6,
  FWMARK: 10,
  TABLE: 15,
  FWMASK: 16,
  OIFNAME: 17,
} as const;
const ACTIONS = { table: 1, blackhole: 6, unreachable: 7, prohibit: 8 } as const;
const ACTION_NAMES = new Map<number, HostRuleAction>(
  Object.entries(ACTIONS).map(([name, number]) => [number, name as HostRuleAction]),
);
const MAIN_TABLE = 254;
const ALL_BITS = 0xffff_ffff;
const RULE_BYTES = 12;

export function ruleRequest(rule: HostRule, message: number, flags: number): NetlinkRequest {
  const { table = MAIN_TABLE, action = 'table', priority, mark, mask, iif, oif } = rule;
  const from = rule.from === undefined ? undefined : IpPrefix.parse(rule.from);
  const to = rule.to === undefined ? undefined : IpPrefix.parse(rule.to);
  const family = rule.family ?? from?.family ?? to?.family ?? 4;
  for (const prefix of [from, to]) {
    if (prefix !== undefined && prefix.family !== family) {
      throw new ArgumentValueError(`${prefix} is not of the family of its rule, ${family}`);
    }
  }
  if (ACTIONS[action] === undefined) throw new ArgumentValueError(`not an action of a rule: "${action}"`);
  const tableByte = action === 'table' && table < 256 ? table : 0;
  const request = new NetlinkRequest(message, flags);
  request
    .u8(familyNumber(family), to?.length ?? 0, from?.length ?? 0, 0, tableByte, 0, 0, ACTIONS[action])
    .u32(0);
  if (action === 'table') request.number(FRA.TABLE, table);
  if (priority !== undefined) request.number(FRA.PRIORITY, priority);
  if (from !== undefined) request.attribute(FRA.SRC, addressBytes(from.network.address));
  if (to !== undefined) request.attribute(FRA.DST, addressBytes(to.network.address));
  if (mark !== undefined) request.number(FRA.FWMARK, mark);
  if (mask !== undefined) request.number(FRA.FWMASK, mask);
  if (iif !== undefined) request.text(FRA.IIFNAME, iif);
  if (oif !== undefined) request.text(FRA.OIFNAME, oif);
  return request;
}

export function parseRule(body: NetlinkBytes): HostRule | undefined {
  const family = familyOf(body.u8(0));
  if (family === undefined) return undefined;
  const attributes = body.attributes(RULE_BYTES);
  const from = readAddress(attributes.get(FRA.SRC));
  const to = readAddress(attributes.get(FRA.DST));
  const mark = attributes.get(FRA.FWMARK)?.u32(0);
  const mask = attributes.get(FRA.FWMASK)?.u32(0);
  const iif = attributes.get(FRA.IIFNAME)?.text;
  const oif = attributes.get(FRA.OIFNAME)?.text;
  const action = ACTION_NAMES.get(body.u8(7)) ?? 'table';
  return {
    priority: attributes.get(FRA.PRIORITY)?.u32(0) ?? 0,
    family,
    action,
    ...(action === 'table' ? { table: attributes.get(FRA.TABLE)?.u32(0) ?? body.u8(4) } : {}),
    ...(from === undefined ? {} : { from: `${from}/${body.u8(2)}` }),
    ...(to === undefined ? {} : { to: `${to}/${body.u8(1)}` }),
    ...(mark === undefined ? {} : { mark }),
    ...(mask === undefined || mask === ALL_BITS ? {} : { mask }),
    ...(iif === undefined ? {} : { iif }),
    ...(oif === undefined ? {} : { oif }),
  };
}
