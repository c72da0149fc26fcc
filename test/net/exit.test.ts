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
});
