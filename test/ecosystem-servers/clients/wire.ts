/** A server that speaks just enough of MongoDB's protocol for its client: Debian has none. */
import net, { type Server, type Socket } from 'node:net';
import { BSON } from 'mongodb';

/** Calls `take` with what has arrived; it answers how much of it was complete. */
function framed(socket: Socket, take: (data: Buffer) => number): void {
  let pending = Buffer.alloc(0);
  socket.on('error', () => {});
  socket.on('data', (data: Buffer) => {
    pending = Buffer.concat([pending, data]);
    for (let used = take(pending); used > 0; used = take(pending)) pending = pending.subarray(used);
  });
}

const OP_MSG = 2013;

function reply(request: BSON.Document, responseTo: number): Buffer {
  const state = { isWritablePrimary: true, minWireVersion: 0, maxWireVersion: 21, readOnly: false };
  const limits = {
    maxBsonObjectSize: 16_777_216,
    maxMessageSizeBytes: 48_000_000,
    maxWriteBatchSize: 100_000,
  };
  const content = 'hello' in request ? { ...state, ...limits } : { echo: request.echo as unknown };
  const body = BSON.serialize({ ok: 1, ...content });
  const header = Buffer.alloc(21);
  header.writeInt32LE(header.length + body.length, 0);
  header.writeInt32LE(responseTo, 8);
  header.writeInt32LE(OP_MSG, 12);
  return Buffer.concat([header, body]);
}

/** Ways to lose a connection, instead of an answer. */
const LOSSES: Readonly<Record<string, (socket: Socket, answer: Buffer) => unknown>> = {
  end: (socket) => socket.end(),
  reset: (socket) => socket.resetAndDestroy(),
  break: (socket, answer) => socket.end(answer.subarray(0, -1)),
  later: () => {},
};

/** Answers `hello` and `ping` in messages of type OP_MSG, with what is to be echoed; or loses the connection. */
export const mongoServer = (): Server =>
  net.createServer((socket) => {
    framed(socket, (data) => {
      if (data.length < 4 || data.length < data.readInt32LE(0)) return 0;
      const length = data.readInt32LE(0);
      const request = BSON.deserialize(data.subarray(21, 21 + data.readInt32LE(21)));
      const answer = reply(request, data.readInt32LE(4));
      const lose = LOSSES[String(request.lose)];
      if (lose === undefined) socket.write(answer);
      else lose(socket, answer);
      return length;
    });
  });
