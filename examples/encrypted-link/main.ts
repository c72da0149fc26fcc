/**
 * Two stacks, and between them an encrypted tunnel over UDP, in a network that somebody else owns: he reads every
 * datagram, sends each once more, and a third time with a bit of it changed.
 *
 *     npx tsx examples/encrypted-link/main.ts
 */
import { createSocket, type Socket } from 'node:dgram';
import { once } from 'node:events';
import { createServer, get } from 'node:http';
import { Stack, SystemClock, SystemRandom } from 'tunstack';
import { type KeyPair, makeKeys } from './noise.js';
import { OVERHEAD_BYTES, Tunnel } from './tunnel.js';

/** Outer IPv4 and UDP headers take 28 bytes of each packet's way. */
const MTU = 1500 - 28 - OVERHEAD_BYTES;
const SECRET = 'the treasure lies under the old oak. ';

/** Everything that was ever on the wire. */
const overheard: Buffer[] = [];

/** The network: what arrives was sent, was sent before, or was never sent. */
function attack(datagram: Buffer, deliver: (datagram: Buffer) => void): void {
  overheard.push(datagram);
  deliver(datagram);
  deliver(datagram);
  const changed = Buffer.from(datagram);
  changed[overheard.length % changed.length] ^= 1 << (overheard.length % 8);
  deliver(changed);
}

interface End {
  readonly stack: Stack;
  readonly tunnel: Tunnel;
}

function endAt(socket: Socket, address: string, keys: KeyPair, peer: KeyPair, isInitiator: boolean): End {
  const clock = new SystemClock();
  const stack = new Stack({ clock, random: new SystemRandom() });
  const tunnel = new Tunnel({
    clock,
    keys,
    peerKey: peer.publicBytes,
    isInitiator,
    mtu: MTU,
    rekeyPackets: 20,
    transmit: (datagram) => socket.send(datagram),
    close: () => socket.close(),
  });
  socket.on('message', (datagram) => attack(datagram, (one) => tunnel.receive(one)));
  stack.addLink(tunnel.link, { addresses: [`${address}/24`] });
  return { stack, tunnel };
}

/** Two sockets of the host, connected to each other. */
async function socketPair(): Promise<[Socket, Socket]> {
  const [a, b] = [createSocket('udp4'), createSocket('udp4')];
  for (const socket of [a, b]) {
    socket.bind(0, '127.0.0.1');
    await once(socket, 'listening');
  }
  a.connect(b.address().port, '127.0.0.1');
  b.connect(a.address().port, '127.0.0.1');
  await Promise.all([once(a, 'connect'), once(b, 'connect')]);
  return [a, b];
}

// Each side knows the public key of the other: how, is another story.
const [aliceKeys, bobKeys] = [makeKeys(), makeKeys()];
const [here, there] = await socketPair();
const bob = endAt(there, '10.7.0.2', bobKeys, aliceKeys, false);
const alice = endAt(here, '10.7.0.1', aliceKeys, bobKeys, true);

const web = createServer((_request, response) => response.end(SECRET.repeat(5000)));
bob.stack.serve(web, 80);
await once(web, 'listening');
const [response] = await once(get({ host: '10.7.0.2', agent: alice.stack.agent() }), 'response');
let page = '';
for await (const text of response.setEncoding('utf8')) page += text;

const { tunnel } = bob;
console.log(
  `page:      ${page.length} letters, ${page === SECRET.repeat(5000) ? 'all of them right' : 'DAMAGED'}`,
);
console.log(
  `overheard: ${overheard.some((one) => one.includes('treasure')) ? 'THE SECRET' : 'nothing of it'}`,
);
console.log(`keys:      ${tunnel.handshakes > 1 ? 'replaced on the way' : 'NEVER REPLACED'}`);
console.log(`replayed:  ${tunnel.replayed} datagrams, none taken`);
console.log(`forged:    ${tunnel.forged} datagrams, none taken`);
alice.stack.close();
bob.stack.close();
