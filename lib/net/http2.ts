/** Clients of HTTP/2 over a stack. */
import http2, { type ClientHttp2Session, type SecureClientSessionOptions } from 'node:http2';
import { isIP, type TcpNetConnectOpts } from 'node:net';
import { promisify } from 'node:util';
import type { NetOfStack } from './net.js';
import { connectTls, type TlsConnectOptions } from './tls.js';
import { wrapForSession } from './wrapping.js';

/** What differs from `node:http2`. */
export interface Http2Module {
  /** `http2.connect`, over TLS for `https:` and in the clear for `http:`. */
  readonly connect: typeof http2.connect;
}

/** Kept, as the module may be given another while the process runs. */
const { connect: connectSession } = http2;

type Options = SecureClientSessionOptions & { allowHTTP1?: boolean; ALPNCallback?: unknown };
type Listener = (session: ClientHttp2Session, socket: unknown) => void;

/** @param connectPlain what connections without TLS are made with */
export function createHttp2(
  owner: NetOfStack,
  connectPlain: (options: TcpNetConnectOpts) => object = owner.module.connect,
): Http2Module {
  const connect = (authority: string | URL, given?: Options | Listener, third?: Listener) => {
    const options = typeof given === 'function' ? {} : (given ?? {});
    const listener = typeof given === 'function' ? given : third;
    const { createConnection = connectionTo } = options;
    return connectSession(authority, { ...options, createConnection }, listener);
  };
  const connectionTo = (authority: URL, options: Options): never => {
    const protocol = authority.protocol || options.protocol || 'https:';
    const isSecure = protocol === 'https:';
    // Node's own words for a protocol that is neither.
    if (!isSecure && protocol !== 'http:')
      connectSession(authority, { ...options, createConnection: undefined } as Options);
    const host = (authority.hostname || authority.host || 'localhost').replace(/^\[(.*)\]$/, '$1');
    const port = authority.port || (isSecure ? '443' : '80');
    const socket = isSecure
      ? connectTls(owner, [port, host, tlsOptions(options, host)])
      : wrapForSession(connectPlain({ port, host, ...options } as unknown as TcpNetConnectOpts));
    return socket as never;
  };
  Object.defineProperty(connect, promisify.custom, {
    value: (authority: string | URL, options?: Options) =>
      new Promise<ClientHttp2Session>((resolve, reject) => {
        const session = connect(authority, options, () => {
          session.removeListener('error', reject);
          resolve(session);
        });
        session.once('error', reject);
      }),
  });
  return { connect: connect as typeof http2.connect };
}

/** As Node chooses them: HTTP/2 is offered, and the server is named unless it is an address. */
function tlsOptions(options: Options, host: string): TlsConnectOptions {
  const { servername, allowHTTP1, ALPNCallback } = options;
  const offers = { ALPNProtocols: allowHTTP1 === true ? ['h2', 'http/1.1'] : ['h2'] };
  const name = servername || (isIP(host) === 0 ? host : undefined);
  return {
    ...options,
    ...(ALPNCallback ? {} : offers),
    ...(name === undefined ? {} : { servername: name }),
  };
}
