/** System calls that move bytes: `read`, `write` and their relatives. */
import { StackError } from '../../base/errors.js';
import {
  type Attempt,
  compareNumber,
  type Machine,
  Mismatch,
  need,
  placeOf,
  type Syscall,
  socketOf,
  Unsupported,
  untilDone,
} from './attempt.js';
import { fieldOf, numberOf } from './expressions.js';
import type { Expression } from './script.js';
import type { Socket } from './socket.js';
import type { SocketPlace } from './sockets.js';
import { SYMBOLS } from './symbols.js';

const { MSG_DONTWAIT, MSG_WAITALL, MSG_FASTOPEN } = SYMBOLS;

/** What a script writes, or expects to read: so many bytes, and which where it says. */
interface Content {
  readonly bytes: number;
  readonly text: string | undefined;
}

/** The content of a buffer and a length. */
const contentOf = (buffer: Expression | undefined, bytes: number): Content => ({
  bytes,
  text: buffer?.kind === 'string' ? buffer.value : undefined,
});

/** The content of `[{..., 1000}, {"abc", 3}]`, as one. */
function vectorOf(expression: Expression | undefined): Content {
  if (expression?.kind !== 'list') throw new Unsupported('a list of buffers is missing');
  let bytes = 0;
  let text: string | undefined = '';
  for (const item of expression.items) {
    const fields = item.kind === 'struct' ? item.fields.map(({ value }) => value) : [];
    const length = numberOf(fields[1]);
    if (length === undefined) throw new Unsupported('a buffer has a length');
    bytes += length;
    text = fields[0]?.kind === 'string' && text !== undefined ? text + fields[0].value : undefined;
  }
  return { bytes, text };
}

/** Where nothing is said of the content it is zeros. */
function bytesOf({ bytes, text }: Content): Uint8Array {
  const made = new Uint8Array(bytes);
  for (let i = 0; i < bytes && i < (text?.length ?? 0); i++) made[i] = (text as string).charCodeAt(i);
  return made;
}

const mayBlock = (socket: Socket, flags: number): boolean =>
  !socket.isNonBlocking && (flags & MSG_DONTWAIT) === 0;

/** A blocking write ends when everything is in the buffer, or with what is when it fails. */
function writing(socket: Socket, machine: Machine, content: Content, flags: number): Attempt {
  return writingBytes(socket, machine, bytesOf(content), flags);
}

function writingBytes(socket: Socket, machine: Machine, bytes: Uint8Array, flags: number): Attempt {
  let written = 0;
  return untilDone(
    () => mayBlock(socket, flags),
    () => {
      for (;;) {
        try {
          written += machine.sockets.write(socket.fd, bytes.subarray(written), flags);
        } catch (error) {
          if (written > 0 && !mayBlock(socket, flags)) return written;
          throw error;
        }
        if (written === bytes.length) return written;
      }
    },
  );
}

/**
 * Linux `MSG_FASTOPEN`: what goes with the SYN is written at once; where the server is not known yet, or more is
 * left, the rest follows the handshake, unless the socket may not block.
 */
function opening(socket: Socket, machine: Machine, place: SocketPlace, content: Content): Attempt {
  const bytes = bytesOf(content);
  let isBegun = false;
  let written = 0;
  let rest: Attempt | undefined;
  return () => {
    if (!isBegun) {
      isBegun = true;
      try {
        written = machine.sockets.connectSending(socket.fd, place, bytes);
      } catch (error) {
        const isUnderWay = error instanceof StackError && error.code === 'EINPROGRESS';
        if (!isUnderWay || socket.isNonBlocking) throw error;
      }
      if (written === bytes.length || socket.isNonBlocking) return written;
    }
    if (socket.connecting === 'pending') return undefined;
    if (socket.connecting === 'untold') machine.sockets.connect(socket.fd, place.address, place.port);
    rest ??= writingBytes(socket, machine, bytes.subarray(written), 0);
    const more = rest();
    return more === undefined ? undefined : written + more;
  };
}

function reading(socket: Socket, machine: Machine, content: Content, flags: number): Attempt {
  const target = new Uint8Array(content.bytes);
  const wantsAll = (flags & MSG_WAITALL) !== 0;
  let done = 0;
  return untilDone(
    () => mayBlock(socket, flags),
    () => {
      do {
        const bytes = machine.sockets.read(socket.fd, target.subarray(done), flags);
        done += bytes;
        if (bytes === 0) break;
      } while (wantsAll && done < target.length);
      compareContent(content, target.subarray(0, done));
      return done;
    },
  );
}

function compareContent({ text }: Content, actual: Uint8Array): void {
  if (text === undefined) return;
  const read = String.fromCharCode(...actual);
  if (!text.startsWith(read))
    throw new Mismatch('the bytes read', JSON.stringify(text), JSON.stringify(read));
}

const write: Syscall = (args, machine) =>
  writing(socketOf(args, machine), machine, contentOf(args[1], need(args, 2)), 0);

const send: Syscall = (args, machine) => {
  const flags = need(args, 3);
  const content = contentOf(args[1], need(args, 2));
  const socket = socketOf(args, machine);
  if ((flags & MSG_FASTOPEN) === 0) return writing(socket, machine, content, flags);
  return opening(socket, machine, placeOf(args[4], machine.remote), content);
};

const read: Syscall = (args, machine) =>
  reading(socketOf(args, machine), machine, contentOf(args[1], need(args, 2)), 0);

const receive: Syscall = (args, machine) =>
  reading(socketOf(args, machine), machine, contentOf(args[1], need(args, 2)), need(args, 3));

const writeVector: Syscall = (args, machine) =>
  writing(socketOf(args, machine), machine, vectorOf(args[1]), 0);

const readVector: Syscall = (args, machine) =>
  reading(socketOf(args, machine), machine, vectorOf(args[1]), 0);

const sendMessage: Syscall = (args, machine) =>
  writing(socketOf(args, machine), machine, messageOf(args[1]), need(args, 2));

const receiveMessage: Syscall = (args, machine) => {
  const attempt = reading(socketOf(args, machine), machine, messageOf(args[1]), need(args, 2));
  return () => {
    const bytes = attempt();
    // Nothing that a stream of bytes is received with sets any.
    if (bytes !== undefined) compareNumber('msg_flags', fieldOf(args[1], 'msg_flags'), 0);
    return bytes;
  };
};

function messageOf(expression: Expression | undefined): Content {
  const control = expression === undefined ? undefined : fieldOf(expression, 'msg_control');
  if (control?.kind === 'list' && control.items.length > 0) {
    throw new Unsupported('control messages are not supported');
  }
  return vectorOf(expression === undefined ? undefined : fieldOf(expression, 'msg_iov'));
}

export const TRANSFER_CALLS: Readonly<Record<string, Syscall>> = {
  write,
  send,
  sendto: send,
  writev: writeVector,
  sendmsg: sendMessage,
  read,
  recv: receive,
  recvfrom: receive,
  readv: readVector,
  recvmsg: receiveMessage,
};
