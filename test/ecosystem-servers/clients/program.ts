/**
 * Programs that know nothing of any stack, as a whole process: `program.ts <name> <host> <port>`. A server
 * prints its port, a client what it found, as one line of JSON.
 */
import { once } from 'node:events';
import { readFileSync } from 'node:fs';
import type { AddressInfo, Server } from 'node:net';
import * as grpc from '@grpc/grpc-js';
import { content, sha256 } from '../support/content.js';
import { amqp, exercise as exerciseAmqp } from './amqp.js';
import { broken, exercise, grpcServer, unavailable } from './grpc.js';
import { echoes, mongo } from './mongo.js';
import { plain } from './scene.js';
import { socketServer, trySockets } from './sockets.js';
import { mongoServer } from './wire.js';

const [, , name, host, portText = '0', caFile, servername] = process.argv;
const port = Number(portText);
const target = `${host.includes(':') ? `[${host}]` : host}:${port}`;

const say = (what: unknown): void => void process.stdout.write(`${JSON.stringify(what)}\n`);

async function serve(server: Server): Promise<unknown> {
  server.listen(port, host);
  await once(server, 'listening');
  return { port: (server.address() as AddressInfo).port };
}

const programs: Record<string, () => Promise<unknown>> = {
  'mongo-server': () => serve(mongoServer()),
  'socket-server': () => serve(socketServer()),
  sockets: () => trySockets(target),

  'grpc-server': () =>
    new Promise((resolve, reject) => {
      const credentials = grpc.ServerCredentials.createInsecure();
      grpcServer().bindAsync(target, credentials, (error, bound) => {
        if (error === null) resolve({ port: bound });
        else reject(error);
      });
    }),

  grpc: () => exercise(target, caFile === undefined ? undefined : readFileSync(caFile), servername),
  'grpc-unavailable': () => unavailable(target),
  'grpc-broken': () => broken(target, () => say('under way')),

  async redis() {
    const { createClient, RESP_TYPES } = await import('redis');
    const client = createClient({ socket: { host, port, reconnectStrategy: false } });
    const errors: object[] = [];
    client.on('error', (error) => errors.push(plain(error)));
    await client.connect();
    const value = content(5_000_000);
    await client.set('value', value);
    const buffers = client.withTypeMapping({ [RESP_TYPES.BLOB_STRING]: Buffer });
    const back = (await buffers.get('value')) as unknown as Buffer;
    const many = await Promise.all(Array.from({ length: 1000 }, () => client.incr('registered')));
    // The server's own word on where this client is.
    const from = /\baddr=(\S+):\d+/.exec(await client.sendCommand<string>(['CLIENT', 'INFO']))?.[1];
    await client.close();
    const refused = createClient({ socket: { host, port: 9, reconnectStrategy: false } });
    refused.on('error', () => {});
    const refusal = await refused.connect().catch(plain);
    return { same: sha256(back) === sha256(value), count: many.at(-1), from, errors, refusal };
  },

  async mongodb() {
    const client = mongo(target);
    await client.connect();
    const same = await echoes(client);
    await client.close();
    return { same };
  },

  async amqplib() {
    const connection = await amqp(host, port);
    const outcome = await exerciseAmqp(connection);
    await connection.close();
    return outcome;
  },
};

say(await programs[name]());
if (!name.endsWith('-server')) process.exit();
