/**
 * Connections as WHATWG streams, without anything of Node's: what runs here runs wherever the stack does.
 * A line server answers a client on another stack, over a pipe between the two.
 *
 *     npx tsx examples/web-streams.ts
 */
import { createPipe, Stack, type StreamConnection, SystemClock, SystemRandom } from 'tunstack';

const [near, far] = createPipe({ clock: new SystemClock() });
const client = new Stack({ clock: new SystemClock(), random: new SystemRandom() });
const server = new Stack({ clock: new SystemClock(), random: new SystemRandom() });
client.addLink(near, { addresses: ['10.0.0.1/24'] });
server.addLink(far, { addresses: ['10.0.0.2/24'] });

/** Text, line by line. */
class Lines extends TransformStream<string, string> {
  constructor() {
    let rest = '';
    super({
      transform(text, controller) {
        const lines = (rest + text).split('\n');
        rest = lines.pop() ?? '';
        for (const line of lines) controller.enqueue(line);
      },
    });
  }
}

/** Answers each line turned round, until the client has finished. */
async function answer({ readable, writable, opened }: StreamConnection): Promise<void> {
  const { remoteAddress } = await opened;
  const turnRound = new TransformStream<string, string>({
    transform: (line, controller) =>
      controller.enqueue(`${Array.from(line).reverse().join('')} (${remoteAddress})\n`),
  });
  await readable
    .pipeThrough(new TextDecoderStream())
    .pipeThrough(new Lines())
    .pipeThrough(turnRound)
    .pipeThrough(new TextEncoderStream())
    .pipeTo(writable);
}

// A server is a loop. It ends when the listener is closed.
const listener = server.streams.listen({ port: 7 });
const serving = (async () => {
  for await (const connection of listener)
    answer(connection).catch(({ message }) => console.log('server: ', message));
})();

// A client. To close `writable` is to half-close: the answers still come.
const connection = client.streams.connect({ host: '10.0.0.2', port: 7 });
const writer = connection.writable.getWriter();
await writer.write(new TextEncoder().encode('stressed\ndrawer\n'));
await writer.close();
for await (const line of connection.readable.pipeThrough(new TextDecoderStream()).pipeThrough(new Lines())) {
  console.log('line:   ', line);
}
await connection.closed;

// Memory of one's own, filled by the stack and given back with every read.
const patient = client.streams.connect({ host: '10.0.0.2', port: 7 });
await patient.opened;
const reader = patient.readable.getReader({ mode: 'byob' });
const reading = reader.read(new Uint8Array(new ArrayBuffer(16)));
await patient.writable.getWriter().write(new TextEncoder().encode('level\n'));
const { value } = await reading;
console.log('memory: ', new TextDecoder().decode(value).trimEnd(), `of ${value?.buffer.byteLength} bytes`);

// To abort is to reset: both streams fail with the reason, the server's with ECONNRESET.
patient.abort(new Error('seen enough'));
await patient.closed.catch((error: Error) => console.log('closed: ', error.message));

const refused = client.streams.connect({ host: '10.0.0.2', port: 8 });
await refused.opened.catch((error: Error) => console.log('refused:', error.message));

listener.close();
await serving;
client.close();
server.close();
