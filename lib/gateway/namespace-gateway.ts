/** A network namespace whose whole network is a gateway. */
import { availableParallelism } from 'node:os';
import { ArgumentValueError } from '../base/errors.js';
import type { Stack } from '../stack/stack.js';
import { type Gateway, openGateway } from './gateway.js';
import { type GatewayOptions, resolveOptions } from './options.js';
import { parseForward } from './places.js';
import {
  DNS,
  familiesOf,
  GATEWAY,
  INSIDE,
  type NamespaceParts,
  openStackNamespace,
  StackNamespace,
  type StackNamespaceOptions,
  servingOptions,
} from './stack-namespace.js';

/** What a namespace with a gateway is made with. */
export interface NamespaceGatewayOptions
  extends Omit<GatewayOptions, 'stack' | 'link' | 'hostLoopback' | 'dns' | 'inside'>,
    StackNamespaceOptions {
  /** Whether the gateway's own addresses lead to the host's loopback, 127.0.0.1 and ::1; false by default. */
  readonly hostLoopback?: boolean;
  /** Name servers to ask, the host's own by default; false for no name service. */
  readonly dns?: readonly string[] | false;
}

/**
 * A network namespace with a gateway: made by `openNamespaceGateway`.
 * @hideconstructor
 */
export class NamespaceGateway extends StackNamespace {
  /** The gateway, with its counters. */
  readonly gateway: Gateway;
  /** The gateway's own addresses. */
  readonly addresses: readonly string[];

  /** @hidden */
  constructor(parts: NamespaceParts<Gateway>) {
    super(parts);
    this.gateway = parts.service;
    this.addresses = parts.families.map((family) => GATEWAY[family]);
  }
}

/** A round trip goes through the host and back before the next packet comes: longer than one to the stack itself. */
const BUSY_POLL_US = availableParallelism() > 1 ? 200 : 0;

/** What the namespace itself decides. */
const DECIDED = ['stack', 'link', 'inside'];

/**
 * Makes a network namespace, as root or as an ordinary user, and a gateway for it. Inside, the interface has
 * 10.0.2.100 and fd00::100; the gateway is 10.0.2.2 and fd00::2, and the name service 10.0.2.3 and fd00::3. The
 * process lives until `close`.
 * @throws as `openPrivateTun` and `openGateway`
 */
export async function openNamespaceGateway(options: NamespaceGatewayOptions = {}): Promise<NamespaceGateway> {
  const { hostLoopback = false, dns, reach = [], ...others } = servingOptions(options);
  const given = DECIDED.find((name) => name in others);
  if (given !== undefined) throw new ArgumentValueError(`a namespace has a ${given} of its own`);
  const families = familiesOf(options);
  const hasNames = dns !== false;
  const settings = (stack: Stack): GatewayOptions => ({
    ...others,
    stack,
    reach: reach.flatMap((text) => atGateway(text, families)),
    inside: families.map((family) => INSIDE[family]),
    hostLoopback: hostLoopback ? families.map((family) => GATEWAY[family]) : [],
    ...(hasNames
      ? { dns: { addresses: families.map((family) => DNS[family]), ...(dns && { servers: dns }) } }
      : {}),
  });
  const parts = await openStackNamespace(
    { busyPollUs: BUSY_POLL_US, ...options },
    {
      kind: 'gateway',
      hasNames,
      check: (stack) => void resolveOptions(settings(stack)),
      open: (stack, link) => openGateway({ ...settings(stack), link }),
    },
  );
  return new NamespaceGateway(parts);
}

/** A port to reach the host by, at each of the gateway's addresses unless one is named. */
function atGateway(text: string, families: readonly (4 | 6)[]): string[] {
  if (parseForward(text).from.address !== '') return [text];
  return families.map((family) => (family === 4 ? `${GATEWAY[4]}:${text}` : `[${GATEWAY[6]}]:${text}`));
}
