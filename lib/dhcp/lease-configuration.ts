/** A lease in the stack: the address of the link, and its routes. */
import { StackError } from '../base/errors.js';
import type { EthernetLink } from '../ethernet/ethernet-link.js';
import { ANY_V4, IpPrefix } from '../wire/ip-address.js';
import type { ReadLease } from './lease.js';

export class LeaseConfiguration {
  readonly #link: EthernetLink;
  readonly #options: { readonly useRoutes?: boolean; readonly metric?: number };
  #prefix: IpPrefix | undefined;
  #removeRoutes: (() => void)[] = [];

  constructor(link: EthernetLink, options: { readonly useRoutes?: boolean; readonly metric?: number }) {
    this.#link = link;
    this.#options = options;
  }

  /** Whether the stack has the address. */
  get isApplied(): boolean {
    return this.#prefix !== undefined;
  }

  /** Puts a lease into force, in place of the last. */
  apply(lease: ReadLease): void {
    const { prefix } = lease;
    const before = this.#prefix;
    const isOther =
      before !== undefined && !(before.length === prefix.length && before.address.equals(prefix.address));
    if (isOther) this.clear();
    this.#clearRoutes();
    this.#prefix = prefix;
    this.#addAddress(prefix);
    if (this.#options.useRoutes !== false) this.#addRoutes(lease);
  }

  /** Takes everything back. */
  clear(): void {
    this.#clearRoutes();
    if (this.#prefix !== undefined) this.#link.host?.removeAddress(this.#prefix.address);
    this.#prefix = undefined;
  }

  #addAddress(prefix: IpPrefix): void {
    try {
      this.#link.host?.addAddress(prefix, { probe: false });
    } catch (error) {
      // It is there: given by hand, or kept from before.
      if (!(error instanceof StackError) || error.code !== 'EEXIST') throw error;
    }
  }

  #addRoutes({ routes, routers, description }: ReadLease): void {
    const { metric = 0 } = this.#options;
    const { mtu } = description;
    const common = { metric, protocol: 'dhcp', ...(mtu === undefined ? {} : { mtu }) };
    const [router] = routers;
    const byRouter = router === undefined ? [] : [{ destination: new IpPrefix(ANY_V4, 0), gateway: router }];
    // RFC 3442: whoever understands the routes must not look at the routers.
    for (const { destination, gateway } of routes.length > 0 ? routes : byRouter) {
      const remove = this.#link.host?.addRoute({
        ...common,
        destination,
        ...(gateway.isUnspecified ? {} : { gateway }),
      });
      if (remove !== undefined) this.#removeRoutes.push(remove);
    }
  }

  #clearRoutes(): void {
    for (const remove of this.#removeRoutes) remove();
    this.#removeRoutes = [];
  }
}
