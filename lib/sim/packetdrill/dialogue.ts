/** What passes between a script and the stack: finds the connection of each packet, and compares. */
import type { TcpEndpoint } from '../../stack/tcp-endpoint.js';
import { IpAddress } from '../../wire/ip-address.js';
import { Protocol } from '../../wire/ipv6.js';
import { formatSegment } from '../../wire/segment-text.js';
import { TcpFlag } from '../../wire/tcp.js';
import type { Config } from './config.js';
import { Flow, type LiveSegment, locate } from './flow.js';
import { differences, formatExpected, formatLive, joinSegments } from './match.js';
import { icmpNumbers } from './packets.js';
import type { IcmpSpec, TcpSpec } from './script.js';
import type { ScriptedWire, SentPacket } from './wire.js';

/** Port of the first connection the other side begins; the next ones follow. */
const FIRST_REMOTE_PORT = 40_000;

/** What was taken for a line of the script. */
export interface Taken {
  readonly expected: string;
  readonly text: string;
  /** '' when nothing differs. */
  readonly differences: string;
  readonly atUs: number;
}

export class Dialogue {
  readonly #wire: ScriptedWire;
  readonly #config: Config;
  readonly #flows = new Map<string, Flow>();
  readonly #cookies = new Map<string, string>();
  /** The one that lines without ports are about. */
  #current: Flow | undefined;
  /** The connection the stack began last. */
  #endpoint: TcpEndpoint | undefined;
  /** The application has closed the current one. */
  #isReleased = false;
  #listenPort: number | undefined;
  #nextRemotePort = FIRST_REMOTE_PORT;

  constructor(wire: ScriptedWire, config: Config) {
    this.#wire = wire;
    this.#config = config;
  }

  listensAt(port: number): void {
    this.#listenPort = port;
  }

  /** The stack begins a connection: what follows is about it. */
  connects(endpoint: TcpEndpoint): void {
    if (endpoint === this.#endpoint) return;
    this.#endpoint = endpoint;
    this.#current = this.#flow(endpoint.localPort, endpoint.remotePort);
  }

  /** A connection was given up by its application: a SYN that comes now begins another. */
  released(): void {
    this.#isReleased = true;
  }

  inject(spec: TcpSpec | IcmpSpec): void {
    if (spec.protocol === 'icmp') {
      this.#wire.inject(this.#needCurrent().composeIcmp(spec));
      return;
    }
    this.#current = this.#flowFor(spec);
    this.#wire.inject(this.#current.compose(spec));
  }

  /** The connection a line of the other side is about; a SYN may begin one. */
  #flowFor(spec: TcpSpec): Flow {
    if (spec.sourcePort !== undefined && spec.destinationPort !== undefined) {
      return this.#flow(spec.destinationPort, spec.sourcePort);
    }
    const isSyn = (spec.flags & (TcpFlag.SYN | TcpFlag.ACK)) === TcpFlag.SYN;
    const begins =
      this.#current === undefined || (isSyn && this.#isReleased && this.#listenPort !== undefined);
    if (!begins) return this.#needCurrent();
    this.#isReleased = false;
    return this.#flow(this.#listenPort ?? this.#config.bindPort, this.#nextRemotePort++);
  }

  #needCurrent(): Flow {
    this.#current ??= this.#flow(this.#listenPort ?? this.#config.bindPort, this.#nextRemotePort++);
    return this.#current;
  }

  #flow(localPort: number, remotePort: number): Flow {
    const key = `${localPort} ${remotePort}`;
    const known = this.#flows.get(key);
    if (known !== undefined) return known;
    const { local, remote } = this.#config;
    const ends = { source: remote, destination: local, sourcePort: remotePort, destinationPort: localPort };
    const flow = new Flow(ends, this.#cookies);
    this.#flows.set(key, flow);
    return flow;
  }

  /** The oldest packet of the stack, compared with the line that expects it. There is one. */
  take(spec: TcpSpec | IcmpSpec): Taken {
    const packet = this.#wire.sent.shift() as SentPacket;
    if (spec.protocol === 'icmp') return this.#takeIcmp(spec, packet);
    const expected = formatExpected(spec);
    const flow = this.#flowOf(packet);
    if (flow === undefined) {
      return { expected, text: this.describe(packet), differences: 'protocol', atUs: packet.atUs };
    }
    flow.learn(spec, packet.bytes);
    flow.lastSent = packet.bytes;
    this.#current = flow;
    const first = flow.read(packet.bytes, packet.atUs);
    if (first === undefined) return { expected, text: 'malformed', differences: 'header', atUs: packet.atUs };
    const live = this.#joined(first, flow, spec.textBytes);
    const { timestampTickUs, toleranceUs } = this.#config;
    const stampTolerance = timestampTickUs === 0 ? -1 : Math.ceil(toleranceUs / timestampTickUs);
    return {
      expected,
      text: formatLive(live, spec),
      differences: differences(spec, live, stampTolerance),
      atUs: packet.atUs,
    };
  }

  /** The segments that follow, as far as the line is about more than the first. */
  #joined(first: LiveSegment, flow: Flow, textBytes: number): LiveSegment {
    let live = first;
    while (live.line.textBytes < textBytes && this.#wire.sent.length > 0) {
      const [next] = this.#wire.sent;
      const other = this.#flowOf(next) === flow ? flow.read(next.bytes, next.atUs) : undefined;
      const joined: LiveSegment | undefined = other && joinSegments(live, other);
      if (joined === undefined) break;
      live = joined;
      this.#wire.sent.shift();
    }
    return live;
  }

  #takeIcmp(spec: IcmpSpec, packet: SentPacket): Taken {
    const { view, at, protocol } = locate(packet.bytes);
    const isIcmp = protocol === Protocol.Icmp || protocol === Protocol.Icmpv6;
    const message = icmpNumbers(packet.bytes[0] >> 4 === 6, spec.type, spec.code);
    const isSame = isIcmp && message?.[0] === view.getUint8(at) && message[1] === view.getUint8(at + 1);
    const text = this.describe(packet);
    return { expected: this.expected(spec), text, differences: isSame ? '' : 'message', atUs: packet.atUs };
  }

  expected(spec: TcpSpec | IcmpSpec): string {
    return spec.protocol === 'tcp' ? formatExpected(spec) : `> icmp ${spec.type} ${spec.code}`.trimEnd();
  }

  /** A packet of the stack in the words of the script. */
  describe(packet: SentPacket): string {
    const live = this.#flowOf(packet)?.read(packet.bytes, packet.atUs);
    if (live !== undefined) return formatLive(live);
    const { view, at, protocol } = locate(packet.bytes);
    if (protocol === Protocol.Tcp) return `> ${formatSegment(view, at, packet.bytes.length - at)}`;
    if (protocol !== Protocol.Icmp && protocol !== Protocol.Icmpv6) return `> protocol ${protocol}`;
    return `> icmp type ${view.getUint8(at)} code ${view.getUint8(at + 1)}`;
  }

  /** The connection of a packet of the stack, which may be its first. */
  #flowOf({ bytes }: SentPacket): Flow | undefined {
    const { view, at, protocol } = locate(bytes);
    if (protocol !== Protocol.Tcp) return undefined;
    const isV6 = bytes[0] >> 4 === 6;
    const destination = IpAddress.read(view, isV6 ? 24 : 16, isV6 ? 6 : 4);
    if (!destination.equals(this.#config.remote)) return undefined;
    return this.#flow(view.getUint16(at), view.getUint16(at + 2));
  }
}
