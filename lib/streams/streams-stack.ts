/** What streams ask of a stack. */
import type { TcpRequest } from '../stack/any-tcp.js';
import type { Stack } from '../stack/stack.js';
import type { TcpEndpoint, TcpEndpointHandler, TcpOptions } from '../stack/tcp-endpoint.js';

export type { TcpEndpoint, TcpEndpointHandler, TcpOptions, TcpRequest };

export type ListenerEndpoint = ReturnType<Stack['listenTcp']>;

export type StreamsStack = Pick<Stack, 'connectTcp' | 'hold' | 'listenTcp' | 'release'>;

/** The addresses of a name, in the order in which they are to be tried. */
export type Resolve = (host: string) => Promise<readonly string[]>;
