/** What `tunstack nc` is. */
import type { CommandSpec } from '../frame/spec.js';
import * as values from '../frame/values.js';
import type { NcOptions } from '../nc/options.js';
import { FAMILY_OPTIONS } from '../network/family.js';
import { LINK_OPTIONS, VIA_HOST_OPTION } from '../network/options.js';

export const command: CommandSpec<NcOptions> = {
  name: 'nc',
  summary: 'join standard input and output to a connection of the stack',
  description: [
    'Connects to a host and port, or with -l listens for one connection, and passes standard input to it and what comes ' +
      'from it to standard output. The end of standard input closes one direction only (a FIN), and the other goes on ' +
      'until the peer has finished too.',
    'With -u each piece that is read is a datagram. Datagrams have no end: -w says when it is over. With -z ports are ' +
      'only tried, which is what --json can tell.',
  ],
  arguments: [
    {
      name: 'host',
      description: 'address or name; with -l the address to listen on, all by default',
      optional: true,
      completes: 'host',
    },
    { name: 'port', description: 'port; with -z also ranges, such as 22,80,8000-8100', optional: true },
  ],
  options: [
    { flags: '-l, --listen', description: 'wait for a connection' },
    { flags: '-k, --keep', description: 'with -l: wait for another one when it is over' },
    { flags: '-u, --udp', description: 'UDP' },
    { flags: '-z, --scan', description: 'only try the ports' },
    {
      flags: '-w, --wait <time>',
      description: 'give up when it takes so long to connect, or nothing passes for so long',
      parse: values.seconds,
      defaultText: 'never; with -z 3 s, with -uz 1 s',
    },
    { flags: '-s, --source <address>', description: 'address to send from', parse: values.address },
    {
      flags: '-p, --source-port <port>',
      description: 'port to send from',
      parse: values.portOrAny,
      default: 0,
      defaultText: 'any',
    },
    {
      flags: '-v, --verbose',
      description: 'say who is connected; with -z also what is closed',
    },
    ...FAMILY_OPTIONS,
    VIA_HOST_OPTION,
    ...LINK_OPTIONS,
  ],
  json: 'document',
  exits: [
    { status: 0, meaning: 'both directions ended in order; with -z, a port is open' },
    { status: 1, meaning: 'there was no connection, or it was reset; with -z, no port is open' },
    { status: 124, meaning: 'nothing passed for the time of -w' },
  ],
  examples: [
    {
      command: "printf 'HEAD / HTTP/1.0\\r\\n\\r\\n' | tunstack nc localhost 8080",
      description: 'Send a request, print the answer:',
    },
    {
      command: 'tunstack nc -l 7000',
      description: "Listen on the stack; port 7000 of the host's loopback leads there:",
    },
    { command: 'tunstack nc -z localhost 1-1024', description: 'Which ports are open:' },
    {
      command: 'sudo tunstack nc --tun tun7 --address 10.7.0.2/24 --host-address 10.7.0.1/24 -l 7000',
      description: 'Listen on 10.7.0.2, across a TUN:',
    },
  ],
  async action(context) {
    const { nc } = await import('../nc/nc.js');
    return nc(context);
  },
};
