/** What `tunstack run` is. */
import type { CommandSpec } from '../frame/spec.js';
import { PRIVATE_LINK_OPTIONS } from '../network/options.js';
import type { RunOptions } from '../run/run.js';
import { SERVICE_OPTIONS } from '../run/service-options.js';

export const command: CommandSpec<RunOptions> = {
  name: 'run',
  summary: 'run a program whose whole network is the stack',
  description: [
    'Runs a program in a network namespace of its own, as root or as an ordinary user. All its packets go to the stack, ' +
      '10.0.0.1 and fd00::1, which answers ping and offers the services asked for; there is no way out. The program finds ' +
      'both addresses in TUNSTACK_IPV4 and TUNSTACK_IPV6. See gateway and tun2socks for namespaces with a way out.',
    'Without a program it says how to enter the namespace, and stays until it is interrupted.',
  ],
  arguments: [
    {
      name: 'command',
      description: 'program and its arguments',
      optional: true,
      variadic: true,
      completes: 'command',
    },
  ],
  options: [...SERVICE_OPTIONS, ...PRIVATE_LINK_OPTIONS],
  passThrough: true,
  endsItself: true,
  exits: [
    { status: 0, meaning: 'and any other: the status of the program' },
    { status: 1, meaning: 'the namespace could not be made, or the program ended so' },
    { status: 126, meaning: 'the program may not be run' },
    { status: 127, meaning: 'there is no such program' },
    { status: 130, meaning: 'the program was ended by SIGINT; 128 + n by signal n' },
  ],
  examples: [
    {
      command: 'tunstack run --http-root ./site -- curl -s http://10.0.0.1/',
      description: 'Fetch a file from the stack:',
    },
    {
      command: 'tunstack run --source --rate 10mbit --delay 50ms -- sh -c "timeout 5 nc 10.0.0.1 19 | wc -c"',
      description: 'See how a program does over a slow and distant link:',
    },
    {
      command: 'tunstack run --capture out.pcapng -- sh',
      description: 'A shell without any network but this, all its packets recorded:',
    },
  ],
  async action(context) {
    const { runCommand } = await import('../run/run.js');
    return runCommand(context);
  },
};
