/** What Node does not tell of a socket of the host's. */
import { Buffer } from 'node:buffer';
import { readSync } from 'node:fs';
import { Socket } from 'node:net';
import type { Duplex } from 'node:stream';

/** One byte that is never looked at. */
const nothing = Buffer.alloc(1);

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
export function hiddenError(stream: Duplex): string {
  if (!(stream instanceof Socket && isTcp(stream))) return '';
  const fd = descriptorOf(stream);
  if (fd < 0) return '';
  try {
    readSync(fd, nothing);
    return '';
  } catch (error) {
    const { code = 'EIO' } = error as NodeJS.ErrnoException;
    return code === 'EAGAIN' ? '' : code;
  }
}
