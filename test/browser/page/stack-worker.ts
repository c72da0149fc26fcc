/** A stack in a worker of a browser, joined to that of another worker by a MessagePort. */
import {
  BrowserClock,
  BrowserRandom,
  IpAddress,
  messagePortLink,
  type PacketPort,
  Stack,
  UdpEvent,
} from 'tunstack/browser';
import type { Report, Start } from './protocol.js';

/** What a worker of a browser has, and the types of Node do not. */
interface WorkerScope {
  addEventListener(type: 'message', listener: (event: { data: Start }) => void): void;
  postMessage(message: Report): void;
}

const scope = globalThis as unknown as WorkerScope;

const CLIENT = '10.0.0.1';
const SERVER = '10.0.0.2';
const PORT = 7;

function makeStack(
  port: PacketPort,
  address: string,
): { stack: Stack; link: ReturnType<typeof messagePortLink> } {
  const clock = new BrowserClock();
  const dns = { hosts: { 'server.example': SERVER }, servers: [SERVER] };
  const stack = new Stack({ clock, random: new BrowserRandom(), dns });
  const link = messagePortLink(port, { clock, mtu: 1500 });
  stack.addLink(link, { addresses: [`${address}/24`] });
  return { stack, link };
}

/** Bytes that follow from a seed. */
function pseudoRandom(bytes: number, seed: number): Uint8Array<ArrayBuffer> {
  const words = new Uint32Array(bytes / 4);
  let state = seed;
  for (let i = 0; i < words.length; i++) {
    state ^= state << 13;
    state ^= state >>> 17;
    state ^= state << 5;
    words[i] = state;
  }
  return new Uint8Array(words.buffer);
}

async function digest(bytes: Uint8Array<ArrayBuffer>): Promise<string> {
  const hash = new Uint8Array(await crypto.subtle.digest('SHA-256', bytes));
  return Array.from(hash, (byte) => byte.toString(16).padStart(2, '0')).join('');
}

async function readAll(readable: ReadableStream<Uint8Array>): Promise<Uint8Array<ArrayBuffer>> {
  return new Uint8Array(await new Response(readable).arrayBuffer());
}

/** The answer to a query for an address: that of the server, for every name but those of nobody. */
function dnsAnswer(query: Uint8Array): Uint8Array {
  const isNobody = new TextDecoder().decode(query.subarray(12)).includes('nobody');
  const isV4 = query[query.indexOf(0, 12) + 2] === 1;
  const end = query.indexOf(0, 12) + 5;
  const record = [0xc0, 12, 0, 1, 0, 1, 0, 0, 0, 60, 0, 4, 10, 0, 0, 2];
  const records = isV4 && !isNobody ? record : [];
  const answer = Uint8Array.from([...query.subarray(0, end), ...records]);
  const counts = [0x81, isNobody ? 0x83 : 0x80, 0, 1, 0, records.length > 0 ? 1 : 0, 0, 0, 0, 0];
  answer.set(counts, 2);
  return answer;
}

/** Answers each connection with the digest of what it said, and each datagram with itself. */
async function serve(stack: Stack): Promise<void> {
  answerDatagrams(stack, PORT, (question) => question.slice());
  answerDatagrams(stack, 53, dnsAnswer);
  const listener = stack.streams.listen({ port: PORT });
  scope.postMessage({ kind: 'listening' });
  for await (const connection of listener) {
    const text = await digest(await readAll(connection.readable));
    const writer = connection.writable.getWriter();
    await writer.write(new TextEncoder().encode(text));
    await connection.close();
  }
}

function answerDatagrams(stack: Stack, port: number, answer: (question: Uint8Array) => Uint8Array): void {
  const udp = stack.openUdp(4);
  udp.bind(IpAddress.parse(SERVER), port);
  udp.onEvents = (events) => {
    if ((events & UdpEvent.READABLE) === 0) return;
    for (let datagram = udp.receive(); datagram !== undefined; datagram = udp.receive()) {
      const { source: destination, sourcePort, payload } = datagram;
      udp.send(answer(payload), { destination, port: sourcePort });
    }
  };
}

function echo(stack: Stack, text: string): Promise<string> {
  return new Promise((answered) => {
    const udp = stack.openUdp(4);
    udp.onEvents = () => {
      const datagram = udp.receive();
      if (datagram === undefined) return;
      answered(new TextDecoder().decode(datagram.payload.slice()));
      udp.close();
    };
    udp.send(new TextEncoder().encode(text), { destination: IpAddress.parse(SERVER), port: PORT });
  });
}

async function transfer(stack: Stack, host: string, bytes: number): Promise<{ sent: string; heard: string }> {
  const data = pseudoRandom(bytes, 2463534242);
  const connection = stack.streams.connect({ host, port: PORT });
  const writer = connection.writable.getWriter();
  for (let at = 0; at < data.length; at += 65_536) {
    await writer.ready;
    writer.write(data.subarray(at, at + 65_536)).catch(() => {});
  }
  await writer.close();
  return { sent: await digest(data), heard: new TextDecoder().decode(await readAll(connection.readable)) };
}

async function talk(stack: Stack, link: ReturnType<typeof messagePortLink>, bytes: number): Promise<Report> {
  const startedMs = performance.now();
  const { sent, heard } = await transfer(stack, SERVER, bytes);
  const tookMs = performance.now() - startedMs;
  const byName = await transfer(stack, 'server.example', 4096);
  const byDns = await transfer(stack, 'asked.example', 4096);
  const udp = await echo(stack, 'by datagram');
  const refused = await stack.streams.connect({ host: SERVER, port: 8 }).opened.then(
    () => 'connected',
    (error: Error) => error.message,
  );
  const unknown = await stack.streams.connect({ host: 'nobody.example', port: 8 }).opened.then(
    () => 'connected',
    (error: Error) => error.message,
  );
  const { counters } = link;
  const isIsolated = (globalThis as { crossOriginIsolated?: boolean }).crossOriginIsolated === true;
  const down = new Promise<string>((heardDown) => {
    stack.onLinkDown = (_device, error) => heardDown(error.message);
  });
  scope.postMessage({ kind: 'done' });
  return {
    kind: 'report',
    sent,
    heard,
    byName: byName.sent === byName.heard,
    byDns: byDns.sent === byDns.heard,
    dnsQueries: stack.stats.dns.queries,
    udp,
    refused,
    unknown,
    tookMs,
    counters: counters.toJSON(),
    drops: stack.stats.drops.toJSON(),
    isIsolated,
    down: await down,
  };
}

scope.addEventListener('message', ({ data }) => {
  if (data.role === 'close') {
    current?.close();
    return;
  }
  const { stack, link } = makeStack(data.port, data.role === 'server' ? SERVER : CLIENT);
  current = stack;
  const failed = (error: unknown): void =>
    scope.postMessage({
      kind: 'failed',
      message: error instanceof Error ? String(error.stack) : String(error),
    });
  if (data.role === 'server') serve(stack).catch(failed);
  else talk(stack, link, data.bytes).then((report) => scope.postMessage(report), failed);
});

let current: Stack | undefined;
