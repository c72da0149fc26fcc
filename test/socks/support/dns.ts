/** Questions and answers of DNS, made by hand, and as they go over TCP. */
import type { Socket } from 'node:net';

/** a.test, type A, class IN. */
export const QUESTION = Buffer.from('016104746573740000010001', 'hex');
const HEADER_BYTES = 12;
/** An OPT record (RFC 6891 §6.1.2). @param bytes what who asks takes in one datagram */
export const opt = (bytes: number, data = ''): Buffer => {
  const length = hex16(data.length / 2);
  return Buffer.from(`000029${hex16(bytes)}00000000${length}${data}`, 'hex');
};

const hex16 = (value: number): string => value.toString(16).padStart(4, '0');

/** A question for a.test with an identifier. */
export function ask(id: number, additional: Buffer = Buffer.alloc(0)): Buffer {
  const records = hex16(additional.length > 0 ? 1 : 0);
  return Buffer.concat([Buffer.from(`${hex16(id)}0100000100000000${records}`, 'hex'), QUESTION, additional]);
}

/** Its answer, with so many bytes more, that are no records. */
export function answerTo(message: Buffer, extra = 0): Buffer {
  const answer = Buffer.concat([message.subarray(0, HEADER_BYTES + QUESTION.length), Buffer.alloc(extra, 7)]);
  answer.writeUInt16BE(0x8180, 2);
  answer.writeUInt16BE(0, 10);
  return answer;
}

/** As it goes over TCP (RFC 1035 §4.2.2). */
export function framed(message: Uint8Array): Buffer {
  const length = Buffer.alloc(2);
  length.writeUInt16BE(message.length);
  return Buffer.concat([length, message]);
}

/** Hears each whole message of a connection. */
export function onMessages(socket: Socket, heard: (message: Buffer, socket: Socket) => void): void {
  let bytes = Buffer.alloc(0);
  socket.on('error', () => {});
  socket.on('data', (chunk: Buffer) => {
    bytes = Buffer.concat([bytes, chunk]);
    while (bytes.length >= 2 && bytes.length >= 2 + bytes.readUInt16BE()) {
      const length = bytes.readUInt16BE();
      const message = bytes.subarray(2, 2 + length);
      bytes = bytes.subarray(2 + length);
      heard(message, socket);
    }
  });
}
