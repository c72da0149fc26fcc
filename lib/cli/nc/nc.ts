/** `tunstack nc`: standard input and output joined to a connection of the stack. */
import type { Socket } from 'node:net';
import type { IpAddress } from '../../index.js';
import type { CommandContext } from '../frame/context.js';
import { ExitStatus, TimedOut, UsageError } from '../frame/errors.js';
import { placeText } from '../frame/text.js';
import * as values from '../frame/values.js';
import { delivered } from '../network/delivery.js';
import { hostItself } from '../network/door-names.js';
import { familyOf } from '../network/family.js';
import { findAddress, findAddresses, warnOfSolitude } from '../network/names.js';
import { type Network, openNetwork } from '../network/network.js';
import { converseUdp, type ListenPlace, listeningText, listenUdp } from './datagrams.js';
import type { NcOptions, NcPlace } from './options.js';
import { scan } from './scan.js';

type NcContext = CommandContext<NcOptions>;

export async function nc(context: NcContext): Promise<number> {
  const { options } = context;
  const place = placeOf(context);
  const [[port]] = place.ports;
  // Who listens behind the host's sockets is found on the host's loopback.
  const publish = options.listen ? [`${port}:${port}${options.udp ? '/udp' : ''}`] : [];
  const network = await openNetwork(context, options, { fallback: 'host', publish });
  if (options.scan) return scan(context, network, place);
  if (options.listen) {
    const address = await listenAddress(context, network, place.host);
    await (options.udp ? listenUdp : listen)(context, network, { address, port });
  } else {
    const found = await findAddresses(network, place.host ?? '', { family: familyOf(options) });
    warnOfSolitude(context.output, network, found[0]);
    if (options.udp) await converseUdp(context, network, { address: found[0].toString(), port });
    else await connect(context, network, { found, port });
  }
  await delivered(network.stack);
  return ExitStatus.Ok;
}

/** Where to listen; undefined for all addresses, to which the host's loopback leads too. */
async function listenAddress(
  { options }: NcContext,
  network: Network,
  host: string | undefined,
): Promise<string | undefined> {
  const family = familyOf(options);
  if (host === undefined || (network.kind === 'host' && hostItself(host, 0) !== undefined)) return undefined;
  return (await findAddress(network, host, { family })).toString();
}

/** @throws UsageError */
function placeOf({ args, options }: NcContext): NcPlace {
  const { listen: listens, scan: scans, keep, udp, json } = options;
  if (listens && scans) throw new UsageError('-l and -z do not go together');
  if (json && !scans) throw new UsageError('--json is for -z');
  if (keep && (!listens || udp)) throw new UsageError('-k is for listening with TCP');
  const [host, portText] = listens && args.length === 1 ? [undefined, args[0]] : args;
  if (portText === undefined) {
    throw new UsageError(listens ? 'the port to listen on is missing' : 'host and port are needed');
  }
  const ports = values.portRanges(portText);
  if (!scans && (ports.length > 1 || ports[0][0] !== ports[0][1])) {
    throw new UsageError('several ports are for -z');
  }
  return { host, ports };
}

interface Peer {
  readonly address: string;
  readonly port: number;
}

/** Connects to the first of the addresses that takes it. */
async function connect(
  context: NcContext,
  { stack }: Network,
  { found, port }: { readonly found: readonly IpAddress[]; readonly port: number },
): Promise<void> {
  const { options, output } = context;
  for (const [i, one] of found.entries()) {
    const peer = { address: one.toString(), port };
    const socket = stack.net.connect({
      host: peer.address,
      port,
      allowHalfOpen: true,
      ...(options.source === undefined ? {} : { localAddress: options.source }),
      ...(options.sourcePort === 0 ? {} : { localPort: options.sourcePort }),
    });
    limit(socket, options, peer);
    const failure = await connected(socket);
    if (failure === undefined) {
      if (options.verbose) output.note(`connected to ${placeText(peer.address, port)}`);
      return converse(socket);
    }
    if (i === found.length - 1) throw failure;
    if (options.verbose) output.note(`${failure.message}; there is another address`);
  }
}

/** Why it could not be connected, if it could not. */
const connected = (socket: Socket): Promise<Error | undefined> =>
  new Promise((resolve) => {
    socket.once('connect', () => resolve(undefined)).once('error', resolve);
  });

/** Ends a connection that takes longer than `-w` to be there, or on which nothing passes for so long. */
function limit(socket: Socket, { wait }: NcOptions, { address, port }: Peer): void {
  if (wait === undefined) return;
  socket.setTimeout(wait, () => {
    socket.destroy(new TimedOut(`nothing passed to or from ${placeText(address, port)} in time`));
  });
}

/** Connections that wait while there is one; more are refused. */
const MAX_WAITING = 64;

async function listen(context: NcContext, network: Network, at: ListenPlace): Promise<void> {
  const { options, output } = context;
  const waiting: Socket[] = [];
  let wake: () => void = () => {};
  let failed: Error | undefined;
  let isTaken = false;
  const server = network.stack.net.createServer({ allowHalfOpen: true, pauseOnConnect: true }, (socket) => {
    // Whoever gives up before it is his turn is no news.
    socket.on('error', () => {});
    if ((isTaken && !options.keep) || waiting.length === MAX_WAITING) {
      socket.resetAndDestroy();
      return;
    }
    isTaken = true;
    if (!options.keep) server.close();
    waiting.push(socket);
    wake();
  });
  server.on('error', (error) => {
    failed = error;
    wake();
  });
  server.listen({ port: at.port, ...(at.address === undefined ? {} : { host: at.address }) }, () => {
    output.note(listeningText(network, at));
  });
  do {
    while (waiting.length === 0 && failed === undefined) {
      await new Promise<void>((resolve) => {
        wake = resolve;
      });
    }
    if (failed !== undefined) throw failed;
    const socket = waiting.shift() as Socket;
    const peer = { address: socket.remoteAddress ?? '', port: socket.remotePort ?? 0 };
    if (options.verbose) output.note(`connection from ${placeText(peer.address, peer.port)}`);
    limit(socket, options, peer);
    const talk = converse(socket);
    // One peer's trouble is no reason not to wait for the next.
    if (options.keep) await talk.catch((error: Error) => output.complain(`tunstack nc: ${error.message}`));
    else await talk;
  } while (options.keep);
}

/** Each direction ends by itself; it is over when both have. */
function converse(socket: Socket): Promise<void> {
  const { stdin, stdout } = process;
  // It was reset while it waited.
  if (socket.destroyed) return Promise.reject(socket.errored ?? new Error('the connection has ended'));
  return new Promise((resolve, reject) => {
    const done = (error?: Error): void => {
      stdin.unpipe(socket);
      if (error === undefined) resolve();
      else reject(error);
    };
    socket.once('error', done).once('close', () => done());
    socket.once('end', () => {
      // What is typed has nobody to go to; what comes from a file or a program may.
      if (stdin.isTTY) socket.end();
    });
    socket.pipe(stdout, { end: false });
    stdin.pipe(socket);
  });
}
