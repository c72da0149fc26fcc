/**
 * What the compiler is asked: that the modules of a stack stand where Node's are expected. That it compiles is
 * the test; it is run so that nobody wonders whether it is.
 */
import type dgram from 'node:dgram';
import type net from 'node:net';
import type tls from 'node:tls';
import { expect } from 'chai';
import { Stack, SystemClock, SystemRandom } from 'tunstack';
import * as undici from 'undici';

/** Code written for Node's modules, which takes them as arguments. */
interface Modules {
  readonly net: typeof net;
  readonly tls: typeof tls;
  readonly dgram: typeof dgram;
}

/** Such a program. */
function program({ net, tls, dgram }: Modules): unknown[] {
  const server: net.Server = net.createServer({ allowHalfOpen: true }, (socket: net.Socket) => socket.end());
  const socket: net.Socket = new net.Socket({ signal: new AbortController().signal });
  const [literal, blocked] = [net.isIP('::1'), new net.BlockList()];
  const secure: tls.Server = tls.createServer({}, (secured: tls.TLSSocket) => secured.end());
  const datagrams: dgram.Socket = dgram.createSocket('udp4');
  datagrams.close();
  socket.destroy();
  return [server, literal, blocked, secure];
}

describe('types', () => {
  it('of a stack’s net, tls and dgram are those of Node’s', () => {
    const stack = new Stack({ clock: new SystemClock(), random: new SystemRandom() });
    const { net, tls, dgram } = stack;
    expect(program({ net, tls, dgram })).to.have.length(4);
    stack.close();
  });

  it('of helpers are those their users ask for', async () => {
    const stack = new Stack({ clock: new SystemClock(), random: new SystemRandom() });
    const forFetch: NonNullable<RequestInit['dispatcher']> = stack.dispatcher();
    const forUndici: undici.Agent = stack.dispatcher(undici, { pipelining: 1 });
    const connect: undici.buildConnector.connector = stack.connector();
    const agent = new undici.Agent({ connect });
    const readable: ReadableStream<Uint8Array> = stack.streams.connect({ port: 1 }).readable;
    await Promise.all([forFetch.close(), forUndici.close(), agent.close(), readable.cancel()]);
    stack.close();
  });
});
