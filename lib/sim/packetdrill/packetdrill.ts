/**
 * Scripts in packetdrill's notation, run against a stack in virtual time. `docs/packetdrill.md` says what of
 * the language is supported.
 */
import type { StackOptions } from '../../stack/stack.js';
import { configOf, ipVersionsOf } from './config.js';
import { parseScript } from './parser.js';
import { Run } from './runner.js';
import type { IpVersion } from './script.js';

/** How a script is run. */
export interface PacketdrillOptions {
  /** For messages; `script` by default. */
  readonly name?: string;
  /** Runs only with this one, whatever the script asks for. */
  readonly ipVersion?: IpVersion;
  /** How far from its time something may happen, µs; what the script says comes first, 4000 by default. */
  readonly toleranceUs?: number;
  /** Packets that no line expects are failures; false by default, as packetdrill itself is. */
  readonly strict?: boolean;
  /** Names in the script to be replaced by values, as packetdrill's `-D`. */
  readonly defines?: Readonly<Record<string, string>>;
  /** Of everything random; 1 by default. */
  readonly seed?: number;
  /** Settings of the stack, which commands in the script change. */
  readonly stack?: Pick<StackOptions, 'tcp' | 'ip'>;
  /** Hears what `print` in `%{ }%` says; nobody does by default. */
  readonly print?: (text: string) => void;
}

/** What a run came to, for one version of IP. */
export interface PacketdrillResult {
  /** The version of IP it ran with. */
  readonly ipVersion: IpVersion;
  /** Virtual time it took, µs. */
  readonly durationUs: number;
}

/**
 * Runs a script once for each version of IP it asks for.
 * @throws PacketdrillSyntaxError where it cannot be understood; PacketdrillFailure at the first event that
 *   does not come out as written
 */
export function runPacketdrill(script: string, options: PacketdrillOptions = {}): PacketdrillResult[] {
  const parsed = parseScript(script, options.defines);
  const versions = options.ipVersion === undefined ? ipVersionsOf(parsed.options) : [options.ipVersion];
  return versions.map((ipVersion) => {
    const config = configOf(parsed.options, ipVersion);
    const hasTolerance = parsed.options.some(({ name }) => name === 'tolerance_usecs');
    if (options.toleranceUs !== undefined && !hasTolerance) config.toleranceUs = options.toleranceUs;
    const run = new Run({
      name: options.name ?? 'script',
      config,
      stack: options.stack ?? {},
      seed: options.seed ?? 1,
      strict: options.strict === true,
      print: options.print ?? (() => {}),
    });
    run.run(parsed);
    return { ipVersion, durationUs: run.elapsedUs };
  });
}

/** The versions of IP a script asks for. @throws PacketdrillSyntaxError */
export const packetdrillVersions = (script: string): IpVersion[] => ipVersionsOf(parseScript(script).options);

export type { IpVersion } from './script.js';
export { PacketdrillSyntaxError } from './script.js';
export { PacketdrillFailure } from './trace.js';
