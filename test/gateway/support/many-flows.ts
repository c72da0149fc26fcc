/**
 * A program for inside: many connections, all open at once, each with text there and back.
 * usage: many-flows ADDRESS PORT COUNT
 */
import { randomBytes } from 'node:crypto';
import { connect } from 'node:net';

const [address, port, count] = process.argv.slice(2);
const text = randomBytes(10_000);
const wanted = Number(count);
let connected = 0;
let whole = 0;

const flow = (): Promise<void> =>
  new Promise((done, failed) => {
    const socket = connect({ host: address, port: Number(port) });
    const pieces: Buffer[] = [];
    socket.on('error', failed);
    socket.on('connect', () => {
      connected++;
      // Nobody begins before all are there.
      if (connected === wanted) for (const begin of waiting) begin();
    });
    waiting.push(() => socket.end(text));
    socket.on('data', (piece) => pieces.push(piece));
    socket.on('end', () => {
      if (Buffer.concat(pieces).equals(text)) whole++;
      done();
    });
  });
const waiting: (() => void)[] = [];

await Promise.all(Array.from({ length: wanted }, flow));
console.log(`${whole} of ${connected}`);
