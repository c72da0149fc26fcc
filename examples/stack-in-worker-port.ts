/**
 * A stack in a thread, another in this one, and between them a MessagePort for a cable: each thread has addresses,
 * ports and timers of its own, and packets travel in buffers that are handed over, not copied. The same two lines join
 * a page to a worker of a browser, or two windows.
 *
 *     npx tsx examples/stack-in-worker-port.ts
 *
 * Where only the stack is to be in a thread, and its sockets here, `createWorkerStack` is what you want.
 */
import { once } from 'node:events';
import { createServer, get } from 'node:http';
import {
  isMainThread,
  MessageChannel,
  type MessagePort,
  threadId,
  Worker,
  workerData,
} from 'node:worker_threads';
import { messagePortLink, Stack, SystemClock, SystemRandom } from 'tunstack';

const MTU = 9000;

/** A stack with one address at one end of a channel. */
function stackAt(port: MessagePort, address: string): Stack {
  const clock = new SystemClock();
  const stack = new Stack({ clock, random: new SystemRandom() });
  stack.addLink(messagePortLink(port, { clock, name: 'port0', mtu: MTU }), { addresses: [`${address}/24`] });
  return stack;
}

async function serveInThread(port: MessagePort): Promise<void> {
  const stack = stackAt(port, '10.0.0.2');
  const web = createServer((request, response) => {
    response.end(`thread ${threadId} answers ${request.socket.remoteAddress} for ${request.url}\n`);
  });
  stack.serve(web, 80);
  // The other stack was closed, and its end of the channel with it.
  stack.onLinkDown = () => {
    web.close();
    stack.close();
  };
}

async function fetchFromThread(): Promise<void> {
  const { port1, port2 } = new MessageChannel();
  const worker = startThread(port2);
  const stack = stackAt(port1, '10.0.0.1');
  const agent = stack.agent({ keepAlive: true });
  for (const path of ['/first', '/second']) {
    const [response] = await once(get({ host: '10.0.0.2', path, agent }), 'response');
    for await (const text of response.setEncoding('utf8')) process.stdout.write(text);
  }
  stack.close();
  const [status] = await once(worker, 'exit');
  console.log(`the thread has ended with ${status}`);
}

/** This file again, in a thread; Node 20 tells threads nothing of the loader that reads TypeScript. */
function startThread(port: MessagePort): Worker {
  const program = `import { register } from 'tsx/esm/api'; register(); await import(${JSON.stringify(import.meta.url)});`;
  return new Worker(program, { eval: true, workerData: { port }, transferList: [port] });
}

if (isMainThread) await fetchFromThread();
else await serveInThread((workerData as { port: MessagePort }).port);
