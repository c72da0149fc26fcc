/**
 * A gateway in a process whose descriptors run out, and come back. Prints what became of whom, as a line of JSON. To be
 * run with a low limit, in a process of its own.
 */
import { createSocket } from 'node:dgram';
import { once } from 'node:events';
import { closeSync, openSync } from 'node:fs';
import { type AddressInfo, connect, createServer } from 'node:net';
import dnsPacket from 'dns-packet';
import { DNS_ADDRESS, HOST, PipeBed, until } from './pipe-bed.js';

const echo = createServer((socket) => socket.on('error', () => {}).pipe(socket)).listen(0, '127.0.0.1');
await once(echo, 'listening');
const { port } = echo.address() as AddressInfo;
const datagrams = createSocket('udp4', (bytes, from) => datagrams.send(bytes, from.port, from.address));
datagrams.bind(0, '127.0.0.1');
await once(datagrams, 'listening');
const { port: udpPort } = datagrams.address();

const probe = createServer().listen(0, '127.0.0.1');
await once(probe, 'listening');
const { port: published } = probe.address() as AddressInfo;
probe.close();
await once(probe, 'close');

const bed = await PipeBed.open({
  publish: [`${published}:80`],
  dns: { addresses: [DNS_ADDRESS], servers: [`127.0.0.1:${udpPort}`] },
});
const { gateway, inside } = bed;
inside.net.createServer((socket) => socket.on('error', () => {}).end('inside')).listen(80);

const dial = () => inside.net.connect(port, HOST[4]);

/** What a new connection says to a word: the word, or the code of an error. */
async function tried(socket = dial()): Promise<string> {
  try {
    socket.write('word');
    const [bytes] = (await once(socket, 'data')) as [Buffer];
    return String(bytes);
  } catch (error) {
    return (error as NodeJS.ErrnoException).code ?? '';
  } finally {
    socket.destroy();
  }
}

/** Whether a name server's answer to a question is one: the echo is none. */
async function asked(): Promise<string> {
  const client = inside.dgram.createSocket('udp4');
  const question = { type: 'A' as const, name: 'a.example' };
  client.send(dnsPacket.encode({ type: 'query', id: 5, questions: [question] }), 53, DNS_ADDRESS);
  const [bytes] = (await once(client, 'message')) as [Buffer];
  client.close();
  return (dnsPacket.decode(bytes) as dnsPacket.DecodedPacket & { rcode: string }).rcode;
}

async function datagram(): Promise<string> {
  const client = inside.dgram.createSocket('udp4');
  client.on('error', () => {});
  const before = gateway.stats.udpFull;
  client.send('word', udpPort, HOST[4]);
  const answer = once(client, 'message').then(([bytes]) => String(bytes));
  const full = until(() => gateway.stats.udpFull > before, 'it is refused').then(
    () => 'refused',
    () => 'silence',
  );
  const outcome = await Promise.race([answer, full]);
  client.close();
  return outcome;
}

const old = dial();
await once(old, 'connect');
await until(() => gateway.stats.tcpJoined === 1, 'one is joined');
const before = [await datagram()];

const fillers: number[] = [];
try {
  for (;;) fillers.push(openSync('/dev/null', 'r'));
} catch {
  // There are no more.
}
const without = [await tried(), await datagram(), await asked(), await tried(old)];
// One for whoever knocks outside, none for who opens.
closeSync(fillers.pop() ?? -1);
const outside = connect(published, '127.0.0.1');
outside.on('error', () => {});
await once(outside, 'connect');
const knocked = await Promise.race([
  once(outside, 'close').then(() => 'closed'),
  once(outside, 'data').then(([bytes]) => String(bytes)),
]);
outside.destroy();
const { tcpFull, tcpUnreachable, udpFull, dnsDropped } = gateway.stats;
for (const filler of fillers) closeSync(filler);
const after = [await tried(), await datagram(), await tried(connect(published, '127.0.0.1'))];
await until(() => gateway.tcpFlows === 0, 'no connection is left');
console.log(
  JSON.stringify({ before, without, knocked, tcpFull, tcpUnreachable, udpFull, dnsDropped, after }),
);
process.exit(0);
