/** What `tunstack run` is. */
import type { CommandSpec } from '../frame/spec.js';
import { PRIVATE_LINK_OPTIONS } from '../network/options.js';
import { PROGRAM, programExits } from '../run/inside-options.js';
import type { RunOptions } from '../run/run.js';
import { SERVICE_OPTIONS } from '../run/service-options.js';

export const command: CommandSpec<RunOptions> = {
  name: 'run',
  summary: 'run a program whose whole network is the stack',
  description: [
    'Runs a program in a network namespace of its own, as root or as an ordinary user. All its packets go to the stack, ' +
      '10.0.0.1 and fd00::1, which answers ping and offers the services asked for; there is no way out. The program finds ' +
      'both addresses in TUNSTACK_IPV4 and TUNSTACK_IPV6, and by the name "stack"; no other name is known inside. See ' +
      'gateway and tun2socks for namespaces with a way out.',
    'Without a program it says how to enter the namespace, and stays until it is interrupted.',
  ],
  arguments: PROGRAM,
  options: [...SERVICE_OPTIONS, ...PRIVATE_LINK_OPTIONS],
  passThrough: true,
  endsItself: true,
  json: 'document',
  exits: programExits('the namespace could not be made'),
  examples: [
    {
      command: 'tunstack run --http-root ./site -- curl -s http://stack/',
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
