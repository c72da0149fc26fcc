/** `tunstack nc -u`: each piece read from standard input is a datagram, each datagram is printed. */
import type { Socket } from 'node:dgram';
import { once } from 'node:events';
import type { CommandContext } from '../frame/context.js';
import { TimedOut } from '../frame/errors.js';
import { placeText } from '../frame/text.js';
import type { Network } from '../network/network.js';
import type { NcOptions } from './options.js';

type NcContext = CommandContext<NcOptions>;

/** Largest datagram made of standard input, bytes; as other programs of the name have it. */
const MAX_DATAGRAM_BYTES = 16_384;

const kindOf = (address: string): 'udp4' | 'udp6' => (address.includes(':') ? 'udp6' : 'udp4');

/** Asks one peer. It ends with the time-out, if there is one: datagrams have no end. */
export async function converseUdp(
  context: NcContext,
  { stack }: Network,
  to: { readonly address: string; readonly port: number },
): Promise<void> {
  const { options, output } = context;
  const socket = stack.dgram.createSocket(kindOf(to.address));
  context.defer(() => close(socket));
  const { ended, onSent } = converse(context, socket);
  socket.bind(options.sourcePort, options.source, () => {
    socket.connect(to.port, to.address, () => {
      if (options.verbose) output.note(`sending to ${placeText(to.address, to.port)}`);
      feed(socket, onSent);
    });
  });
  await ended;
}

export interface ListenPlace {
  /** All by default. */
  readonly address: string | undefined;
  readonly port: number;
}

/** Where others find it. */
export function listeningText({ kind, addresses }: Network, { address, port }: ListenPlace): string {
  const places = address === undefined ? addresses : [address];
  const text = `listening on ${places.map((one) => placeText(one, port)).join(' and ')}`;
  return kind === 'host' ? `${text}, to which ${placeText('127.0.0.1', port)} of the host leads` : text;
}

/** Waits for the first datagram; whoever sent it is the peer from then on. */
export async function listenUdp(context: NcContext, network: Network, at: ListenPlace): Promise<void> {
  const { options, output } = context;
  const { stack } = network;
  const socket =
    at.address === undefined
      ? stack.dgram.createSocket('udp6')
      : stack.dgram.createSocket(kindOf(at.address));
  context.defer(() => close(socket));
  socket.bind(at.port, at.address);
  await once(socket, 'listening');
  output.note(listeningText(network, at));
  const { ended, onSent } = converse(context, socket);
  socket.once('message', (_message, { address, port }) => {
    if (options.verbose) output.note(`datagram from ${placeText(address, port)}`);
    socket.connect(port, address, () => feed(socket, onSent));
  });
  await ended;
}

interface Conversation {
  /** Settles when nothing has passed for as long as may be. */
  readonly ended: Promise<void>;
  /** Is to be told of each datagram that was sent. */
  readonly onSent: () => void;
}

/** Prints what comes. */
function converse({ options: { wait } }: NcContext, socket: Socket): Conversation {
  let received = 0;
  let timer: NodeJS.Timeout | undefined;
  const ended = new Promise<void>((resolve, reject) => {
    const onSilence = (): void => {
      if (received > 0) resolve();
      else reject(new TimedOut('no datagram came in time'));
    };
    if (wait !== undefined) timer = setTimeout(onSilence, wait);
    socket.on('message', (message) => {
      received++;
      timer?.refresh();
      process.stdout.write(message);
    });
    socket.once('error', (error) => {
      clearTimeout(timer);
      reject(error);
    });
  });
  return { ended, onSent: () => timer?.refresh() };
}

function feed(socket: Socket, onSent: () => void): void {
  const { stdin } = process;
  stdin.on('data', (piece: Buffer) => {
    for (let at = 0; at < piece.length; at += MAX_DATAGRAM_BYTES) {
      stdin.pause();
      onSent();
      // Errors of sending come as the socket's own.
      socket.send(piece.subarray(at, at + MAX_DATAGRAM_BYTES), () => stdin.resume());
    }
  });
}

function close(socket: Socket): void {
  try {
    socket.close();
  } catch {
    // It was closed by its error.
  }
}
