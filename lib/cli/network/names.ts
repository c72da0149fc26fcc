/** Names and addresses people type, as addresses the stack can reach. */
import { IpAddress, type IpFamily } from '../../index.js';
import { CliError } from '../frame/errors.js';
import type { Output } from '../frame/output.js';
import { throughDoor } from './door-names.js';
import { addressOf, type Network } from './network.js';

/**
 * The first address of `host` that the stack has an address of the same family for.
 * @param status exit status where there is none
 * @throws CliError
 */
export async function findAddress(
  { stack, addresses, kind }: Network,
  host: string,
  wanted: { readonly family: 0 | IpFamily; readonly status?: number },
): Promise<IpAddress> {
  const { family, status = 1 } = wanted;
  // As people copy them from an URL.
  const typed = host.replace(/^\[(.*)\]$/, '$1');
  const name = kind === 'host' ? throughDoor(typed) : typed;
  let found: ReadonlyArray<{ readonly address: string; readonly family: number }>;
  try {
    found = await stack.dns.promises.lookup(name, { all: true, family });
  } catch (error) {
    throw new CliError(`${host} is not known (${(error as { code?: string }).code ?? 'no answer'})`, status);
  }
  const usable = found.find((one) => addressOf(addresses, one.family === 6 ? 6 : 4) !== undefined);
  if (usable !== undefined) return IpAddress.parse(usable.address);
  const kinds = found.some((one) => one.family === 6) ? 'IPv6' : 'IPv4';
  throw new CliError(`${host} has an ${kinds} address only, and the stack has none of that family`, status);
}

/** Says so where an address cannot be reached, because the namespace has nobody else in it. */
export function warnOfSolitude(output: Output, network: Network, address: IpAddress): void {
  const { kind, hostAddresses, addresses } = network;
  if (kind !== 'private' || [...hostAddresses, ...addresses].includes(address.toString())) return;
  output.note(
    `nobody but ${hostAddresses.join(' and ')} is in this namespace; see --tun for networks that reach further`,
  );
}
