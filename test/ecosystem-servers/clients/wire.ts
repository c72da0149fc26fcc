/**
 * Servers that speak just enough of a protocol for a client to connect, ask once and leave: MongoDB, which
 * Debian does not have, and AMQP, whose server takes long to start.
 */

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

const shortText = (text: string): Buffer => Buffer.concat([Buffer.from([text.length]), Buffer.from(text)]);
const longText = (text: string): Buffer => Buffer.concat([uint32(text.length), Buffer.from(text)]);
const uint32 = (value: number): Buffer => {
  const encoded = Buffer.alloc(4);
  encoded.writeUInt32BE(value);
  return encoded;
};

/** A frame of type 1: a method of a class, and its arguments. */
function method(channel: number, [classId, methodId]: number[], ...fields: Buffer[]): Buffer {
  const body = Buffer.concat([Buffer.from([0, classId, 0, methodId]), ...fields]);
  return Buffer.concat([Buffer.from([1, 0, channel]), uint32(body.length), body, Buffer.from([0xce])]);
}

/** What a method, by class and number, is answered with. */
function answer(asked: string, channel: number, given: Buffer): Buffer | undefined {
  switch (asked) {
    case '10.11': // start-ok: tune, with no limit of channels, frames of 4 KB, no heartbeat
      return method(channel, [10, 30], Buffer.from([0, 0]), uint32(0x1000), Buffer.from([0, 0]));
    case '10.40': // open
      return method(channel, [10, 41], shortText(''));
    case '10.50': // close
      return method(channel, [10, 51]);
    case '20.10': // channel.open
      return method(channel, [20, 11], longText(''));
    case '20.40': // channel.close
      return method(channel, [20, 41]);
    case '50.10': // queue.declare
      return method(channel, [50, 11], given.subarray(2, 3 + given[2]), uint32(42), uint32(0));
    default:
      return undefined;
  }
}

/** Opens connections and channels, closes them, and knows of every queue that 42 messages wait in it. */
export const amqpServer = (): Server =>
  net.createServer((socket) => {
    let isGreeted = false;
    framed(socket, (data) => {
      if (data.length < 8) return 0;
      if (!isGreeted) {
        isGreeted = true;
        const offer = [Buffer.from([0, 9]), uint32(0), longText('PLAIN'), longText('en_US')];
        socket.write(method(0, [10, 10], ...offer));
        return 8;
      }
      const bodyBytes = data.readUInt32BE(3);
      if (data.length < bodyBytes + 8) return 0;
      const asked = `${data.readUInt16BE(7)}.${data.readUInt16BE(9)}`;
      const said = answer(asked, data.readUInt16BE(1), data.subarray(11, 7 + bodyBytes));
      if (said !== undefined) socket.write(said);
      return bodyBytes + 8;
    });
  });
