/** What `tunstack tun2socks` is. */
import type { CommandSpec } from '../frame/spec.js';
import * as values from '../frame/values.js';
import { limitOptions, PROGRAM, programExits, SPACE_OPTIONS } from '../run/inside-options.js';
import type { TunnelCommandOptions } from '../tun2socks/tun2socks.js';

export const command: CommandSpec<TunnelCommandOptions> = {
  name: 'tun2socks',
  summary: 'run a program in a namespace whose traffic leaves through a SOCKS5 proxy',
  description: [
    'Runs a program in a network namespace of its own, as root or as an ordinary user. All it sends leaves through the ' +
      'proxy, whether it knows of proxies or not: TCP by CONNECT, UDP by UDP ASSOCIATE, and questions to name servers over ' +
      'TCP. Nothing goes around the proxy. Inside, the interface has 10.0.2.100 and fd00::100, and names are asked for at ' +
      '10.0.2.3 and fd00::3, which asks the server of --dns through the proxy.',
    'Without a program it says how to enter the namespace, and stays until it is interrupted. With --netns it serves a ' +
      'namespace that is there already; with --tun or --fd a TUN, whose addresses and routes are left as they are, and ' +
      'through which the way to the proxy must not lead.',
    'A connection is accepted only once the proxy has connected; else it is refused, or unreachable, as the proxy says. ' +
      'Pings cannot pass a proxy: they are dropped, or answered here, which says nothing of the host asked for.',
  ],
  arguments: PROGRAM,
  options: [
    {
      flags: '--proxy <url>',
      description:
        'the proxy, socks5://[user:password@]host[:port]; what is given in the environment is not shown to other users',
      env: 'TUNSTACK_PROXY',
    },
    {
      flags: '--dns <server>',
      description:
        'the name server asked through the proxy, in place of any other: 192.0.2.1 or 192.0.2.1:5353; ' +
        'by default a public one, which then hears all names',
      parse: values.nameServer,
      default: '1.1.1.1',
    },
    {
      flags: '--no-dns',
      description: 'no name server of ours: questions go to whom they are sent, and resolv.conf is as it is',
    },
    {
      flags: '--udp <policy>',
      description: 'other UDP: by associations of the proxy, refused, or dropped',
      choices: ['associate', 'reject', 'drop'],
      default: 'associate',
    },
    {
      flags: '--tun <name>',
      description: 'serve a TUN that is there already, such as one made by ip tuntap add',
      parse: values.interfaceName,
      conflicts: ['netns', 'fd'],
      completes: 'interface',
    },
    {
      flags: '--fd <fd>',
      description: 'serve a TUN that is open already, by its descriptor',
      parse: values.integer(3, 1_000_000),
      conflicts: ['netns', 'tun'],
    },
    ...SPACE_OPTIONS,
    ...limitOptions('the proxy', 20),
  ],
  passThrough: true,
  endsItself: true,
  json: 'document',
  exits: programExits('the namespace or the TUN could not be had'),
  examples: [
    {
      command: 'tunstack tun2socks --proxy socks5://127.0.0.1:1080 -- curl -sS https://example.org/',
      description: 'Fetch a page through a proxy, by a program that need not know of it:',
    },
    {
      command: 'TUNSTACK_PROXY=socks5://anna:secret@proxy.example tunstack tun2socks -- sh',
      description: 'A shell, all of whose programs go through a proxy that asks for a password:',
    },
    {
      command:
        'ssh -D 1080 -N gate.example & tunstack tun2socks --proxy socks5://127.0.0.1:1080 --udp reject -- firefox',
      description: "Go out by another host, with OpenSSH's proxy, which has no UDP:",
    },
  ],
  async action(context) {
    const { tunnelCommand } = await import('../tun2socks/tun2socks.js');
    return tunnelCommand(context);
  },
};
