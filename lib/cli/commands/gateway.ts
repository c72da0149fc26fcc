/** What `tunstack gateway` is. */
import type { CommandSpec } from '../frame/spec.js';
import * as values from '../frame/values.js';
import type { GatewayCommandOptions } from '../gateway/gateway.js';
import { limitOptions, PROGRAM, programExits, SPACE_OPTIONS } from '../run/inside-options.js';

export const command: CommandSpec<GatewayCommandOptions> = {
  name: 'gateway',
  summary: "run a program in a namespace whose traffic leaves through the host's ordinary sockets",
  description: [
    'Runs a program in a network namespace of its own, as root or as an ordinary user. What it sends goes to the stack, ' +
      'which passes it on by ordinary sockets of this process, as slirp4netns and passt do; so it reaches what this user ' +
      'reaches, and nobody can reach it but through published ports. Inside, the interface has 10.0.2.100 and fd00::100, ' +
      'the gateway is 10.0.2.2 and fd00::2, and names are asked for at 10.0.2.3 and fd00::3, which asks the name servers ' +
      'of the host.',
    'Without a program it says how to enter the namespace, and stays until it is interrupted. With --netns it serves a ' +
      'namespace that is there already, and leaves it as it is but for the interface.',
    'A connection is accepted only once the host has connected, and refused, or unreachable, as it is on the host. Echo ' +
      'requests for other hosts are not passed on: they are dropped, or answered by the gateway itself, which says nothing ' +
      'of the host asked for. What the host reaches as 127.0.0.1 is out of reach unless --host-loopback or --reach says ' +
      'otherwise; services that listen on all its addresses are not, unless --deny says so.',
  ],
  arguments: PROGRAM,
  options: [
    {
      flags: '-p, --publish <ports>',
      description:
        'a port of the host that leads inside, [address:]port[:[address:]port][/udp]; on 127.0.0.1 unless it says otherwise',
      repeatable: true,
    },
    {
      flags: '-r, --reach <ports>',
      description:
        'a port of the gateway that leads to the host, port[:[address:]port]; to 127.0.0.1 unless it says otherwise',
      repeatable: true,
    },
    {
      flags: '--host-loopback',
      description: "let the gateway's addresses lead to the host's 127.0.0.1 and ::1, all ports",
      default: false,
    },
    {
      flags: '--deny <prefix>',
      description: 'addresses nobody inside reaches, such as 10.0.0.0/8',
      repeatable: true,
      parse: values.prefix,
    },
    {
      flags: '--dns <server>',
      description: 'a name server to ask, in place of those of the host, such as 192.0.2.1 or 192.0.2.1:5353',
      parse: values.nameServer,
      repeatable: true,
    },
    { flags: '--no-dns', description: 'no name service, and resolv.conf as it is' },
    ...SPACE_OPTIONS,
    ...limitOptions('the host', 30),
  ],
  passThrough: true,
  endsItself: true,
  json: 'document',
  exits: programExits('the namespace or a port could not be had'),
  examples: [
    {
      command: 'tunstack gateway -- curl -sS https://example.org/',
      description: "Fetch a page through a namespace of one's own:",
    },
    {
      command: 'tunstack gateway -p 8000:80 --deny 10.0.0.0/8 -- nginx -g "daemon off;"',
      description: 'A server inside at port 8000 of the host, which cannot reach the local network:',
    },
    {
      command: 'tunstack gateway --reach 5432 -- psql -h 10.0.2.2',
      description: 'Reach one service of the host from a program that reaches nothing else of it:',
    },
    {
      command: 'tunstack gateway --netns "$(cat container.pid)"',
      description: 'Give a namespace that is there already a way out:',
    },
  ],
  async action(context) {
    const { gatewayCommand } = await import('../gateway/gateway.js');
    return gatewayCommand(context);
  },
};
