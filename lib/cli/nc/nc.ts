/** `tunstack nc`: standard input and output joined to a connection of the stack. */
import type { Socket } from 'node:net';
import type { CommandContext } from '../frame/context.js';
import { ExitStatus, TimedOut, UsageError } from '../frame/errors.js';
import { placeText } from '../frame/text.js';
import * as values from '../frame/values.js';
import { delivered } from '../network/delivery.js';
import { familyOf } from '../network/family.js';
import { findAddress, warnOfSolitude } from '../network/names.js';
import { type Network, openNetwork } from '../network/network.js';
import { converseUdp, listeningText, listenUdp } from './datagrams.js';
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
  const family = familyOf(options);
  if (options.listen) {
    const address =
      place.host === undefined ? undefined : (await findAddress(network, place.host, { family })).toString();
    await (options.udp ? listenUdp : listen)(context, network, { address, port });
  } else {
    const found = await findAddress(network, place.host ?? '', { family });
    warnOfSolitude(context.output, network, found);
    const address = found.toString();
    await (options.udp ? converseUdp : connect)(context, network, { address, port });
  }
  await delivered(network.stack);
  return ExitStatus.Ok;
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

async function connect(
  context: NcContext,
  { stack }: Network,
  to: { readonly address: string; readonly port: number },
): Promise<void> {
  const { options, output } = context;
  const socket = stack.net.connect({
    host: to.address,
    port: to.port,
    allowHalfOpen: true,
    ...(options.source === undefined ? {} : { localAddress: options.source }),
    ...(options.sourcePort === 0 ? {} : { localPort: options.sourcePort }),
  });
  socket.once('connect', () => {
    if (options.verbose) output.note(`connected to ${placeText(to.address, to.port)}`);
  });
  await converse(context, socket, to);
}

async function listen(
  context: NcContext,
  network: Network,
  at: { readonly address: string | undefined; readonly port: number },
): Promise<void> {
  const { options, output } = context;
  const waiting: Socket[] = [];
  let wake: () => void = () => {};
  let failed: Error | undefined;
  const server = network.stack.net.createServer({ allowHalfOpen: true, pauseOnConnect: true }, (socket) => {
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
    const from = { address: socket.remoteAddress ?? '', port: socket.remotePort ?? 0 };
    if (options.verbose) output.note(`connection from ${placeText(from.address, from.port)}`);
    const talk = converse(context, socket, from);
    // One peer's trouble is no reason not to wait for the next.
    if (options.keep) await talk.catch((error: Error) => output.complain(`tunstack nc: ${error.message}`));
    else await talk;
  } while (options.keep);
}

/** Each direction ends by itself; it is over when both have. */
function converse(
  { options, args }: NcContext,
  socket: Socket,
  peer: { readonly address: string; readonly port: number },
): Promise<void> {
  const { stdin, stdout } = process;
  const where = args.length > 0 ? placeText(peer.address, peer.port) : '';
  return new Promise((resolve, reject) => {
    const done = (error?: Error): void => {
      stdin.unpipe(socket);
      if (error === undefined) resolve();
      else reject(error);
    };
    if (options.wait !== undefined) {
      socket.setTimeout(options.wait, () => {
        socket.destroy(new TimedOut(`nothing passed to or from ${where} in time`));
      });
    }
    socket.once('error', done).once('close', () => done());
    socket.once('end', () => {
      // What is typed has nobody to go to; what comes from a file or a program may.
      if (stdin.isTTY) socket.end();
    });
    socket.pipe(stdout, { end: false });
    stdin.pipe(socket);
  });
}
