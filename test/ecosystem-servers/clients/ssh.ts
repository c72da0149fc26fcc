/** `ssh2` over any `net`. */
import { once } from 'node:events';
import { readFileSync } from 'node:fs';
import { Client, type ClientChannel, type ConnectConfig } from 'ssh2';
import type { NetModule } from '../../../lib/net/net.js';
import { plain, type Story } from './scene.js';

/** A client over a `net`: its hook is a socket, connected or about to be. */
export function sshClient(
  net: NetModule,
  place: { host: string; port: number },
  login: ConnectConfig,
): Client {
  return new Client().connect({ sock: net.connect(place), username: 'root', ...login });
}

export async function sshConnected(...args: Parameters<typeof sshClient>): Promise<Client> {
  const client = sshClient(...args);
  await once(client, 'ready');
  return client;
}

export const execute = (client: Client, command: string): Promise<ClientChannel> =>
  new Promise((resolve, reject) => {
    client.exec(command, (error, channel) => (error === undefined ? resolve(channel) : reject(error)));
  });

/** The server is lost with a command under way; then connections are refused. */
export const lostServer: Story = async ({ net, host, stopServer }) => {
  const told: unknown[] = [];
  // The teller's other process knows no key but by the environment.
  const privateKey = readFileSync(process.env.SSH_USER_KEY ?? '');
  const client = sshClient(net, { host, port: 22 }, { privateKey });
  client.on('ready', () => told.push('ready'));
  client.on('end', () => told.push('end'));
  client.on('close', () => told.push('close'));
  client.on('error', (error) => told.push(plain(error)));
  const closed = new Promise<void>((resolve) => {
    client.on('close', () => resolve());
  });
  await once(client, 'ready');
  const channel = await execute(client, 'echo begun; exec sleep 60');
  const channelClosed = new Promise<void>((resolve) => {
    channel.on('close', () => resolve());
  });
  told.push(String((await once(channel, 'data'))[0]));
  await stopServer();
  await closed;
  await channelClosed;
  const refused = sshClient(net, { host, port: 22 }, { privateKey });
  told.push(plain((await once(refused, 'error').then(([error]) => error)) as Error));
  return told;
};
