/** `tunstack run`: a program whose whole network is the stack. */
import type { CommandContext } from '../frame/context.js';
import { CliError } from '../frame/errors.js';
import { type Network, openNetwork } from '../network/network.js';
import type { NetworkOptions } from '../network/options.js';
import { checkProgram, type Space, serveInside } from './inside.js';
import { withNames } from './names.js';
import { type ServiceOptions, startServices } from './services.js';

export interface RunOptions extends NetworkOptions, ServiceOptions {}

export async function runCommand(context: CommandContext<RunOptions>): Promise<number> {
  const { options } = context;
  checkProgram(context);
  const network = await openNetwork(context, options);
  const services = await startServices(network.stack, options);
  const { tun, addresses, hostAddresses } = network;
  if (tun === undefined) throw new CliError('a program runs in a namespace of its own');
  return serveInside(context, {
    ...programSide(context, network, tun),
    pid: tun.pid,
    facts: { stack: addresses, namespace: hostAddresses, services },
    rows: [
      ['stack', addresses],
      ['namespace', hostAddresses],
      ...services.map(({ name, port }) => [name, [`port ${port}`]] as const),
    ],
  });
}

/** What a program inside finds: names, and the stack's addresses in its environment. */
export function programSide(
  context: CommandContext,
  network: Network,
  tun: Space,
): { space: Space; env: Record<string, string> } {
  const env: Record<string, string> = {};
  for (const address of network.addresses) {
    env[address.includes(':') ? 'TUNSTACK_IPV6' : 'TUNSTACK_IPV4'] ??= address;
  }
  return { space: withNames(context, network, tun), env };
}
