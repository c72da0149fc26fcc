/**
 * All that TCP does, one step at a time, against the Linux kernel: bind, listen, accept, connect, read,
 * send, and every kind of close: passive, active (four segments), and reset from either side.
 *
 *     npx tsx examples/teaching-series.ts
 *
 * It makes a network namespace of its own with a TUN between the kernel (10.9.0.1) and a stack (10.9.0.2),
 * as root or as an ordinary user where the system lets one. The stack's side is written with raw
 * endpoints, which call a handler; `net` sockets are built on them. `demo.pcapng` of `npm start` shows the
 * same in segments.
 */
import type { ChildProcess } from 'node:child_process';
import { once } from 'node:events';
import { createInterface } from 'node:readline';
import {
  openPrivateTun,
  Stack,
  SystemClock,
  SystemRandom,
  stateName,
  type TcpEndpoint,
  type TcpEndpointHandler,
} from 'tunstack';

const KERNEL = '10.9.0.1';
const STACK = '10.9.0.2';

const say = (who: string, text: string): void => console.log(`${`${who}:`.padEnd(8)} ${text}`);

/** A raw endpoint, and what it tells, as things one can wait for. */
class Conversation implements TcpEndpointHandler {
  readonly #endpoint: TcpEndpoint;
  readonly #buffer = new Uint8Array(65_536);
  /** What happened and was not yet waited for. */
  readonly #events: string[] = [];
  #wake: () => void = () => {};

  constructor(endpoint: TcpEndpoint) {
    this.#endpoint = endpoint;
    endpoint.handler = this;
  }

  // What the endpoint tells. Each is called at the end of a turn of the stack.
  onConnect(): void {
    this.#happened('connected');
  }
  onReadable(): void {
    this.#happened('readable');
  }
  onWritable(): void {
    this.#happened('writable');
  }
  onEnd(): void {
    this.#happened('end');
  }
  onDrain(): void {
    this.#happened('drained');
  }
  onClose(errorCode: string): void {
    this.#happened(errorCode === '' ? 'closed' : errorCode);
  }

  #happened(event: string): void {
    this.#events.push(event);
    this.#wake();
  }

  /** Waits until `event` has happened, and passes over what did before. */
  async hears(event: string): Promise<void> {
    for (;;) {
      const at = this.#events.indexOf(event);
      if (at >= 0) {
        this.#events.splice(0, at + 1);
        this.state(`heard "${event}"`);
        return;
      }
      await new Promise<void>((wake) => {
        this.#wake = wake;
      });
    }
  }

  /** Waits for a state, which every event may bring. */
  async reaches(state: string): Promise<void> {
    while (stateName(this.#endpoint.state) !== state) {
      await new Promise<void>((wake) => {
        this.#wake = wake;
      });
    }
    this.state(`waited for ${state}`);
  }

  state(after: string): void {
    say('stack', `${after}; now ${stateName(this.#endpoint.state)}`);
  }

  send(text: string): void {
    this.#endpoint.write(new TextEncoder().encode(text));
    this.state(`sent "${text}"`);
  }

  async read(): Promise<void> {
    if (this.#endpoint.readableBytes === 0) await this.hears('readable');
    const bytes = this.#endpoint.read(this.#buffer);
    this.state(`read "${new TextDecoder().decode(this.#buffer.subarray(0, bytes))}"`);
  }

  /** Our FIN: we have said everything, and still listen. */
  shutdown(): void {
    this.#endpoint.shutdown();
    this.state('asked for a FIN');
  }

  /** Our RST: it is over. */
  abort(): void {
    this.#endpoint.abort();
    this.state('asked for an RST');
  }
}

/** A Node inside the namespace, with the kernel's sockets. It prints lines, and is told lines. */
class KernelProgram {
  readonly #child: ChildProcess;
  readonly #lines: string[] = [];
  #wake: () => void = () => {};

  constructor(child: ChildProcess) {
    this.#child = child;
    if (child.stdout === null) throw new Error('the program has no output');
    createInterface(child.stdout).on('line', (line) => {
      say('kernel', line);
      this.#lines.push(line);
      this.#wake();
    });
    child.once('exit', () => this.#wake());
  }

  async says(text: string): Promise<void> {
    while (!this.#lines.some((line) => line.includes(text))) {
      if (this.#child.exitCode !== null) throw new Error(`the kernel's program never said "${text}"`);
      await new Promise<void>((wake) => {
        this.#wake = wake;
      });
    }
    this.#lines.length = 0;
  }

  tell(line: string): void {
    this.#child.stdin?.write(`${line}\n`);
  }
}

/** What runs on the kernel's side: a server, and a client that is told when to do what. */
const KERNEL_PROGRAM = `
const net = require('node:net');
let socket;
const watch = (name) => {
  socket.on('connect', () => console.log('connected'));
  socket.on('data', (data) => console.log('read "' + data + '"'));
  socket.on('end', () => console.log('heard the FIN'));
  socket.on('error', ({ code }) => console.log('heard ' + code));
};
const orders = {
  connect: () => { socket = net.connect({ port: 7000, host: '${STACK}', allowHalfOpen: true }); watch(); },
  send: (text) => socket.write(text),
  end: () => socket.end(),
  reset: () => socket.resetAndDestroy(),
};
net.createServer({ allowHalfOpen: true }, (accepted) => {
  socket = accepted;
  console.log('accepted');
  watch();
}).listen(7001, () => console.log('listening'));
require('node:readline').createInterface(process.stdin).on('line', (line) => {
  const [order, ...words] = line.split(' ');
  orders[order](words.join(' '));
}).on('close', () => process.exit());
`;

interface Cast {
  readonly stack: Stack;
  readonly kernel: KernelProgram;
}

/** The kernel connects, and closes first. */
async function passive({ stack, kernel }: Cast): Promise<void> {
  console.log('\n── passive open, passive close');
  const server = stack.listenTcp({ address: STACK, port: 7000 });
  say('stack', `bound to ${server.localAddress}:${server.localPort}, listening`);
  const waiting = new Promise<void>((resolve) => {
    server.onConnection = resolve;
  });
  kernel.tell('connect');
  await waiting;
  const endpoint = server.accept();
  if (endpoint === undefined) throw new Error('nobody waits to be accepted');
  const conversation = new Conversation(endpoint);
  conversation.state(`accepted ${endpoint.remoteAddress}:${endpoint.remotePort}`);
  await kernel.says('connected');
  kernel.tell('send hello');
  await conversation.read();
  conversation.send('good day');
  await kernel.says('good day');
  kernel.tell('end');
  await conversation.hears('end');
  // Half-closed: the kernel has said everything, we have not.
  conversation.send('one more thing');
  await kernel.says('one more thing');
  conversation.shutdown();
  await kernel.says('heard the FIN');
  await conversation.hears('closed');
  server.close();
}

/** The stack connects, and closes first. */
async function active({ stack, kernel }: Cast): Promise<void> {
  console.log('\n── active open, active close, in four segments');
  const conversation = new Conversation(
    stack.connectTcp({ address: KERNEL, port: 7001, localAddress: STACK, localPort: 7003 }),
  );
  conversation.state('bound to port 7003, asked to connect');
  await conversation.hears('connected');
  await kernel.says('accepted');
  conversation.send('hello');
  await kernel.says('hello');
  kernel.tell('send good day');
  await conversation.read();
  conversation.shutdown();
  await kernel.says('heard the FIN');
  await conversation.reaches('FIN-WAIT-2'); // the second segment: our FIN is acknowledged
  kernel.tell('end');
  await conversation.hears('end'); // the third: theirs; the fourth is our ACK
  await conversation.hears('closed');
  // The endpoint is done. Its ports are kept in a small record, in case the last ACK gets lost.
  say('stack', `${stack.stats.tcp.twCount} connection in TIME-WAIT`);
}

/** Either side breaks a connection off, and nobody listens. */
async function resets({ stack, kernel }: Cast): Promise<void> {
  console.log('\n── reset by the stack');
  const ours = new Conversation(stack.connectTcp({ address: KERNEL, port: 7001 }));
  await ours.hears('connected');
  await kernel.says('accepted');
  ours.abort();
  await kernel.says('ECONNRESET');

  console.log('\n── reset by the kernel');
  const theirs = new Conversation(stack.connectTcp({ address: KERNEL, port: 7001 }));
  await theirs.hears('connected');
  await kernel.says('accepted');
  kernel.tell('reset');
  await theirs.hears('ECONNRESET');

  console.log('\n── refused: nobody listens there');
  const refused = new Conversation(stack.connectTcp({ address: KERNEL, port: 7002 }));
  await refused.hears('ECONNREFUSED');
}

async function main(): Promise<void> {
  const tun = await openPrivateTun({ address: `${KERNEL}/24` });
  const stack = new Stack({ clock: new SystemClock(), random: new SystemRandom() });
  stack.addLink(tun.device, { addresses: [`${STACK}/24`] });
  // Raw endpoints do not keep the process alive; whoever uses them says for how long.
  stack.hold();
  try {
    const child = tun.run(process.execPath, ['--eval', KERNEL_PROGRAM], {
      stdio: ['pipe', 'pipe', 'inherit'],
    });
    const cast = { stack, kernel: new KernelProgram(child) };
    await cast.kernel.says('listening');
    await passive(cast);
    await active(cast);
    await resets(cast);
    child.stdin?.end();
    await once(child, 'exit');
  } finally {
    stack.release();
    stack.close();
    await tun.close();
  }
}

await main();
