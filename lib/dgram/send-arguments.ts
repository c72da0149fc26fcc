/** The many ways to call `send`. */
import { checkPort, checkString } from '../net/arguments.js';
import { argumentTypeError, plainError, rangeError } from '../net/node-errors.js';

export type SendCallback = (error: Error | null, bytes?: number) => void;

/** One datagram to be sent. */
export interface Message {
  readonly data: readonly Uint8Array[];
  /** Absent when the socket is connected. */
  readonly port: number | undefined;
  readonly address: string | undefined;
  readonly callback: SendCallback | undefined;
}

const DATA_TYPES = ['Buffer', 'TypedArray', 'DataView', 'string'];

/**
 * `(message[, offset, length][, port][, address][, callback])` in all of Node's combinations.
 * @throws `ERR_INVALID_ARG_TYPE`, `ERR_BUFFER_OUT_OF_BOUNDS`, `ERR_SOCKET_BAD_PORT`,
 * `ERR_SOCKET_DGRAM_IS_CONNECTED`
 */
export function readSendArguments(args: readonly unknown[], isConnected: boolean): Message {
  // By index: to destructure an array is to iterate over it.
  const message = args[0];
  const offset = args[1];
  const length = args[2];
  let port = args[3];
  let address = args[4];
  let callback = args[5];
  let whole = message;
  if (isConnected) {
    if (typeof length === 'number') {
      whole = sliceOf(message, offset, length);
      if (typeof port === 'function') {
        callback = port;
        port = undefined;
      }
    } else {
      callback = offset;
    }
    if (port || address) throw plainError('ERR_SOCKET_DGRAM_IS_CONNECTED');
  } else if (address || (port && typeof port !== 'function')) {
    whole = sliceOf(message, offset, length);
  } else {
    callback = port;
    port = offset;
    address = length;
  }
  const data = Array.isArray(whole) ? whole.map((part) => bytesOf(part, whole)) : [bytesOf(whole)];
  const target = isConnected ? undefined : checkPort(port, 'Port', false);
  if (typeof address === 'function') {
    callback = address;
    address = undefined;
  } else if (address !== undefined && address !== null) checkString(address, 'address');
  return {
    data,
    port: target,
    address: (address as string | null) ?? undefined,
    callback: typeof callback === 'function' ? (callback as SendCallback) : undefined,
  };
}

/** The bytes of one part; `list` is what it is a part of. */
function bytesOf(part: unknown, list?: unknown): Uint8Array {
  if (typeof part === 'string') return Buffer.from(part);
  if (part instanceof Uint8Array) return part;
  if (ArrayBuffer.isView(part)) return new Uint8Array(part.buffer, part.byteOffset, part.byteLength);
  if (list === undefined) throw argumentTypeError('buffer', DATA_TYPES, part);
  throw argumentTypeError('buffer list arguments', DATA_TYPES, list);
}

function sliceOf(message: unknown, offset: unknown, length: unknown): Uint8Array {
  if (typeof message !== 'string' && !ArrayBuffer.isView(message)) {
    throw argumentTypeError('buffer', DATA_TYPES, message);
  }
  const bytes = bytesOf(message);
  const from = Number(offset) >>> 0;
  const count = Number(length) >>> 0;
  if (from > bytes.byteLength) throw outOfBounds('offset');
  if (from + count > bytes.byteLength) throw outOfBounds('length');
  return bytes.subarray(from, from + count);
}

const outOfBounds = (name: string): RangeError =>
  rangeError('ERR_BUFFER_OUT_OF_BOUNDS', `"${name}" is outside of buffer bounds`);
