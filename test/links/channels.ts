/** Real channels with a link at each end, for tests of links that need Node. */
import { createSocket } from 'node:dgram';
import { once } from 'node:events';
import { type AddressInfo, createServer, connect as netConnect, type Socket } from 'node:net';
import { Duplex } from 'node:stream';
import { MessageChannel } from 'node:worker_threads';
import { WebSocket, WebSocketServer } from 'ws';
import type { Clock } from '../../lib/base/clock.js';
import { byteStreamLink } from '../../lib/link/byte-stream-link.js';
import { messagePortLink } from '../../lib/link/message-port-link.js';
import type { Framing } from '../../lib/link/packet-framer.js';
import type { PacketLink } from '../../lib/link/packet-link.js';
import { packetStreamLink } from '../../lib/link/packet-stream-link.js';
import { udpSocketLink } from '../../lib/link/udp-socket-link.js';
import { webSocketLink } from '../../lib/link/web-socket-link.js';

export interface Ends {
  readonly a: PacketLink;
  readonly b: PacketLink;
  /** Ends what the links do not end themselves. */
  close(): Promise<void> | void;
}

/** Makes a channel and a link at each end. */
export type MakeEnds = (clock: Clock, mtu: number) => Promise<Ends>;

/** Two connected TCP sockets of the host. */
export async function tcpPair(): Promise<[Socket, Socket]> {
  const server = createServer().listen(0, '127.0.0.1');
  await once(server, 'listening');
  const there = netConnect((server.address() as AddressInfo).port, '127.0.0.1');
  const [[here]] = (await Promise.all([once(server, 'connection'), once(there, 'connect')])) as [
    [Socket],
    unknown,
  ];
  server.close();
  return [here, there];
}

/** Two duplex streams in object mode: what is written to one is read from the other. */
export function objectPair(highWaterMark = 16): [Duplex, Duplex] {
  const ends: Duplex[] = [];
  for (const other of [1, 0]) {
    ends.push(
      new Duplex({
        objectMode: true,
        highWaterMark,
        write(chunk, _encoding, done) {
          const peer = ends[other];
          if (peer.push(chunk)) done();
          else (peer as Duplex & { onRead?: () => void }).onRead = done;
        },
        read() {
          const self = this as Duplex & { onRead?: (() => void) | undefined };
          const { onRead } = self;
          self.onRead = undefined;
          onRead?.();
        },
        final(done) {
          ends[other].push(null);
          done();
        },
      }),
    );
  }
  return [ends[0], ends[1]];
}

const packetStreams =
  (
    makePair: () => [
      first: Parameters<typeof packetStreamLink>[0],
      second: Parameters<typeof packetStreamLink>[0],
    ],
  ): MakeEnds =>
  async (clock, mtu) => {
    const [first, second] = makePair();
    return {
      a: packetStreamLink(first, { clock, mtu }),
      b: packetStreamLink(second, { clock, mtu }),
      close() {},
    };
  };

function webPair(): [Parameters<typeof packetStreamLink>[0], Parameters<typeof packetStreamLink>[0]] {
  const strategy = { highWaterMark: 8 };
  const there = new TransformStream<Uint8Array, Uint8Array>({}, strategy, strategy);
  const back = new TransformStream<Uint8Array, Uint8Array>({}, strategy, strategy);
  return [
    { readable: there.readable, writable: back.writable },
    { readable: back.readable, writable: there.writable },
  ];
}

const byteStreams =
  (framing: Framing): MakeEnds =>
  async (clock, mtu) => {
    const [first, second] = await tcpPair();
    return {
      a: byteStreamLink(first, { clock, mtu, framing }),
      b: byteStreamLink(second, { clock, mtu, framing }),
      close() {},
    };
  };

async function datagrams(clock: Clock, mtu: number): Promise<Ends> {
  const sockets = [createSocket('udp4'), createSocket('udp6')];
  const hosts = ['127.0.0.1', '::'];
  for (const [i, socket] of sockets.entries()) {
    socket.bind(0, hosts[i]);
    await once(socket, 'listening');
  }
  const [first, second] = sockets;
  // One sees its peer as IPv4, the other as IPv4-mapped.
  const toSecond = { address: '127.0.0.1', port: second.address().port };
  const toFirst = { address: '::ffff:127.0.0.1', port: first.address().port };
  return {
    a: udpSocketLink(first, toSecond, { clock, mtu }),
    b: udpSocketLink(second, toFirst, { clock, mtu }),
    close() {},
  };
}

async function webSockets(clock: Clock, mtu: number): Promise<Ends> {
  const server = new WebSocketServer({ port: 0, host: '127.0.0.1' });
  await once(server, 'listening');
  const client = new WebSocket(`ws://127.0.0.1:${(server.address() as AddressInfo).port}`);
  const [accepted] = (await once(server, 'connection')) as [WebSocket];
  return {
    // This one may still be connecting.
    a: webSocketLink(client, { clock, mtu }),
    b: webSocketLink(accepted, { clock, mtu }),
    close: () =>
      new Promise((closed) => {
        server.close(() => closed());
      }),
  };
}

async function ports(clock: Clock, mtu: number): Promise<Ends> {
  const { port1, port2 } = new MessageChannel();
  return { a: messagePortLink(port1, { clock, mtu }), b: messagePortLink(port2, { clock, mtu }), close() {} };
}

/** All kinds, by name. */
export const CHANNELS: Readonly<Record<string, MakeEnds>> = {
  'WHATWG streams of packets': packetStreams(webPair),
  'object streams of Node': packetStreams(() => objectPair()),
  'a byte stream, framed by IP': byteStreams('ip'),
  'a byte stream with lengths of 16 bits': byteStreams('length16'),
  'a byte stream with lengths of 32 bits': byteStreams('length32'),
  'UDP sockets': datagrams,
  WebSockets: webSockets,
  'message ports': ports,
};
