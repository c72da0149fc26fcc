/** `tunstack run`: a program whose whole network is the stack. */
import type { CommandContext } from '../frame/context.js';
import { UsageError } from '../frame/errors.js';
import type { Output } from '../frame/output.js';
import { type Network, openNetwork } from '../network/network.js';
import type { NetworkOptions } from '../network/options.js';
import { runProgram } from './program.js';
import { type Service, type ServiceOptions, startServices } from './services.js';

export interface RunOptions extends NetworkOptions, ServiceOptions {}

export async function runCommand(context: CommandContext<RunOptions>): Promise<number> {
  const { options, args, output } = context;
  const network = await openNetwork(context, options);
  const services = await startServices(network.stack, options);
  const { tun } = network;
  if (tun === undefined) throw new UsageError('a program runs in a namespace of its own');
  if (args.length > 0) {
    return runProgram(context, { tun, line: args, env: environmentOf(network) });
  }
  describe(output, network, services);
  await context.interrupted();
  return 0;
}

/** What a program inside may want to know. */
export function environmentOf({ addresses }: Network): Record<string, string> {
  const v4 = addresses.find((address) => !address.includes(':'));
  const v6 = addresses.find((address) => address.includes(':'));
  return {
    ...(v4 === undefined ? {} : { TUNSTACK_IPV4: v4 }),
    ...(v6 === undefined ? {} : { TUNSTACK_IPV6: v6 }),
  };
}

/** Tells how to get in. */
function describe(
  output: Output,
  { tun, addresses, hostAddresses }: Network,
  services: readonly Service[],
): void {
  const [command, line] = tun?.commandLine('sh') ?? ['', []];
  output.line(`stack:     ${addresses.join(' and ')}`);
  output.line(`namespace: ${hostAddresses.join(' and ')}`);
  for (const { name, port } of services) output.line(`${`${name}:`.padEnd(10)} port ${port}`);
  output.line(`enter:     ${[command, ...line].join(' ')}`);
  output.line('It stays until it is interrupted.');
}
