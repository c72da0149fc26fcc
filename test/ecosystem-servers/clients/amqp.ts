/** `amqplib`, whose only hook is for TLS; without, it uses the `net` of the process. */
import { readFileSync } from 'node:fs';
import { type ChannelModel, type ConfirmChannel, connect, type GetMessage } from 'amqplib';
import type { NetModule } from '../../../lib/net/net.js';
import { content, sha256 } from '../support/content.js';
import { plain, type Story } from './scene.js';

export const AMQP_PORT = 5672;
export const AMQPS_PORT = 5671;
export const LOGIN = { username: 'tester', password: 'pass word' };

/** A connection over the `net` of the process. */
export const amqp = (hostname: string, port = AMQP_PORT, login = LOGIN): Promise<ChannelModel> =>
  connect({ protocol: 'amqp', hostname, port, ...login });

interface Secured {
  readonly net: NetModule;
  readonly host: string;
  readonly ca: Buffer;
  readonly login?: typeof LOGIN;
}

/** A TLS connection over any `net`: the hook is a socket, connected or about to be. */
export function amqps({ net, host, ca, login = LOGIN }: Secured): Promise<ChannelModel> {
  const options = { socket: net.connect(AMQPS_PORT, host), ca, servername: 'server.example' };
  return connect({ protocol: 'amqps', hostname: host, port: AMQPS_PORT, ...login }, options);
}

const SIZES = [0, 1, 1400, 65_536, 1_000_000, 5_000_000];

export interface AmqpOutcome {
  /** Whether all that was published came back, in order and whole. */
  readonly same: boolean;
  readonly counted: number;
  readonly fetched: boolean;
  readonly missing: unknown;
  readonly left: number;
}

/** What it must come to. */
export const EXPECTED: AmqpOutcome = {
  same: true,
  counted: 2000,
  fetched: true,
  missing: { code: 404, isOver: true },
  left: 0,
};

const published = (channel: ConfirmChannel, queue: string, message: Buffer): Promise<void> =>
  new Promise((resolve, reject) => {
    channel.sendToQueue(queue, message, {}, (error: Error | null) => (error ? reject(error) : resolve()));
  });

/** Publishes messages of many sizes and many small ones, takes them, and asks for a queue that is not there. */
export async function exercise(connection: ChannelModel): Promise<AmqpOutcome> {
  const channel = await connection.createConfirmChannel();
  const { queue } = await channel.assertQueue('', { exclusive: true });
  const sent: string[] = [];
  const heard: string[] = [];
  const total = SIZES.length + 2000;
  const complete = new Promise<void>((resolve) => {
    void channel.consume(queue, (message) => {
      if (message === null) return;
      channel.ack(message);
      if (heard.push(sha256(message.content)) === total) resolve();
    });
  });
  for (const bytes of SIZES) {
    sent.push(sha256(content(bytes)));
    await published(channel, queue, content(bytes));
  }
  const small = Array.from({ length: 2000 }, (_, i) => Buffer.from(`message ${i}`));
  sent.push(...small.map(sha256));
  for (const message of small) channel.sendToQueue(queue, message);
  await channel.waitForConfirms();
  await complete;
  const other = await channel.assertQueue('', { exclusive: true });
  await published(channel, other.queue, content(300_000, 2));
  const fetched = (await channel.get(other.queue, { noAck: true })) as GetMessage;
  const missing = await askForNothing(connection);
  const { messageCount: left } = await channel.checkQueue(queue);
  await channel.close();
  return {
    same: heard.join() === sent.join(),
    counted: heard.length - SIZES.length,
    fetched: sha256(fetched.content) === sha256(content(300_000, 2)),
    missing,
    left,
  };
}

/** The server answers by ending the channel; the connection goes on. */
async function askForNothing(connection: ChannelModel): Promise<unknown> {
  const channel = await connection.createChannel();
  channel.on('error', () => {});
  const closed = new Promise((resolve) => channel.once('close', resolve));
  const { code } = (await channel.checkQueue('nothing').catch((error: unknown) => error)) as { code: number };
  await closed;
  const isOver = await channel.assertQueue('').then(
    () => false,
    () => true,
  );
  return { code, isOver };
}

/** Writes down how a connection ends. */
function watch(connection: ChannelModel, told: unknown[]): Promise<void> {
  connection.on('error', (error: unknown) => told.push(['error', plain(error)]));
  return new Promise((resolve) => {
    connection.once('close', (error: unknown) => {
      told.push(['close', error === undefined ? undefined : plain(error)]);
      resolve();
    });
  });
}

type Dial = (place: { net: NetModule; host: string; login?: typeof LOGIN }) => Promise<ChannelModel>;

/** A login is refused; the server is lost with a message taken and not answered; then nobody listens. */
const lose =
  (dial: Dial): Story =>
  async ({ net, host, stopServer }) => {
    const told: unknown[] = [];
    told.push(await dial({ net, host, login: { ...LOGIN, password: 'wrong' } }).catch(plain));
    const connection = await dial({ net, host });
    const closed = watch(connection, told);
    const channel = await connection.createChannel();
    channel.on('close', () => told.push('channel closed'));
    const { queue } = await channel.assertQueue('', { exclusive: true });
    channel.sendToQueue(queue, Buffer.from('last words'));
    const heard = new Promise((resolve) => {
      void channel.consume(queue, (message) => resolve(message?.content.toString()));
    });
    told.push(await heard);
    await stopServer();
    await closed;
    told.push(await channel.assertQueue('').then(() => 'answered', plain));
    told.push(await dial({ net, host }).then(() => 'connected', plain));
    return told;
  };

export const lostServer = lose(({ host, login }) => amqp(host, AMQP_PORT, login));

/** The same by the hook for TLS. The other process knows no authority but by the environment. */
export const lostTlsServer = lose((place) =>
  amqps({ ...place, ca: readFileSync(process.env.TESTS_CA_FILE ?? '') }),
);
