/** What the `--name=value` lines at the head of a script say, and what holds without them. */
import { IpAddress } from '../../wire/ip-address.js';
import { type IpVersion, PacketdrillSyntaxError, type ScriptOption } from './script.js';

export interface Config {
  readonly ipVersion: IpVersion;
  /** How far from its time something may happen, µs. */
  toleranceUs: number;
  readonly mtu: number;
  /** Largest segment the stack announces and sends, bytes; 0 for what the MTU allows. */
  readonly mssBytes: number;
  readonly local: IpAddress;
  readonly remote: IpAddress;
  /** Port of `bind(..., ..., ...)`, and that `connect(..., ..., ...)` goes to. */
  readonly bindPort: number;
  readonly connectPort: number;
  /** Of the stack's timestamps, µs, to have TSval compared; 0 not to. */
  readonly timestampTickUs: number;
}

const VERSIONS: ReadonlySet<string> = new Set(['ipv4', 'ipv6', 'ipv4-mapped-ipv6']);

/** packetdrill's own. */
const TOLERANCE_US = 4000;
const PORT = 8080;
const PLACES = {
  4: { local: '192.168.0.1', remote: '192.0.2.1', mtu: 1500 },
  // So that segments are as large as with IPv4, whose header is 20 bytes smaller.
  6: { local: 'fd3d:fa7b:d17d::1', remote: '2001:db8::1', mtu: 1520 },
} as const;

/** They concern how packetdrill runs, on which machine, and change nothing here. */
const IGNORED: ReadonlySet<string> = new Set([
  'define',
  'code_command',
  'code_format',
  'code_sockopt',
  'gateway_ip',
  'init_scripts',
  'live_bind_ip',
  'netmask_ip',
  'non_fatal',
  'persistent_tun_dev',
  'send_omit_free',
  'speed',
  'tcp_ts_ecr_scaled',
  'tolerance_percent',
  'udp_encaps',
  'verbose',
  'wire_client_dev',
  'wire_server_dev',
]);

/** The versions a script asks for; IPv4 where it asks for none. @throws PacketdrillSyntaxError */
export function ipVersionsOf(options: readonly ScriptOption[]): IpVersion[] {
  const option = options.findLast(({ name }) => name === 'ip_version');
  if (option === undefined) return ['ipv4'];
  return option.value.split(',').map((word) => {
    const version = word.trim().replaceAll('_', '-');
    if (!VERSIONS.has(version)) throw new PacketdrillSyntaxError(option.line, `IP version "${word}"`);
    return version as IpVersion;
  });
}

/** @throws PacketdrillSyntaxError for an unknown option or a wrong value */
export function configOf(options: readonly ScriptOption[], ipVersion: IpVersion): Config {
  const texts = new Map<string, ScriptOption>();
  for (const option of options) texts.set(option.name, option);
  const family = ipVersion === 'ipv6' ? 6 : 4;
  const taken = new Set<string>(['ip_version']);
  const number = (name: string, standard: number): number => {
    taken.add(name);
    const option = texts.get(name);
    if (option === undefined) return standard;
    const value = Number(option.value);
    if (!Number.isInteger(value) || value < 0) {
      throw new PacketdrillSyntaxError(option.line, `--${name} is a number, not "${option.value}"`);
    }
    return value;
  };
  const address = (name: string, standard: string): IpAddress => {
    taken.add(name);
    const given = texts.get(name)?.value;
    // A script for several versions has an address of one family only.
    const isOfFamily = given !== undefined && (family === 6) === given.includes(':');
    return IpAddress.parse(isOfFamily ? given : standard);
  };
  const config: Config = {
    ipVersion,
    toleranceUs: number('tolerance_usecs', TOLERANCE_US),
    mtu: number('mtu', PLACES[family].mtu),
    mssBytes: number('mss', 0),
    local: address('local_ip', PLACES[family].local),
    remote: address('remote_ip', PLACES[family].remote),
    bindPort: number('bind_port', PORT),
    connectPort: number('connect_port', PORT),
    timestampTickUs: number('tcp_ts_tick_usecs', 0),
  };
  for (const { name, line } of options) {
    if (taken.has(name) || IGNORED.has(name)) continue;
    throw new PacketdrillSyntaxError(line, `the option --${name} is not supported`);
  }
  return config;
}
