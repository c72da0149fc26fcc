/**
 * What a story about a client needs. Nothing here or beside it loads the stack: the other process that
 * tells the same story has only Node's own sockets.
 */
import type { NetModule } from '../../../lib/net/net.js';

export interface Scene {
  readonly net: NetModule;
  readonly host: string;
  /** Kills the server, and waits until it is gone. */
  stopServer(): Promise<void>;
}

/** What happens, as text or plain values. */
export type Story = (scene: Scene) => Promise<unknown>;

/** Two lines between the processes: the other one asks for the end of the server, and is told of it. */
export const STOP = 'stop the server';
export const STOPPED = 'stopped';

/** An error as far as a program looks at it. */
export function plain(error: unknown): object {
  const { name, message, code, errno, syscall, address, port } = error as NodeJS.ErrnoException & {
    address?: string;
    port?: number;
  };
  return JSON.parse(JSON.stringify({ name, message, code, errno, syscall, address, port })) as object;
}
