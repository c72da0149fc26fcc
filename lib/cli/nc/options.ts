/** What `tunstack nc` is told. */
import type { PortRange } from '../frame/values.js';
import type { FamilyOptions } from '../network/family.js';
import type { NetworkOptions } from '../network/options.js';

export interface NcOptions extends NetworkOptions, FamilyOptions {
  readonly listen: boolean;
  readonly udp: boolean;
  readonly scan: boolean;
  readonly keep: boolean;
  /** How long to connect, and how long nothing may pass, ms. */
  readonly wait?: number;
  readonly source?: string;
  readonly sourcePort: number;
  readonly verbose: boolean;
  readonly json: boolean;
}

/** Whom to talk to, or where to listen. */
export interface NcPlace {
  readonly host: string | undefined;
  readonly ports: readonly PortRange[];
}
