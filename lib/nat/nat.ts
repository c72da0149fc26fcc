/** Network address translation of a stack that forwards: the public face of the room. */
import { type Alarm, NEVER } from '../base/clock.js';
import { ArgumentRangeError, ArgumentTypeError, StackError } from '../base/errors.js';
import type { Stack } from '../stack/stack.js';
import { IpAddress } from '../wire/ip-address.js';
import { Protocol } from '../wire/ipv6.js';
import { Forward, type PortForwardOptions } from './forwards.js';
import type { NatHost } from './host.js';
import type { NatStats } from './nat-stats.js';
import { type NatOptions, type ResolvedNatOptions, resolveNatOptions } from './options.js';
import type { LinkAddress } from './outside.js';
import type { Endpoint } from './rewrite.js';
import type { Session } from './sessions.js';
import { StackPorts } from './stack-ports.js';
import { isEstablished, isOver, Seen } from './tcp-track.js';
import { Translator } from './translator.js';

/** A session, for readers. */
export interface NatSession {
  /** What is translated. */
  readonly protocol: 'tcp' | 'udp' | 'icmp' | 'icmpv6';
  /** Address and port inside, `10.0.0.2:5000` or `[fd00::2]:5000`; of ICMP the identifier of the query. */
  readonly inside: string;
  /** As what it is seen outside. */
  readonly outside: string;
  /** To whom it speaks. */
  readonly remote: string;
  /** `opening` until both sides have spoken, `open`, and `closed` while it lingers. */
  readonly state: 'opening' | 'open' | 'closed';
  /** How long nothing has passed, ms. */
  readonly idleMs: number;
}

/** A port forward that is in force. */
export interface PortForward {
  /** What it was made with. */
  readonly options: PortForwardOptions;
  /** Ends it, with the sessions it let in. May be called twice. */
  close(): void;
}

/** Stacks that have a translator. */
const taken = new WeakSet<Stack>();

/**
 * Hides the networks behind a stack that forwards from the one behind its outside link: what leaves there gets
 * that link's address as source, and answers find their way back. TCP, UDP and ICMP queries of both versions of IP;
 * other protocols do not pass. What the stack sends itself is not touched, and what comes in for its own sockets
 * stays theirs.
 */
export class Nat {
  readonly #stack: Stack;
  readonly #options: ResolvedNatOptions;
  readonly #translator: Translator;
  readonly #alarm: Alarm;
  readonly #ports: StackPorts;
  #alarmUs = NEVER;
  #isClosed = false;

  /**
   * Begins to translate. The stack forwards if its option `ip.forwarding` is set, for all links or those of its
   * choice.
   * @param options `outside` is the index or the name of the link behind which the hidden network must not be seen
   * @throws ArgumentTypeError, ArgumentRangeError, ArgumentValueError, TypeError for options that are wrong;
   *   StackError EBUSY where the stack has a translator, ENETDOWN where it is closed
   */
  constructor(options: NatOptions & { readonly stack: Stack; readonly outside: number | string }) {
    if (options === null || typeof options !== 'object')
      throw new ArgumentTypeError('options must be an object');
    const { stack, outside, ...rest } = options;
    this.#options = resolveNatOptions(rest);
    if (stack === null || typeof stack !== 'object') throw new ArgumentTypeError('stack must be a Stack');
    const link = stack.ip.portIndex(outside);
    if (link <= 0) throw new ArgumentRangeError(`there is no link ${outside} to hide behind`);
    if (stack.isClosed) throw new StackError('ENETDOWN', 'nat');
    if (taken.has(stack)) throw new StackError('EBUSY', 'nat');
    taken.add(stack);
    this.#stack = stack;
    this.#ports = new StackPorts(stack, link);
    this.#alarm = stack.clock.createAlarm(() => this.#ring());
    this.#alarm.unref?.();
    const { random } = stack;
    this.#translator = new Translator({ random, host: this.#host(link), link, options: this.#options });
    stack.ip.setTranslator(this.#translator);
  }

  #host(link: number): NatHost {
    const stack = this.#stack;
    return {
      own: this.#ports,
      drop: (reason) => stack.stats.drop(reason),
      generation: () => stack.ip.routing.generation,
      linkAddresses: () => outsideAddresses(stack, link),
      sendError: (packet, kind) => stack.ip.icmpErrors.errorAsRouter(packet, kind),
      deadlineChanged: () => this.#setAlarm(),
    };
  }

  /** What was translated, and what refused. */
  get stats(): NatStats {
    return this.#translator.stats;
  }

  /** The outside addresses in use, those of new flows first; behind them those that only go on with what they have. */
  get addresses(): string[] {
    return this.#translator.addresses.list.map(({ address }) => address.toString());
  }

  /** The port forwards in force, in the order in which they are asked. */
  get forwards(): readonly PortForwardOptions[] {
    return this.#translator.forwards.list.map((forward) => forward.options);
  }

  /** Whether `close` was called. */
  get isClosed(): boolean {
    return this.#isClosed;
  }

  /**
   * Leads what comes to a port outside to a host inside, whoever sends it. What that host sends from the port
   * inside leaves by the port outside. Sessions that have either port already end.
   * @throws ArgumentTypeError, ArgumentRangeError, ArgumentValueError; StackError EADDRINUSE where a socket of the
   *   stack or another forward has the port, ENOBUFS for more than `maxForwards`, ENETDOWN once closed
   */
  forward(options: PortForwardOptions): PortForward {
    if (this.#isClosed) throw new StackError('ENETDOWN', 'forward');
    const forward = new Forward(options);
    const { protocol, first, last } = forward;
    for (let port = first; port <= last; port++) {
      if (!this.#ports.isTaken(protocol, port)) continue;
      throw new StackError('EADDRINUSE', 'forward', options.outsideAddress, port);
    }
    this.#translator.addForward(forward);
    for (let port = first; port <= last; port++) this.#ports.reserve(protocol, port);
    let isOpen = true;
    const close = (): void => {
      if (!isOpen) return;
      isOpen = false;
      this.#translator.removeForward(forward);
      for (let port = first; port <= last; port++) this.#ports.release(protocol, port);
    };
    return { options: forward.options, close };
  }

  /** Every session there is; not for every packet. */
  *sessions(): IterableIterator<NatSession> {
    const nowUs = this.#stack.nowUs();
    for (const session of this.#translator.sessions) {
      const { mapping, remote } = session;
      const { protocol } = mapping;
      const hasPort = protocol === Protocol.Tcp || protocol === Protocol.Udp;
      yield {
        protocol: NAMES[protocol] ?? 'icmp',
        inside: textOf(mapping.inside, true),
        outside: textOf(mapping.outside, true),
        remote: textOf(remote, hasPort),
        state: stateOf(session),
        idleMs: (nowUs - this.#translator.sessions.lastUs(session)) / 1000,
      };
    }
  }

  /** Ends it, and every session. The stack goes on. May be called twice. */
  close(): void {
    if (this.#isClosed) return;
    this.#isClosed = true;
    this.#alarm.clear();
    this.#stack.ip.setTranslator(undefined);
    this.#translator.clear();
    this.#ports.clear();
    taken.delete(this.#stack);
  }

  #ring(): void {
    this.#alarmUs = NEVER;
    if (this.#isClosed || this.#stack.isClosed) return;
    this.#translator.deadlineReached(this.#stack.nowUs());
    this.#setAlarm();
  }

  /** The alarm may ring too early, never too late. */
  #setAlarm(): void {
    const dueUs = this.#translator.nextDeadlineUs;
    if (dueUs >= this.#alarmUs) return;
    this.#alarmUs = dueUs;
    this.#alarm.setAt(dueUs);
  }
}

const NAMES: Readonly<Record<number, NatSession['protocol']>> = {
  [Protocol.Tcp]: 'tcp',
  [Protocol.Udp]: 'udp',
  [Protocol.Icmp]: 'icmp',
  [Protocol.Icmpv6]: 'icmpv6',
};

function stateOf({ mapping, seen }: Session): NatSession['state'] {
  if (mapping.protocol !== Protocol.Tcp) return (seen & Seen.ANSWERED) !== 0 ? 'open' : 'opening';
  if (isOver(seen)) return 'closed';
  return isEstablished(seen) ? 'open' : 'opening';
}

function textOf(endpoint: Endpoint, hasPort: boolean): string {
  const { w0, w1, w2, w3, port } = endpoint;
  const isFour = w0 === 0 && w1 === 0 && w2 === 0xffff;
  const address = isFour ? IpAddress.v4(w3) : IpAddress.v6(w0, w1, w2, w3);
  if (!hasPort) return address.toString();
  return isFour ? `${address}:${port}` : `[${address}]:${port}`;
}

/** The addresses that a link has for the world, and may use. */
const outsideAddresses = (stack: Stack, link: number): LinkAddress[] =>
  stack.ip
    .addresses(link)
    .filter(({ scope, tentative }) => scope === 0 && !tentative)
    .map(({ address, deprecated }) => ({
      address: IpAddress.parse(address.slice(0, address.indexOf('/'))),
      isDeprecated: deprecated,
    }));
