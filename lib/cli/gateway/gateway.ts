/** `tunstack gateway`: a program in a namespace whose way out is this process. */
import { openNamespaceGateway } from '../../index.js';
import type { CommandContext } from '../frame/context.js';
import { openedNetwork } from '../network/obstacle.js';
import {
  checkProgram,
  limitsOf,
  placeOf,
  type SpaceOptions,
  serveInside,
  sweepHere,
  tellReady,
} from '../run/inside.js';

/** The options of `gateway`, parsed. */
export interface GatewayCommandOptions extends SpaceOptions {
  readonly publish: readonly string[];
  readonly reach: readonly string[];
  readonly hostLoopback: boolean;
  readonly deny: readonly string[];
  /** False with `--no-dns`; empty for the host's own. */
  readonly dns: readonly string[] | false;
}

export async function gatewayCommand(context: CommandContext<GatewayCommandOptions>): Promise<number> {
  const { output, options } = context;
  const { publish, reach, hostLoopback, deny, dns } = options;
  checkProgram(context, options.netns !== undefined);
  sweepHere();
  const opening = openNamespaceGateway({
    publish,
    reach,
    hostLoopback,
    deny,
    ...limitsOf(options),
    ...placeOf(options),
    ...(dns === false || dns.length > 0 ? { dns } : {}),
  });
  const space = await openedNetwork(context.acquire(opening, (opened) => opened.close()));
  tellReady(options.readyFd);
  const { inside, addresses, resolvers, tun } = space;
  const status = await serveInside(context, {
    space,
    pid: tun.pid,
    facts: { inside, gateway: addresses, dns: resolvers },
    rows: [
      ['inside', inside],
      ['gateway', addresses],
      ['names', resolvers],
    ],
  });
  if (options.stats) output.complain(JSON.stringify(space.gateway.stats));
  return status;
}
