/** What the commands that run a program in a namespace have in common on their command lines. */
import type { ArgumentSpec, ExitSpec, OptionSpec } from '../frame/spec.js';
import * as values from '../frame/values.js';

export const PROGRAM: readonly ArgumentSpec[] = [
  {
    name: 'command',
    description: 'program and its arguments',
    optional: true,
    variadic: true,
    completes: 'command',
  },
];

/** @param obstacle what makes it fail on its own account */
export const programExits = (obstacle: string): readonly ExitSpec[] => [
  { status: 0, meaning: 'and any other: the status of the program' },
  { status: 1, meaning: `${obstacle}, or the program ended so` },
  { status: 126, meaning: 'the program may not be run' },
  { status: 127, meaning: 'there is no such program' },
  { status: 130, meaning: 'the program was ended by SIGINT; 128 + n by signal n' },
];

/** Attribute names of the options by which `tun2socks` serves a TUN, and which make no namespace. */
const TUN = ['tun', 'fd'];

/** `SpaceOptions`, but for the limits. */
export const SPACE_OPTIONS: readonly OptionSpec[] = [
  {
    flags: '--icmp <policy>',
    description: 'what becomes of echo requests for other hosts',
    choices: ['drop', 'answer'],
    default: 'drop',
  },
  { flags: '--no-ipv6', description: 'IPv4 only', conflicts: TUN },
  {
    flags: '--netns <pid|file>',
    description: 'serve the namespace of a process, or as root one given as a file',
    conflicts: TUN,
  },
  {
    flags: '--mtu <bytes>',
    description: 'largest packet inside',
    parse: values.integer(1280, 65_535),
    default: 65_520,
    conflicts: TUN,
  },
  {
    flags: '--ready-fd <fd>',
    description: 'write a line to this descriptor once everything is there, and close it',
    parse: values.integer(1, 1_000_000),
  },
  { flags: '--stats', description: 'print the counters at the end, on standard error', default: false },
];

const LIMITS = 'Limits';

/** @param dial what may take no longer than `--dial-timeout`, and how long that is by default, s */
export const limitOptions = (dial: string, dialSeconds: number): readonly OptionSpec[] => [
  {
    flags: '--max-tcp <n>',
    description: 'TCP connections at once',
    parse: values.integer(1, 1_000_000),
    default: 8192,
    group: LIMITS,
  },
  {
    flags: '--max-udp <n>',
    description: 'UDP flows at once',
    parse: values.integer(1, 1_000_000),
    default: 4096,
    group: LIMITS,
  },
  {
    flags: '--dial-timeout <time>',
    description: `how long ${dial} may take to connect`,
    parse: values.milliseconds(1, 3_590_000),
    default: dialSeconds * 1000,
    defaultText: `${dialSeconds}s`,
    group: LIMITS,
  },
  {
    flags: '--tcp-idle <time>',
    description: 'a connection that is silent for so long is reset; 0 for never',
    parse: values.milliseconds(0),
    default: 7_440_000,
    defaultText: '124m',
    group: LIMITS,
  },
  {
    flags: '--udp-idle <time>',
    description: 'a flow that is silent for so long is forgotten',
    parse: values.milliseconds(1),
    default: 120_000,
    defaultText: '2m',
    group: LIMITS,
  },
];
