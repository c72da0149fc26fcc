/** What `tunstack demo` is. */
import type { CommandSpec } from '../frame/spec.js';

interface DemoCommandOptions {
  readonly json: boolean;
  readonly memory: boolean;
  readonly capture: string;
  readonly color: boolean;
}

export const command: CommandSpec<DemoCommandOptions> = {
  name: 'demo',
  summary: 'show the stack on real traffic, in some fifteen seconds',
  description: [
    'Serves and fetches pages, shows the segments of a connection, and measures bulk transfers over a good and a ' +
      'bad link: against the kernel in a network namespace of its own where a TUN can be opened, else against a ' +
      'second stack in memory. It leaves a capture for Wireshark, and nothing else.',
  ],
  options: [
    { flags: '--memory', description: 'stay in memory even where a TUN could be opened' },
    {
      flags: '--capture <file>',
      description: 'where to record the packets',
      default: 'demo.pcapng',
      completes: 'file',
    },
  ],
  json: 'document',
  endsItself: true,
  examples: [
    { command: 'tunstack demo', description: 'Show it, as root or as an ordinary user:' },
    { command: 'tunstack demo --memory --json', description: 'Only the figures, of two stacks in memory:' },
  ],
  async action({ options, version, signal }) {
    const { runDemo } = await import('../demo.js');
    return runDemo({ ...options, version, signal });
  },
};
