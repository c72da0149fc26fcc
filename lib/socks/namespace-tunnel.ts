/** A network namespace whose whole network is a tunnel. */
import { ArgumentValueError } from '../base/errors.js';
import {
  type NamespaceParts,
  openStackNamespace,
  StackNamespace,
  type StackNamespaceOptions,
  servingOptions,
} from '../gateway/stack-namespace.js';
import { resolveTunnelOptions, type SocksTunnelOptions } from './options.js';
import { openSocksTunnel, type SocksTunnel } from './tunnel.js';

/** What a namespace with a tunnel is made with. */
export interface NamespaceTunnelOptions
  extends Omit<SocksTunnelOptions, 'stack' | 'link'>,
    Omit<StackNamespaceOptions, 'busyPollUs'> {}

/**
 * A network namespace with a tunnel: made by `openNamespaceTunnel`.
 * @hideconstructor
 */
export class NamespaceTunnel extends StackNamespace {
  /** The tunnel, with its counters. */
  readonly tunnel: SocksTunnel;

  /** @hidden */
  constructor(parts: NamespaceParts<SocksTunnel>) {
    super(parts);
    this.tunnel = parts.service;
  }
}

/**
 * Makes a network namespace, as root or as an ordinary user, whose way out is a tunnel through a SOCKS proxy. Inside,
 * the interface has 10.0.2.100 and fd00::100; with `nameServer`, names are asked for at 10.0.2.3 and fd00::3. The
 * process lives until `close`.
 * @throws as `openPrivateTun` and `openSocksTunnel`
 */
export async function openNamespaceTunnel(options: NamespaceTunnelOptions): Promise<NamespaceTunnel> {
  const wishes = servingOptions(options);
  if ('stack' in wishes || 'link' in wishes)
    throw new ArgumentValueError('a namespace has a stack of its own');
  const parts = await openStackNamespace(options, {
    kind: 'tunnel',
    hasNames: wishes.nameServer !== undefined,
    check: (stack) => void resolveTunnelOptions({ ...wishes, stack }),
    open: (stack, link) => openSocksTunnel({ ...wishes, stack, link }),
  });
  return new NamespaceTunnel(parts);
}
