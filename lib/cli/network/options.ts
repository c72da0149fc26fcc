/**
 * Which network the stack of a command is on, how bad it is, and who records it: one set of options for all
 * commands that have a stack.
 */
import type { OptionSpec } from '../frame/spec.js';
import * as values from '../frame/values.js';

/** `NETWORK_OPTIONS` and `EMULATION_OPTIONS`, parsed. */
export interface NetworkOptions {
  readonly viaHost?: boolean;
  readonly private?: boolean;
  readonly tun?: string;
  readonly netns?: string;
  readonly fd?: number;
  readonly address: readonly string[];
  readonly hostAddress: readonly string[];
  readonly dns?: readonly string[];
  /** Bytes. */
  readonly mtu?: number;
  /** Each way, ms. */
  readonly delay?: number;
  readonly jitter?: number;
  /** Each way, 0 .. 1. */
  readonly loss?: number;
  readonly duplicate?: number;
  readonly corrupt?: number;
  readonly reorder?: number;
  /** Each way, bits per second. */
  readonly rate?: number;
  /** Packets. */
  readonly queue?: number;
  readonly seed: number;
  readonly capture?: string;
}

const NETWORK = 'Network';
const EMULATION = 'A worse network';

/** Largest seed `SeededRandom` takes. */
const MAX_SEED = 2 ** 32 - 1;

/** For commands whose packets may leave through the host's sockets. */
export const VIA_HOST_OPTION: OptionSpec = {
  flags: '--via-host',
  description:
    "the stack's connections leave through ordinary sockets of the host, and need no right; the host itself is " +
    '10.0.2.2 and fd00::2. This is the default',
  group: NETWORK,
  conflicts: ['private', 'tun', 'fd', 'netns'],
};

export const NETWORK_OPTIONS: readonly OptionSpec[] = [
  {
    flags: '--private',
    description: 'a network namespace of its own, with the kernel inside it on the other side',
    group: NETWORK,
    conflicts: ['viaHost', 'tun', 'fd', 'netns'],
  },
  {
    flags: '--tun <name>',
    description:
      'a TUN of that name, made for as long as this runs (needs CAP_NET_ADMIN); one that is there already is ' +
      'taken as it is',
    parse: values.interfaceName,
    group: NETWORK,
    conflicts: ['private', 'fd'],
    completes: 'interface',
  },
  {
    flags: '--netns <file>',
    description: 'where that TUN is made, such as /var/run/netns/blue',
    group: NETWORK,
    completes: 'file',
  },
  {
    flags: '--fd <n>',
    description: 'an inherited descriptor: of a TUN, or of a socket that carries one IP packet at a time',
    parse: values.integer(0),
    group: NETWORK,
    conflicts: ['private', 'tun', 'netns'],
  },
  {
    flags: '--address <address/length>',
    description: "the stack's address; once per family",
    parse: values.addressAndLength,
    repeatable: true,
    defaultText: 'with --private 10.0.0.1/24 and fd00::1/64',
    group: NETWORK,
  },
  {
    flags: '--host-address <address/length>',
    description: "the kernel's address on the TUN; once per family",
    parse: values.addressAndLength,
    repeatable: true,
    defaultText: 'with --private 10.0.0.2/24 and fd00::2/64',
    group: NETWORK,
  },
  {
    flags: '--dns <address>',
    description: 'a name server to ask over this network; without one, names are asked of the host',
    parse: values.nameServer,
    repeatable: true,
    group: NETWORK,
  },
  {
    flags: '--mtu <bytes>',
    description: 'largest packet, 68 .. 65535',
    parse: values.integer(68, 65_535),
    defaultText: "1500, or the adopted TUN's own",
    group: NETWORK,
  },
];

export const EMULATION_OPTIONS: readonly OptionSpec[] = [
  {
    flags: '--delay <time>',
    description: 'delay each way, such as 50ms',
    parse: values.duration(),
    group: EMULATION,
  },
  {
    flags: '--jitter <time>',
    description: 'how much the delay varies',
    parse: values.duration(),
    group: EMULATION,
  },
  {
    flags: '--loss <probability>',
    description: 'packets lost each way, such as 1%',
    parse: values.probability,
    group: EMULATION,
  },
  {
    flags: '--duplicate <probability>',
    description: 'packets that arrive twice',
    parse: values.probability,
    group: EMULATION,
  },
  {
    flags: '--corrupt <probability>',
    description: 'packets that arrive with a bit turned',
    parse: values.probability,
    group: EMULATION,
  },
  {
    flags: '--reorder <probability>',
    description: 'packets that others overtake, by 10 ms',
    parse: values.probability,
    group: EMULATION,
  },
  {
    flags: '--rate <rate>',
    description: 'speed each way, such as 10mbit; it makes a queue',
    parse: values.rate,
    group: EMULATION,
  },
  {
    flags: '--queue <packets>',
    description: 'packets that may wait for their turn',
    parse: values.integer(1, 1_000_000),
    defaultText: '1000',
    group: EMULATION,
  },
  {
    flags: '--seed <n>',
    description: 'of chance: the same seed does the same to the same packets',
    parse: values.integer(0, MAX_SEED),
    default: 1,
    group: EMULATION,
  },
];

export const CAPTURE_OPTION: OptionSpec = {
  flags: '--capture <file>',
  description: 'record the packets as pcapng, for Wireshark',
  group: NETWORK,
  completes: 'file',
};

/** All but `--via-host`. */
export const LINK_OPTIONS: readonly OptionSpec[] = [...NETWORK_OPTIONS, CAPTURE_OPTION, ...EMULATION_OPTIONS];

/** Of commands that always are in a namespace of their own. */
export const PRIVATE_LINK_OPTIONS: readonly OptionSpec[] = LINK_OPTIONS.filter(
  ({ flags }) => !/^--(private|tun|netns|fd|dns) ?/.test(flags),
);
