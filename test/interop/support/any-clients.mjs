/**
 * Opens connections from the kernel's side, each to an address of its own: `any-clients.mjs <prefix> <count> <bytes>`,
 * where the prefix is as `198.51.` or `2001:db8:f::`. When all are open, each sends its bytes, ends, and must get the
 * same back. Prints one line of JSON.
 */
import { createHash, randomBytes } from 'node:crypto';
import { connect } from 'node:net';

const [prefix, count, bytes] = process.argv.slice(2);
const failures = [];
const sockets = [];
let opened = 0;
let same = 0;
let left = Number(count);

const addressOf = (i) =>
  prefix.includes(':')
    ? `${prefix}${(i + 1).toString(16)}`
    : `${prefix}${Math.floor(i / 250)}.${(i % 250) + 1}`;

function finished() {
  if (--left === 0)
    process.stdout.write(`${JSON.stringify({ opened, same, failures: failures.slice(0, 10) })}\n`);
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
  const socket = connect({ host: addressOf(i), port: 1000 + (i % 7), allowHalfOpen: true });
  sockets.push(socket);
  socket.once('connect', () => {
    if (++opened === Number(count)) for (const each of sockets) talk(each);
  });
  socket.once('error', ({ code }) => failures.push(code));
  socket.once('close', finished);
}
