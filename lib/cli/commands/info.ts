/** What `tunstack info` is. */
import type { CommandSpec } from '../frame/spec.js';

export const command: CommandSpec = {
  name: 'info',
  summary: 'say what will work here, and what not and why',
  description: [
    'Prints versions, whether the addon loads and where from, what this user may do with /dev/net/tun and namespaces, ' +
      'and which offloads the kernel has. It makes a network namespace with a TUN of its own to see whether that works, ' +
      'and ends it again.',
  ],
  json: 'document',
  examples: [
    { command: 'tunstack info', description: 'Before anything else, on a new machine:' },
    { command: "tunstack info --json | jq '.privateNamespace.works'", description: 'In a script:' },
  ],
  async action(context) {
    const { info } = await import('../info/info.js');
    return info(context);
  },
};
