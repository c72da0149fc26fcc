/**
 * How the parts of IP are put together: what is needed to send, then what receives with it.
 */
import type { Random } from '../base/random.js';
import type { StackStats } from '../base/stats.js';
import type { IpPacket } from '../wire/ip-packet.js';
import { AddressBook } from './addresses.js';
import { Delivery } from './delivery.js';
import { EchoListeners } from './echo.js';
import { ForeignPackets } from './foreign-packets.js';
import { ForwardFragmenter } from './forward-fragmenter.js';
import { Forwarder } from './forwarder.js';
import { GroupTable } from './groups.js';
import { IcmpInput } from './icmp-input.js';
import { IcmpResponder } from './icmp-responder.js';
import { Identification } from './identification.js';
import type { PacketSegmenter } from './interfaces.js';
import { IpInput } from './ip-input.js';
import { IpOutput } from './ip-output.js';
import { LinkSettings } from './link-options.js';
import { type MartianListener, MartianLog } from './martian-log.js';
import { GroupReporter } from './multicast/group-reporter.js';
import { IGMP_PROTOCOL } from './multicast/igmp.js';
import type { IpOptions } from './options.js';
import { PacketFilter } from './packet-filter.js';
import { PathMtuCache } from './path-mtu.js';
import { PortTable } from './ports.js';
import { Reassembly } from './reassembly.js';
import { RedirectSender } from './redirect-sender.js';
import { Redirects } from './redirects.js';
import { ReplyPaths } from './reply-paths.js';
import { PathResolver } from './resolver.js';
import { RouteGetter } from './route-getter.js';
import { Routing } from './routing.js';

interface PartsEnv {
  readonly random: Random;
  readonly stats: StackStats;
  readonly options: IpOptions;
}

interface OutgoingEnv extends PartsEnv {
  /** The time now, µs, also outside of turns. */
  nowUs(): number;
}

export interface OutgoingParts {
  readonly ports: PortTable;
  readonly routing: Routing;
  readonly groups: GroupTable;
  readonly reporter: GroupReporter;
  readonly addresses: AddressBook;
  readonly pathMtu: PathMtuCache;
  readonly resolver: PathResolver;
  readonly identification: Identification;
  readonly output: IpOutput;
  readonly replies: ReplyPaths;
  readonly responder: IcmpResponder;
}

export function outgoingParts(env: OutgoingEnv): OutgoingParts {
  const { random, stats, options } = env;
  const ports = new PortTable();
  const routing = new Routing({ random, ports, options });
  const groups = new GroupTable(options.groups);
  const addresses = new AddressBook({ routing, ports, groups, options });
  const reporter = new GroupReporter({ random, stats, ports, addresses, nowUs: () => env.nowUs() });
  groups.onFilter = (port, group, filter) => reporter.filterChanged(port, group, filter);
  const pathMtu = new PathMtuCache(random, options);
  routing.onRouteGone = (route) => pathMtu.forget(route);
  const resolver = new PathResolver({ random, ports, routing, addresses, pathMtu, options });
  routing.routes.setGetter(new RouteGetter({ routing, ports, resolver }));
  const identification = new Identification(random);
  const output = new IpOutput({
    stats,
    identification,
    revalidate: (path) => resolver.revalidate(path),
    generation: () => routing.generation,
  });
  const replies = new ReplyPaths(random, resolver);
  const replyPath = (packet: IpPacket, protocol: number) => replies.resolve(packet, protocol);
  const routerPath = (packet: IpPacket, protocol: number) => replies.resolveOwn(packet, protocol);
  const responder = new IcmpResponder({ random, stats, options, output, replyPath, routerPath });
  const way = { ports, routing, groups, reporter, addresses, pathMtu, resolver };
  return { ...way, identification, output, replies, responder };
}

export interface IncomingParts {
  readonly echo: EchoListeners;
  readonly delivery: Delivery;
  readonly foreign: ForeignPackets;
  readonly forwarder: Forwarder;
  readonly settings: LinkSettings;
  readonly reassembly: Reassembly;
  readonly input: IpInput;
}

export function incomingParts(
  env: PartsEnv & {
    readonly onMartian: MartianListener | undefined;
    readonly segmenter: PacketSegmenter | undefined;
  },
  ways: { readonly out: OutgoingParts; learnPathMtu(quote: IpPacket, mtu: number): void },
): IncomingParts {
  const { stats, options } = env;
  const { ports, routing, groups, reporter, addresses, pathMtu, responder } = ways.out;
  const echo = new EchoListeners((packet) => responder.echo(packet, packet.payloadBytes));
  const foreign = new ForeignPackets();
  const delivery = new Delivery(stats, responder, foreign);
  delivery.setTransport(IGMP_PROTOCOL, reporter);
  const reassembly = new Reassembly(env);
  const settings = new LinkSettings(options);
  const filter = new PacketFilter({ stats, options, routing, addresses, groups, foreign, settings });
  const martians = new MartianLog(env.onMartian);
  const forwarder = createForwarder(env, ways.out, settings);
  delivery.onDeclined = (packet) => {
    if (!forwarder.isOn(packet.link)) return false;
    forwarder.route(packet, reassembly.isOurs(packet));
    return true;
  };
  const judges = { ports, filter, martians };
  const input = new IpInput({ stats, options, ...judges, reassembly, responder, delivery, forwarder });
  delivery.setIcmp(
    new IcmpInput({
      stats,
      options,
      responder,
      echo,
      foreign,
      redirects: new Redirects({ stats, options, routing, addresses, pathMtu }),
      transport: (protocol) => delivery.transport(protocol),
      isOurs: (w0, w1, w2, w3) => addresses.portOf(w0, w1, w2, w3) >= 0,
      wasFragmented: () => delivery.fragmented,
      learnPathMtu: (quote, mtu) => ways.learnPathMtu(quote, mtu),
      listenerMessage: (packet) => reporter.inputMld(packet),
    }),
  );
  return { echo, delivery, foreign, forwarder, settings, reassembly, input };
}

function createForwarder(
  env: { readonly stats: StackStats; readonly segmenter: PacketSegmenter | undefined },
  out: OutgoingParts,
  settings: LinkSettings,
): Forwarder {
  const { stats, segmenter } = env;
  const { ports, routing, addresses, responder, resolver, output, identification } = out;
  const redirects = new RedirectSender({ stats, settings, addresses, responder, resolver, output });
  const fragmenter = new ForwardFragmenter(stats, identification);
  const common = { stats, settings, ports, routing, addresses, responder };
  return new Forwarder({ ...common, redirects, fragmenter, segmenter });
}
