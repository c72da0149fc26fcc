/** What Node does not tell of a socket of the host's. */
import { Buffer } from 'node:buffer';
import { readSync, writeSync } from 'node:fs';
import { Socket } from 'node:net';
import type { Duplex } from 'node:stream';

/** One byte that is never looked at. */
const aByte = Buffer.alloc(1);
const noBytes = Buffer.alloc(0);

interface Handle {
  readonly fd?: number;
  readonly reset?: unknown;
}

const handleOf = (socket: Socket): Handle | null | undefined =>
  (socket as unknown as { _handle?: Handle | null })._handle;

/** The descriptor of a socket; negative where it has none, and once it is closed: its number may be another's then. */
export const descriptorOf = (socket: Socket): number => handleOf(socket)?.fd ?? -1;

/** Whether a socket is one of TCP, and open. Pipes, terminals and TLS are sockets to Node, too, and know no reset. */
export const isTcp = (socket: Socket): boolean => typeof handleOf(socket)?.reset === 'function';

/**
 * Why a stream that says it has ended did not, as a code; '' where it did. Where the last text and an RST come
 * together, Node tells of an end: libuv takes the hang-up that goes with both for one. The error is still there to be
 * read. Under TLS it is not looked for: there a text can be whole, as TLS said, whatever becomes of the connection.
 */
export const hiddenError = (stream: Duplex): string => errorOf(stream, (fd) => readSync(fd, aByte));

/**
 * Why nobody takes anything any more at the other end of a socket that was not ended here, as a code; '' where
 * somebody does. Node tells of a reset behind an end only to who writes. Writing nothing is enough, and does nothing else.
 */
export const writeError = (stream: Duplex): string => errorOf(stream, (fd) => writeSync(fd, noBytes));

function errorOf(stream: Duplex, call: (fd: number) => unknown): string {
  if (!(stream instanceof Socket && isTcp(stream))) return '';
  const fd = descriptorOf(stream);
  if (fd < 0) return '';
  try {
    call(fd);
    return '';
  } catch (error) {
    const { code = 'EIO' } = error as NodeJS.ErrnoException;
    return code === 'EAGAIN' ? '' : code;
  }
}
