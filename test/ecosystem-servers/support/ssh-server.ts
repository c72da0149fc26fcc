/** A server of ssh2 on the stack, for clients that log in with the tests' key. */
import { once } from 'node:events';
import type { AddressInfo } from 'node:net';
import { type AuthContext, type Connection, type ParsedKey, Server, type Session, utils } from 'ssh2';
import type { StackSocket } from '../../../lib/net/socket.js';
import type { InteropBed } from '../../support/interop.js';
import type { SshKeys } from './sshd.js';

/** Lets in whoever proves to have the key. */
function authenticate(context: AuthContext, allowed: ParsedKey): void {
  if (context.method !== 'publickey') return context.reject(['publickey']);
  if (!context.key.data.equals(allowed.getPublicSSH())) return context.reject();
  const { signature, blob, hashAlgo } = context;
  const isRight = signature === undefined || allowed.verify(blob as Buffer, signature, hashAlgo) === true;
  return isRight ? context.accept() : context.reject();
}

export interface SshServing {
  readonly port: number;
  /** Connections of the stack, in the order in which they came. */
  readonly sockets: StackSocket[];
}

/** Serves on a free port until the bed is closed; `use` has each session of a client. */
export async function serveSsh(
  bed: InteropBed,
  keys: SshKeys,
  use: (session: Session, client: Connection) => void,
): Promise<SshServing> {
  const allowed = utils.parseKey(keys.user);
  if (allowed instanceof Error) throw allowed;
  const ssh = new Server({ hostKeys: [keys.host] }, (client) => {
    client.on('error', () => {});
    client.on('authentication', (context) => authenticate(context, allowed));
    client.on('session', (accept) => use(accept(), client));
  });
  const sockets: StackSocket[] = [];
  // Its hook: sockets are handed to it.
  const listener = bed.net.createServer({ noDelay: true }, (socket) => {
    sockets.push(socket as unknown as StackSocket);
    ssh.injectSocket(socket);
  });
  listener.listen(0, () => {});
  await once(listener, 'listening');
  bed.onClose(() => listener.close());
  return { port: (listener.address() as AddressInfo).port, sockets };
}

/** Options that `ssh` and `scp` need to log in, but for the port. */
export const sshOptions = (keys: SshKeys): string[] => {
  const options = [
    'StrictHostKeyChecking=no',
    'UserKnownHostsFile=/dev/null',
    'LogLevel=ERROR',
    'BatchMode=yes',
  ];
  return ['-F', 'none', ...options.flatMap((option) => ['-o', option]), '-i', keys.userFile];
};
