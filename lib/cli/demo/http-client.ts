/** Fetches a page over sockets of any `net`. */
import { get } from 'node:http';
import type { SocketsOf } from './services.js';
import { HTTP_PORT } from './services.js';

export interface Fetched {
  readonly status: number;
  readonly body: string;
  /** From the call to the last byte, µs. */
  readonly us: number;
}

const LIMIT_MS = 5000;

export function fetchPage(net: SocketsOf, address: string): Promise<Fetched> {
  const startedMs = performance.now();
  return new Promise((resolve, reject) => {
    const request = get({
      host: address,
      port: HTTP_PORT,
      path: '/',
      timeout: LIMIT_MS,
      // Only without an agent is this heeded.
      createConnection: () => net.connect(HTTP_PORT, address),
    });
    request.once('error', reject);
    request.once('timeout', () => request.destroy(new Error(`no answer from ${address} in ${LIMIT_MS} ms`)));
    request.once('response', (response) => {
      let body = '';
      response.setEncoding('utf8').on('data', (text: string) => {
        body += text;
      });
      response.once('end', () =>
        resolve({ status: response.statusCode ?? 0, body, us: (performance.now() - startedMs) * 1000 }),
      );
      response.once('error', reject);
    });
  });
}
