/** Clients of HTTP, each asked in the same way. */
import http, { type IncomingMessage } from 'node:http';
import https from 'node:https';
import { buffer } from 'node:stream/consumers';
import axios from 'axios';
import { got } from 'got';
import * as undici from 'undici';
import { sha1 } from '../../net/support/content.js';
import { certificates } from './certificates.js';
import type { Place } from './places.js';

export interface Question {
  readonly url: string;
  readonly method?: 'GET' | 'POST';
  readonly body?: Buffer;
  readonly signal?: AbortSignal;
}

export interface Answer {
  readonly status: number | undefined;
  readonly digest: string;
  readonly bytes: number;
}

export type Ask = (question: Question) => Promise<Answer>;

const answerOf = (status: number | undefined, content: Uint8Array): Answer => ({
  status,
  digest: sha1(content),
  bytes: content.length,
});

const tlsWish = (): { ca: Buffer; servername: string } => {
  const { ca, servername } = certificates();
  return { ca, servername };
};

interface Agents {
  readonly http: http.Agent;
  readonly https: https.Agent;
}

function agentsOf(place: Place): Agents {
  const agents = {
    http: place.agent({ maxSockets: 8 }),
    https: place.httpsAgent({ maxSockets: 8, ...tlsWish() }),
  };
  place.later(() => {
    agents.http.destroy();
    agents.https.destroy();
  });
  return agents;
}

const plain = (place: Place): Ask => {
  const agents = agentsOf(place);
  return ({ url, method, body, signal }) =>
    new Promise((resolve, reject) => {
      const options = { method: method ?? 'GET', ...(signal === undefined ? {} : { signal }) };
      const answered = (response: IncomingMessage): void => {
        buffer(response).then((content) => resolve(answerOf(response.statusCode, content)), reject);
      };
      const request = url.startsWith('https:')
        ? https.request(url, { agent: agents.https, ...options }, answered)
        : http.request(url, { agent: agents.http, ...options }, answered);
      request.on('error', reject).end(body);
    });
};

const undiciRequest = (place: Place): Ask => {
  const dispatcher = place.dispatcher({ connect: tlsWish(), connections: 8 });
  place.later(() => dispatcher.destroy());
  return async ({ url, method = 'GET', body, signal }) => {
    const { statusCode, body: answer } = await undici.request(url, {
      dispatcher,
      method,
      ...(body === undefined ? {} : { body }),
      ...(signal === undefined ? {} : { signal }),
    });
    return answerOf(statusCode, new Uint8Array(await answer.arrayBuffer()));
  };
};

const undiciFetch = (place: Place): Ask => {
  const dispatcher = place.dispatcher({ connect: tlsWish(), connections: 8 });
  place.later(() => dispatcher.destroy());
  return async ({ url, method = 'GET', body, signal }) => {
    const response = await undici.fetch(url, {
      dispatcher,
      method,
      body: body ?? null,
      signal: signal ?? null,
    });
    return answerOf(response.status, new Uint8Array(await response.arrayBuffer()));
  };
};

const nodeFetch = (place: Place): Ask => {
  const dispatcher = place.fetchDispatcher({ connect: tlsWish(), connections: 8 });
  place.later(() => dispatcher.destroy());
  return async ({ url, method = 'GET', body, signal }) => {
    const wish = { dispatcher, method, body: body ?? null, signal: signal ?? null };
    const response = await fetch(url, wish);
    return answerOf(response.status, new Uint8Array(await response.arrayBuffer()));
  };
};

const withGot = (place: Place): Ask => {
  const agent = agentsOf(place);
  return async ({ url, method = 'GET', body, signal }) => {
    const response = await got(url, {
      agent,
      method,
      ...(body === undefined ? {} : { body }),
      ...(signal === undefined ? {} : { signal }),
      https: { certificateAuthority: certificates().ca },
      responseType: 'buffer',
      throwHttpErrors: false,
      retry: { limit: 0 },
    });
    return answerOf(response.statusCode, response.body);
  };
};

const withAxios = (place: Place): Ask => {
  const { http: httpAgent, https: httpsAgent } = agentsOf(place);
  return async ({ url, method = 'GET', body, signal }) => {
    const response = await axios.request<Buffer>({
      url,
      method,
      data: body,
      ...(signal === undefined ? {} : { signal }),
      httpAgent,
      httpsAgent,
      proxy: false,
      responseType: 'arraybuffer',
      validateStatus: () => true,
    });
    return answerOf(response.status, response.data);
  };
};

export const CLIENTS: Readonly<Record<string, (place: Place) => Ask>> = {
  'http.request': plain,
  'undici.request': undiciRequest,
  'undici.fetch': undiciFetch,
  'fetch of Node': nodeFetch,
  got: withGot,
  axios: withAxios,
};
