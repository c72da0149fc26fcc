/** Names and addresses people type, as addresses the stack can reach. */
import { IpAddress, type IpFamily } from '../../index.js';
import { CliError } from '../frame/errors.js';
import type { Output } from '../frame/output.js';
import { hostItself } from './door-names.js';
import { addressOf, type Network } from './network.js';

/**
 * The addresses of `host` that the stack has an address of the same family for; at least one.
 * @param status exit status where there is none
 * @throws CliError
 */
export async function findAddresses(
  { stack, addresses, kind }: Network,
  host: string,
  wanted: { readonly family: 0 | IpFamily; readonly status?: number },
): Promise<IpAddress[]> {
  const { family, status = 1 } = wanted;
  // As people copy them from an URL.
  const name = host.replace(/^\[(.*)\]$/, '$1');
  let found = kind === 'host' ? hostItself(name, family) : undefined;
  try {
    found ??= (await stack.dns.promises.lookup(name, { all: true, family })).map(({ address }) => address);
  } catch (error) {
    throw new CliError(`${host} is not known (${(error as { code?: string }).code ?? 'no answer'})`, status);
  }
  if (found.length === 0) throw new CliError(`${host} has no IPv${family} address`, status);
  const all = found.map((address) => IpAddress.parse(address));
  const usable = all.filter((one) => addressOf(addresses, one.family) !== undefined);
  if (usable.length > 0) return usable;
  const [{ family: only }] = all;
  throw new CliError(`${host} has an IPv${only} address only, and the stack has none of that family`, status);
}

/** The first of `findAddresses`. */
export const findAddress = async (...asked: Parameters<typeof findAddresses>): Promise<IpAddress> =>
  (await findAddresses(...asked))[0];

/** Says so where an address cannot be reached, because the namespace has nobody else in it. */
export function warnOfSolitude(output: Output, network: Network, address: IpAddress): void {
  const { kind, hostAddresses, addresses } = network;
  if (kind !== 'private' || [...hostAddresses, ...addresses].includes(address.toString())) return;
  output.note(
    `nobody but ${hostAddresses.join(' and ')} is in this namespace; see --tun for networks that reach further`,
  );
}
