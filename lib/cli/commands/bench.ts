/** What `tunstack bench` is. */
import type { BenchOptions } from '../bench/bench.js';
import { optionOf } from '../frame/program.js';
import type { CommandSpec } from '../frame/spec.js';
import * as values from '../frame/values.js';
import { PRIVATE_LINK_OPTIONS } from '../network/options.js';

export const command: CommandSpec<BenchOptions> = {
  name: 'bench',
  summary: 'measure how fast the stack is here',
  description: [
    "Measures bulk transfers, round trips of one byte and short connections, over sockets of the stack: against the kernel's " +
      'sockets in a namespace of its own, or with --memory between two stacks in this process. The figures are for ' +
      'comparing machines, versions and paths; a busy machine shows in them.',
  ],
  options: [
    {
      flags: '--memory',
      description: 'two stacks in this process; needs neither addon nor TUN',
      conflicts: PRIVATE_LINK_OPTIONS.map((option) => optionOf(option).attributeName()),
    },
    {
      flags: '--test <name>',
      description: 'only this measurement',
      choices: ['bulk-in', 'bulk-out', 'round-trips', 'connections'],
      repeatable: true,
      defaultText: 'all',
    },
    {
      flags: '-t, --time <time>',
      description: 'how long each takes',
      parse: values.milliseconds(1),
      default: 2000,
      defaultText: '2 s',
    },
    {
      flags: '-P, --connections <n>',
      description: 'measure with so many at the same time, besides one',
      parse: values.integer(1, 1000),
      default: 8,
    },
    {
      flags: '--congestion <name>',
      description: "congestion control of the stack's connections",
      choices: ['cubic', 'reno', 'bbr'],
      defaultText: 'cubic',
    },
    { flags: '-6, --ipv6', description: 'IPv6 in place of IPv4' },
    ...PRIVATE_LINK_OPTIONS,
  ],
  json: 'document',
  examples: [
    {
      command: 'tunstack bench',
      description: "Against the kernel's sockets, as root or as an ordinary user:",
    },
    {
      command: 'tunstack bench --test bulk-out --delay 25ms --loss 0.1% --congestion bbr',
      description: 'How BBR does over 50 ms and some loss:',
    },
    {
      command: 'tunstack bench --memory --json',
      description: 'Two stacks in memory, figures for a program:',
    },
  ],
  async action(context) {
    const { bench } = await import('../bench/bench.js');
    return bench(context);
  },
};
