import { expect } from 'chai';
import { run } from '../support/child.js';

/** A process whose last socket is given up while the stack still has all of its text to deliver. */
const PROGRAM = `
import { createPipe, Stack, SystemClock, SystemRandom } from './lib/index.js';
import { EmulatedLink } from './lib/link/emulated-link.js';
const clock = new SystemClock();
const random = new SystemRandom();
const [near, far] = createPipe({ clock });
const client = new Stack({ clock, random });
const server = new Stack({ clock, random });
client.addLink(new EmulatedLink(near, { clock, random, outgoing: { delayMs: 30 }, incoming: { delayMs: 30 } }), { addresses: ['10.0.0.1/24'] });
server.addLink(far, { addresses: ['10.0.0.2/24'] });
let bytes = 0;
const listening = server.net.createServer((socket) => {
  socket.unref();
  socket.on('data', (piece) => { bytes += piece.length; });
  socket.on('end', () => console.log('delivered', bytes));
});
listening.listen(80, '10.0.0.2', () => {
  listening.unref();
  const socket = client.net.connect(80, '10.0.0.2', () => {
    socket.end(Buffer.alloc(300_000), () => socket.destroy());
  });
});
`;

describe('the end of a process', () => {
  it('waits for what sockets have promised to deliver', async () => {
    const { stdout } = await run(process.execPath, ['--import=tsx', '--input-type=module', '-e', PROGRAM]);
    expect(stdout).to.equal('delivered 300000\n');
  });

  const ON_STACK = `
import { Stack, SystemClock, SystemRandom } from './lib/index.js';
const { net } = new Stack({ clock: new SystemClock(), random: new SystemRandom() });`;
  const ON_HOST = `import net from 'node:net';`;

  /** A server, a client and the socket between them, on one loopback: the loop has nothing else to wait for. */
  const idle = (then: string): string => `
const server = net.createServer({ pauseOnConnect: true }, (accepted) => {
  const sockets = [accepted, client];
  ${then}
  console.log('connected');
  setTimeout(() => { console.log('alive'); process.exit(); }, 300).unref();
}).listen(0, '127.0.0.1', () => { client.connect(server.address().port, '127.0.0.1'); });
const client = new net.Socket().pause();`;

  const resume = 'sockets.forEach((socket) => socket.resume());';
  for (const [what, then, expected] of [
    ['sockets in use', `${resume} server.unref();`, 'connected\nalive\n'],
    ['a server', 'sockets.forEach((socket) => socket.unref());', 'connected\nalive\n'],
    [
      'no sockets and servers that are unref()d',
      `${resume} [server, ...sockets].forEach((each) => each.unref());`,
      'connected\n',
    ],
    ['no sockets that never began to read', 'server.unref();', 'connected\n'],
  ] as const) {
    for (const [where, beginning] of [
      ['on the host', ON_HOST],
      ['in one stack', ON_STACK],
    ] as const) {
      it(`waits for ${what}, ${where}`, async () => {
        const program = `${beginning}${idle(then)}`;
        const { stdout } = await run(process.execPath, [
          '--import=tsx',
          '--input-type=module',
          '-e',
          program,
        ]);
        expect(stdout).to.equal(expected);
      });
    }
  }
});
