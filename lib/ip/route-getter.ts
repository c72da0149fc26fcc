/**
 * Answers `routes.get`: asks as a packet would, and keeps what was found on the way.
 */
import { StackError } from '../base/errors.js';
import type { IpAddress } from '../wire/ip-address.js';
import type { PathRequest } from './path.js';
import type { PortTable } from './ports.js';
import type { PathResolver } from './resolver.js';
import { addressOf } from './route.js';
import { answer, type RouteAnswer, type RouteQuestion } from './route-answer.js';
import { ANY_PORT, LOOPBACK_PORT, RouteQuery, RouteResult } from './route-query.js';
import type { Routing } from './routing.js';

export class RouteGetter {
  readonly #routing: Routing;
  readonly #ports: PortTable;
  readonly #resolver: PathResolver;
  readonly #query = new RouteQuery();
  readonly #result = new RouteResult();

  constructor(parts: { routing: Routing; ports: PortTable; resolver: PathResolver }) {
    this.#routing = parts.routing;
    this.#ports = parts.ports;
    this.#resolver = parts.resolver;
  }

  /** @throws StackError ENODEV for a port that does not exist */
  get(to: string | IpAddress, question: RouteQuestion = {}): RouteAnswer {
    const destination = addressOf(to);
    return question.iif === undefined
      ? this.#sent(destination, question)
      : this.#received(destination, question);
  }

  /** For a packet of ours: its path, and the lookup that gave it. */
  #sent(destination: IpAddress, question: RouteQuestion): RouteAnswer {
    const request: PathRequest = {
      destination,
      protocol: question.protocol ?? 0,
      mark: question.mark ?? 0,
      trafficClass: question.tos ?? 0,
      oif: question.oif === undefined ? 0 : this.#portIndex(question.oif),
      sourcePort: question.sourcePort ?? 0,
      destinationPort: question.destinationPort ?? 0,
      uid: question.uid ?? -1,
      allowBroadcast: true,
      ...(question.from === undefined ? {} : { source: addressOf(question.from) }),
    };
    const path = this.#resolver.resolve(request);
    const source = path.source.isUnspecified ? undefined : path.source;
    this.#ask(path.destination, source, question);
    const result = this.#result;
    this.#routing.lookup(this.#query, result);
    const { port, gateway, mtu } = path;
    const name = path.unusable === '' ? port.name : '';
    return answer(
      destination,
      { result, error: path.unusable, port: name, gateway, source, mtu },
      this.#routing.routes,
    );
  }

  /** For a packet that came in: where it belongs. */
  #received(destination: IpAddress, question: RouteQuestion): RouteAnswer {
    this.#ask(destination, question.from === undefined ? undefined : addressOf(question.from), question);
    const query = this.#query;
    const result = this.#result;
    query.iif = this.#portIndex(question.iif ?? LOOPBACK_PORT);
    this.#routing.lookup(query, result);
    const hop = result.nexthop;
    const port = hop === undefined ? '' : this.#ports.nameOf(hop.portIndex);
    const findings = { result, error: result.error, port, gateway: hop?.gateway, source: undefined, mtu: 0 };
    return answer(destination, findings, this.#routing.routes);
  }

  #ask(destination: IpAddress, source: IpAddress | undefined, question: RouteQuestion): void {
    const query = this.#query;
    query.setAddresses(destination, source);
    query.mark = question.mark ?? 0;
    query.tos = (question.tos ?? 0) & 0xfc;
    query.oif = question.oif === undefined ? ANY_PORT : this.#portIndex(question.oif);
    query.protocol = question.protocol ?? 0;
    query.sourcePort = question.sourcePort ?? 0;
    query.destinationPort = question.destinationPort ?? 0;
    query.uid = question.uid ?? -1;
  }

  #portIndex(port: string | number): number {
    const index = this.#ports.indexOf(port);
    if (index < 0) throw new StackError('ENODEV', 'route', String(port));
    return index;
  }
}
