/** One run of a sweep: who sends what over which path, and which packets suffer. As text and as values. */
import { restArgument } from '../support/rest-after.js';

/** Who sends the data: the client with `up`, the server with `down`. */
export type Role = 'up' | 'down';

/** What happens to a packet. `reorder` makes it late by less than a quarter of a round trip, `delay` by more than one. */
export type FaultKind = 'drop' | 'corrupt' | 'duplicate' | 'reorder' | 'delay';

/** The direction a packet goes: with the data, or against it. */
export type Side = 'data' | 'ack';

export interface SweepConfig {
  readonly role: Role;
  readonly family: 4 | 6;
  /** Congestion control of both stacks. */
  readonly control: string;
  /** Both stacks exchange super-packets, which are split for the wire. */
  readonly superPackets: boolean;
}

export interface PlannedFault {
  readonly side: Side;
  /** Which packet to enter that direction; the first is 1. */
  readonly packet: number;
  readonly kind: FaultKind;
}

export interface FaultCase {
  readonly config: SweepConfig;
  readonly faults: readonly PlannedFault[];
}

export const KINDS: readonly FaultKind[] = ['drop', 'corrupt', 'duplicate', 'reorder', 'delay'];
const SIDES: readonly Side[] = ['data', 'ack'];

/** `down.6.cubic.super` and the like. */
const formatConfig = ({ role, family, control, superPackets }: SweepConfig): string =>
  [role, family, control, superPackets ? 'super' : 'plain'].join('.');

/** `down.6.cubic.super data:17:drop ack:3:delay` and the like. */
export const formatCase = ({ config, faults }: FaultCase): string =>
  [formatConfig(config), ...faults.map(({ side, packet, kind }) => [side, packet, kind].join(':'))].join(' ');

/** The command that runs a case again. */
export const commandFor = (faulty: FaultCase): string =>
  `npm run sweep -- --case '${formatCase(faulty)}'${restArgument()}`;

/** @throws Error when the text is no case */
export function parseCase(text: string): FaultCase {
  const [first, ...rest] = text.trim().split(/\s+/);
  const [, role, family, control, link] =
    /^(up|down)\.([46])\.([^.]+)\.(plain|super)$/.exec(first ?? '') ?? [];
  if (role === undefined) throw new Error(`no configuration of a sweep: "${first}"`);
  return {
    config: {
      role: role as Role,
      family: Number(family) as 4 | 6,
      control: control ?? '',
      superPackets: link === 'super',
    },
    faults: rest.map(parseFault),
  };
}

function parseFault(text: string): PlannedFault {
  const [side, packet, kind] = text.split(':');
  const known = SIDES.includes(side as Side) && KINDS.includes(kind as FaultKind);
  if (!known || !/^[1-9]\d*$/.test(packet ?? '')) throw new Error(`no fault: "${text}"`);
  return { side: side as Side, packet: Number(packet), kind: kind as FaultKind };
}

/** Every configuration there is with these congestion controls. */
export function allConfigs(controls: readonly string[]): SweepConfig[] {
  const configs: SweepConfig[] = [];
  for (const control of controls) {
    for (const role of ['up', 'down'] as const) {
      for (const family of [4, 6] as const) {
        for (const superPackets of [false, true]) configs.push({ role, family, control, superPackets });
      }
    }
  }
  return configs;
}
