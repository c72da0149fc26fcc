/** Default routes over a link, for the families of its addresses. */
import type { Routing } from '../ip/routing.js';

/** @param port index of the link @param addresses those it was given, of which the families count */
export function addDefaultRoutes({ routes }: Routing, port: number, addresses: readonly string[]): void {
  if (addresses.some((address) => !address.includes(':'))) routes.add({ destination: '0.0.0.0/0', port });
  if (addresses.some((address) => address.includes(':'))) routes.add({ destination: '::/0', port });
}
