/** A name server on a stack, which says what a test wants said. */
import dnsPacket, { type Answer, type Packet } from 'dns-packet';
import type { Stack } from '../../../lib/stack/stack.js';
import type { TcpEndpoint } from '../../../lib/stack/tcp-endpoint.js';
import { IpAddress } from '../../../lib/wire/ip-address.js';

/** A query as it arrived. */
export interface Query {
  readonly name: string;
  readonly type: string;
  readonly id: number;
  readonly overTcp: boolean;
  /** Of the client. */
  readonly port: number;
  /** What its OPT record says it takes; undefined without EDNS. */
  readonly udpPayloadBytes: number | undefined;
  readonly packet: Packet;
}

/** What is sent back, in order: messages and raw bytes. Nothing, for silence. */
export type Reply = readonly (Packet | Uint8Array)[];
export type Script = (query: Query) => Reply;

const { RECURSION_AVAILABLE, RECURSION_DESIRED } = dnsPacket;

/** The SOA record of `test`: what it says is not there stays so for 5 s. */
export const SOA: Answer = {
  type: 'SOA',
  name: 'test',
  ttl: 60,
  data: { mname: 'ns.test', rname: 'root.test', serial: 1, refresh: 2, retry: 3, expire: 4, minimum: 5 },
};

/** An answer to `query`; `rcode` 0 by default. */
export const reply = (query: Query, message: Packet = {}, rcode = 0): Packet => ({
  type: 'response',
  id: query.id,
  questions: query.packet.questions,
  ...message,
  flags: RECURSION_DESIRED | RECURSION_AVAILABLE | (message.flags ?? 0) | rcode,
});

/** An answer with these records. */
export const answer = (query: Query, ...answers: Answer[]): Packet => reply(query, { answers });

/** `name` has this address. */
export const address = (name: string, data: string, ttl = 60): Answer => ({
  type: data.includes(':') ? 'AAAA' : 'A',
  name,
  ttl,
  data,
});

export const alias = (name: string, data: string, ttl = 60): Answer => ({ type: 'CNAME', name, ttl, data });

/** There is no such name. */
export const noName = (query: Query): Packet => reply(query, { authorities: [SOA] }, 3);

/** There is the name, and nothing of the type. */
export const noData = (query: Query): Packet => reply(query, { authorities: [SOA] });

/** Answers from a table of records; what is not there is `noName`. */
export const zone =
  (...records: Answer[]): Script =>
  (query) => {
    const named = records.filter(({ name }) => name.toLowerCase() === query.name.toLowerCase());
    if (named.length === 0) return [noName(query)];
    const answers = named.filter(({ type }) => type === query.type || query.type === 'ANY');
    return [answers.length > 0 ? answer(query, ...answers) : noData(query)];
  };

export function readQuery(bytes: Uint8Array, overTcp: boolean, port: number): Query {
  const packet = dnsPacket.decode(Buffer.from(bytes));
  const question = packet.questions?.[0];
  const opt = packet.additionals?.find(({ type }) => type === 'OPT') as
    | { udpPayloadSize: number }
    | undefined;
  return {
    name: question?.name === '.' ? '' : (question?.name ?? ''),
    type: String(question?.type),
    id: packet.id ?? -1,
    overTcp,
    port,
    udpPayloadBytes: opt?.udpPayloadSize,
    packet,
  };
}

export const bytesOf = (part: Packet | Uint8Array): Uint8Array =>
  part instanceof Uint8Array ? part : dnsPacket.encode(part);

/** With its length before it (RFC 1035 §4.2.2). */
export function framed(bytes: Uint8Array): Uint8Array {
  const frame = Buffer.alloc(2 + bytes.length);
  frame.writeUInt16BE(bytes.length);
  frame.set(bytes, 2);
  return frame;
}

const READABLE = 1;

export class NameServer {
  /** What was asked, in order. */
  readonly queries: Query[] = [];
  script: Script;

  /** Listens on port 53 of `at`, over UDP and TCP. */
  constructor(stack: Stack, at: string, script: Script) {
    this.script = script;
    const local = IpAddress.parse(at);
    const udp = stack.openUdp(local.family);
    udp.bind(local, 53);
    udp.onEvents = (events) => {
      if ((events & READABLE) === 0) return;
      for (let datagram = udp.receive(); datagram !== undefined; datagram = udp.receive()) {
        const { source: destination, sourcePort: port } = datagram;
        for (const part of this.#replies(datagram.payload, false, port)) {
          udp.send(bytesOf(part), { destination, port });
        }
      }
    };
    const listener = stack.listenTcp({ address: local, port: 53 });
    listener.onConnection = () => {
      const endpoint = listener.accept();
      if (endpoint !== undefined) this.#serve(endpoint);
    };
  }

  get asked(): string[] {
    return this.queries.map(({ name, type, overTcp }) => `${type} ${name}${overTcp ? ' TCP' : ''}`);
  }

  #replies(bytes: Uint8Array, overTcp: boolean, port: number): Reply {
    const query = readQuery(bytes, overTcp, port);
    this.queries.push(query);
    return this.script(query);
  }

  #serve(endpoint: TcpEndpoint): void {
    const bytes = Buffer.alloc(65_537);
    let length = 0;
    const read = (): void => {
      length += endpoint.read(bytes, length);
      if (length < 2 || length < 2 + bytes.readUInt16BE(0)) return;
      const query = bytes.subarray(2, 2 + bytes.readUInt16BE(0));
      length = 0;
      for (const part of this.#replies(query, true, endpoint.remotePort))
        endpoint.write(framed(bytesOf(part)));
    };
    endpoint.handler = {
      onConnect: () => {},
      onWritable: () => {},
      onReadable: read,
      onEnd: () => endpoint.shutdown(),
      onClose: () => {},
    };
    // The query may have come with the last segment of the handshake.
    read();
  }
}
