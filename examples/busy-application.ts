/**
 * A stack in a thread of its own: the application may be busy for as long as it likes, and what its peers send is
 * acknowledged all the same.
 *
 *     npx tsx examples/busy-application.ts
 *
 * Both ends are sockets of one stack, over its loopback; with `tun` it speaks to a network.
 */
import { once } from 'node:events';
import type { Socket } from 'node:net';
import { createWorkerStack } from 'tunstack';

const stack = await createWorkerStack();
const segments = (): number => (stack.stats().stack.tcp as { inSegs: number }).inSegs;

// `stack.net` is `node:net`, as that of any stack.
const server = stack.net.createServer();
const accepting = once(server.listen(7000), 'connection') as Promise<[Socket]>;
const client = stack.net.connect(7000, '127.0.0.1');
const [[accepted]] = await Promise.all([accepting, once(client, 'connect')]);

client.write(Buffer.alloc(300_000));
const before = segments();
// Nothing else happens in this thread for 300 ms. Over the loopback a segment has up to 64 KiB.
for (const until = performance.now() + 300; performance.now() < until; );
const meanwhile = segments() - before;
console.log(`busy for 300 ms: ${meanwhile > 3 ? 'segments and acknowledgments passed' : 'nothing passed'}`);
console.log(`of which the application has read ${accepted.bytesRead} bytes`);

let bytes = 0;
for await (const chunk of accepted) {
  bytes += (chunk as Buffer).length;
  if (bytes === 300_000) break;
}
console.log(`then it reads ${bytes}`);
client.destroy();
server.close();
await stack.close();
