/** What `tunstack ping` is. */
import type { CommandSpec } from '../frame/spec.js';
import * as values from '../frame/values.js';
import { FAMILY_OPTIONS } from '../network/family.js';
import { LINK_OPTIONS } from '../network/options.js';
import type { PingOptions } from '../ping/ping.js';

export const command: CommandSpec<PingOptions> = {
  name: 'ping',
  summary: 'send ICMP echo requests from the stack',
  description: [
    'Sends ICMP echo requests from an address of the stack and prints what comes back, as ping does. Without network ' +
      'options it is in a namespace of its own, where only the kernel of that namespace, 10.0.0.2 and fd00::2, is to be ' +
      'reached. Through a TUN it reaches the host, and whatever the host forwards for it.',
  ],
  arguments: [{ name: 'host', description: 'address or name', completes: 'host' }],
  options: [
    {
      flags: '-c, --count <n>',
      description: 'stop after so many requests',
      parse: values.integer(1),
      defaultText: 'without end',
    },
    {
      flags: '-i, --interval <time>',
      description: 'time between requests, seconds unless it has a unit',
      parse: values.seconds,
      default: 1000,
      defaultText: '1 s',
    },
    {
      flags: '-W, --timeout <time>',
      description: 'how long the last reply is waited for',
      parse: values.seconds,
      default: 10_000,
      defaultText: '10 s',
    },
    {
      flags: '-w, --deadline <time>',
      description: 'stop after this time in any case; 0 for never',
      parse: values.seconds,
    },
    {
      flags: '-s, --size <bytes>',
      description: 'bytes of data, 8 bytes of ICMP header apart',
      parse: values.integer(0, 65_507),
      default: 56,
    },
    {
      flags: '-t, --ttl <n>',
      description: 'TTL or hop limit',
      parse: values.integer(1, 255),
      default: 0,
      defaultText: "the stack's, 64",
    },
    {
      flags: '-Q, --tos <n>',
      description: 'TOS or traffic class',
      parse: values.integer(0, 255),
      default: 0,
    },
    { flags: '--df', description: 'never fragment; a request that is too large is not sent' },
    { flags: '-q, --quiet', description: 'print the statistics only' },
    ...FAMILY_OPTIONS,
    ...LINK_OPTIONS,
  ],
  json: 'lines',
  endsItself: true,
  failureStatus: 2,
  exits: [
    { status: 0, meaning: 'there was a reply; also after SIGINT' },
    { status: 1, meaning: 'there was none; with -c and -w, there were not all by the deadline' },
    { status: 2, meaning: 'any other trouble: a name that is not known, a network that cannot be opened' },
  ],
  examples: [
    { command: 'tunstack ping -c 3 10.0.0.2', description: 'The kernel of a namespace of its own:' },
    {
      command: 'tunstack ping -c 20 -i 0.1 -W 1 --delay 40ms --jitter 5ms --loss 5% fd00::2',
      description: 'The same over a bad link:',
    },
    {
      command: 'sudo tunstack ping --tun tun7 --address 10.7.0.2/24 --host-address 10.7.0.1/24 10.7.0.1',
      description: 'The host, across a TUN that is there for as long as this runs:',
    },
  ],
  async action(context) {
    const { ping } = await import('../ping/ping.js');
    return ping(context);
  },
};
