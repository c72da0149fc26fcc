/** `mongodb`, which has no hook and uses the `net` of the process. */
import { MongoClient } from 'mongodb';
import { content, sha256 } from '../support/content.js';
import type { Story } from './scene.js';

export const MONGO_PORT = 27_017;

export const mongo = (target: string): MongoClient =>
  new MongoClient(`mongodb://${target}/?directConnection=true`, {
    serverApi: '1',
    serverSelectionTimeoutMS: 20_000,
    retryReads: false,
  });

export async function echoes(client: MongoClient): Promise<boolean> {
  const value = content(1_000_000);
  const { echo } = await client.db('tests').command({ ping: 1, echo: value });
  return sha256((echo as { buffer: Uint8Array }).buffer) === sha256(value);
}

/** What a driver says went wrong, and what that came from; connections are counted differently each time. */
function failure(error: unknown): object {
  const { name, message, cause } = error as Error;
  const { code } = (cause ?? {}) as NodeJS.ErrnoException;
  return { name, message: message.replace(/connection \S+ to/, 'a connection to'), code };
}

/** Connections that the server ends, resets and loses in the middle of an answer; then nobody listens. */
export const lostServer: Story = async ({ host, stopServer }) => {
  const told: unknown[] = [];
  const client = mongo(`${host}:${MONGO_PORT}`);
  await client.connect();
  const db = client.db('tests');
  for (const how of ['end', 'reset', 'break']) {
    told.push(await db.command({ ping: 1, lose: how }).catch(failure));
    // It connects again by itself.
    told.push(await echoes(client));
  }
  const waiting = db.command({ ping: 1, lose: 'later' }).catch(failure);
  await echoes(client);
  await stopServer();
  told.push(await waiting);
  await client.close();
  const refused = new MongoClient(`mongodb://${host}:${MONGO_PORT}/?directConnection=true`, {
    serverSelectionTimeoutMS: 500,
  });
  told.push(await refused.connect().catch(failure));
  await refused.close();
  return told;
};
