/** What `tunstack demo` is. */
import type { DemoOptions } from '../demo.js';
import type { CommandSpec } from '../frame/spec.js';

export const command: CommandSpec<DemoOptions> = {
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
  examples: [
    { command: 'tunstack demo', description: 'Show it, as root or as an ordinary user:' },
    { command: 'tunstack demo --memory --json', description: 'Only the figures, of two stacks in memory:' },
  ],
  async action(context) {
    const { runDemo } = await import('../demo.js');
    return runDemo(context);
  },
};
