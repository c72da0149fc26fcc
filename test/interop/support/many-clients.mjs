/**
 * Opens many connections from the kernel's side: `many-clients.mjs <address> <port> <count> <bytes>`.
 * When all are open, each sends its bytes, ends, and must get the same back. Prints one line of JSON.
 */
import { createHash, randomBytes } from 'node:crypto';
import { connect } from 'node:net';

const [address, port, count, bytes] = process.argv.slice(2);
const sockets = [];
const failures = [];
let opened = 0;
let same = 0;
let left = Number(count);
let peak = 0;

function finished() {
  if (--left === 0)
    process.stdout.write(`${JSON.stringify({ opened, peak, same, failures: failures.slice(0, 10) })}\n`);
}

function talk(socket) {
  const hash = createHash('sha256');
  const data = randomBytes(Number(bytes));
  socket.on('data', (piece) => hash.update(piece));
  socket.once('end', () => {
    if (hash.digest().equals(createHash('sha256').update(data).digest())) same++;
    else failures.push('other bytes came back');
  });
  socket.end(data);
}

for (let i = 0; i < Number(count); i++) {
  const socket = connect({ host: address, port: Number(port), allowHalfOpen: true });
  sockets.push(socket);
  socket.once('connect', () => {
    peak = Math.max(peak, sockets.filter(({ readyState }) => readyState === 'open').length);
    if (++opened === Number(count)) for (const each of sockets) talk(each);
  });
  socket.once('error', ({ code }) => failures.push(code));
  socket.once('close', finished);
}
