/** A lease in the stack: the address of the link, and its routes. */
import { StackError } from '../base/errors.js';
import type { EthernetLink } from '../ethernet/ethernet-link.js';
import type { LinkRoute } from '../link/link-host.js';
import { ANY_V4, IpPrefix } from '../wire/ip-address.js';
import type { ReadLease } from './lease.js';

export class LeaseConfiguration {
  readonly #link: EthernetLink;
  readonly #settings: { readonly useRoutes: boolean; readonly metric: number };
  #prefix: IpPrefix | undefined;
  /** Whether the stack had the address before, given by hand: then it stays when the lease is over. */
  #isOfOther = false;
  #removeRoutes: (() => void)[] = [];

  constructor(link: EthernetLink, settings: { readonly useRoutes: boolean; readonly metric: number }) {
    this.#link = link;
    this.#settings = settings;
  }

  /** Whether the stack has the address. */
  get isApplied(): boolean {
    return this.#prefix !== undefined;
  }

  /** Puts a lease into force, in place of the last. @returns false, and nothing is, where the stack has no room for it */
  apply(lease: ReadLease): boolean {
    const { prefix } = lease;
    const before = this.#prefix;
    const isSame = before?.length === prefix.length && before.address.equals(prefix.address);
    if (isSame) this.#clearRoutes();
    else this.clear();
    if (!isSame && !this.#addAddress(prefix)) return false;
    this.#prefix = prefix;
    if (this.#settings.useRoutes) this.#addRoutes(lease);
    return true;
  }

  /** Takes everything back. */
  clear(): void {
    this.#clearRoutes();
    if (this.#prefix !== undefined && !this.#isOfOther) this.#link.host?.removeAddress(this.#prefix.address);
    this.#prefix = undefined;
  }

  #addAddress(prefix: IpPrefix): boolean {
    this.#isOfOther = false;
    try {
      this.#link.host?.addAddress(prefix, { probe: false });
    } catch (error) {
      if (!(error instanceof StackError)) throw error;
      this.#isOfOther = error.code === 'EEXIST';
      return this.#isOfOther;
    }
    return true;
  }

  #addRoutes({ routes, routers, description }: ReadLease): void {
    const { metric } = this.#settings;
    const { mtu } = description;
    const common = { metric, protocol: 'dhcp', ...(mtu === undefined ? {} : { mtu }) };
    const [router] = routers;
    const byRouter = router === undefined ? [] : [{ destination: new IpPrefix(ANY_V4, 0), gateway: router }];
    // RFC 3442: whoever understands the routes must not look at the routers.
    for (const { destination, gateway } of routes.length > 0 ? routes : byRouter) {
      const hop = gateway.isUnspecified ? {} : { gateway };
      if (!this.#addRoute({ ...common, destination, ...hop })) return;
    }
  }

  /** @returns false where the stack has no room for more routes, of which its owner may have made as many as there can be */
  #addRoute(route: LinkRoute): boolean {
    try {
      const remove = this.#link.host?.addRoute(route);
      if (remove !== undefined) this.#removeRoutes.push(remove);
    } catch (error) {
      if (!(error instanceof StackError)) throw error;
      return false;
    }
    return true;
  }

  #clearRoutes(): void {
    for (const remove of this.#removeRoutes) remove();
    this.#removeRoutes = [];
  }
}
