/**
 * A process that has a TUN and no stack: packets of its kernel go over a channel to another process, and back. It
 * runs programs inside, one per line of its standard input, and prints what each said and its status, as JSON.
 *
 *     tun-relay.ts ws://127.0.0.1:8080 | udp:<port> | fd:<framing>
 */
import { createSocket } from 'node:dgram';
import { once } from 'node:events';
import { Socket } from 'node:net';
import { createInterface } from 'node:readline';
import { WebSocket } from 'ws';
import { SystemClock } from '../../../lib/index.js';
import { byteStreamLink } from '../../../lib/link/byte-stream-link.js';
import { joinLinks } from '../../../lib/link/join-links.js';
import type { Framing } from '../../../lib/link/packet-framer.js';
import type { PacketLink } from '../../../lib/link/packet-link.js';
import { openPrivateTun } from '../../../lib/link/tun-private.js';
import { udpSocketLink } from '../../../lib/link/udp-socket-link.js';
import { webSocketLink } from '../../../lib/link/web-socket-link.js';

const MTU = 1400;
const CHANNEL_FD = 3;

const clock = new SystemClock();

async function linkOf(channel: string): Promise<PacketLink> {
  const options = { clock, mtu: MTU };
  const [kind, rest] = channel.split(':');
  if (kind === 'ws') return webSocketLink(new WebSocket(channel), options);
  if (kind === 'fd') {
    return byteStreamLink(new Socket({ fd: CHANNEL_FD }), { ...options, framing: rest as Framing });
  }
  const socket = createSocket('udp4').bind(0, '127.0.0.1');
  await once(socket, 'listening');
  const link = udpSocketLink(socket, { address: '127.0.0.1', port: Number(rest) }, options);
  // The other side learns from this where we are.
  socket.send('here', Number(rest), '127.0.0.1');
  return link;
}

const tun = await openPrivateTun({ address: ['10.0.0.1/24', 'fd00::1/64'], mtu: MTU });
const joined = joinLinks(tun.device, await linkOf(process.argv[2]));
joined.onDown = (error) => {
  console.log(JSON.stringify({ down: error.message }));
  tun.close().then(
    () => process.exit(),
    () => process.exit(1),
  );
};
console.log(JSON.stringify({ ready: true }));

for await (const line of createInterface(process.stdin)) {
  const [command, ...args] = JSON.parse(line) as [string, ...string[]];
  const program = tun.run(command, args, { stdio: ['ignore', 'pipe', 'pipe'] });
  let output = '';
  program.stdout?.setEncoding('utf8').on('data', (text: string) => {
    output += text;
  });
  let errors = '';
  program.stderr?.setEncoding('utf8').on('data', (text: string) => {
    errors += text;
  });
  const [status] = (await once(program, 'close')) as [number];
  const { forth, back } = joined;
  console.log(JSON.stringify({ output, errors, status, drops: forth.outDrops + back.outDrops }));
}
joined.close();
await tun.close();
