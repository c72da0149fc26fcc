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

/** Answers `hello` and `ping` in messages of type OP_MSG, and echoes the document of any `insert`. */
export const mongoServer = (): Server =>
  net.createServer((socket) => {
    framed(socket, (data) => {
      if (data.length < 4 || data.length < data.readInt32LE(0)) return 0;
      const length = data.readInt32LE(0);
      const request = BSON.deserialize(data.subarray(21, 21 + data.readInt32LE(21)));
      const isHello = 'hello' in request;
      const state = { isWritablePrimary: true, minWireVersion: 0, maxWireVersion: 21, readOnly: false };
      const limits = {
        maxBsonObjectSize: 16_777_216,
        maxMessageSizeBytes: 48_000_000,
        maxWriteBatchSize: 100_000,
      };
      const body = BSON.serialize({ ok: 1, ...(isHello ? { ...state, ...limits } : { echo: request.echo }) });
      const header = Buffer.alloc(21);
      header.writeInt32LE(header.length + body.length, 0);
      header.writeInt32LE(data.readInt32LE(4), 8);
      header.writeInt32LE(2013, 12);
      socket.write(Buffer.concat([header, body]));
      return length;
    });
  });
