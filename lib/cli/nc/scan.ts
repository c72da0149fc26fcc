/** `tunstack nc -z`: which ports answer. */
import { once } from 'node:events';
import type { CommandContext } from '../frame/context.js';
import { ExitStatus } from '../frame/errors.js';
import { placeText } from '../frame/text.js';
import { familyOf } from '../network/family.js';
import { findAddress } from '../network/names.js';
import type { Network } from '../network/network.js';
import type { NcOptions, NcPlace } from './options.js';

/** `filtered`: nobody said anything; over UDP that may also be an open port. */
export type PortState = 'open' | 'closed' | 'filtered';

interface Probed {
  readonly port: number;
  readonly state: PortState;
}

/** Ports that are tried at the same time. */
const AT_ONCE = 64;
const WAIT_MS = 3000;
/** Several `wait` long would be too much, ms: an open UDP port says nothing. */
const UDP_WAIT_MS = 1000;

export async function scan(
  context: CommandContext<NcOptions>,
  network: Network,
  { host = '', ports }: NcPlace,
): Promise<number> {
  const { options, output } = context;
  const address = (await findAddress(network, host, { family: familyOf(options) })).toString();
  const numbers = ports.flatMap(([first, last]) =>
    Array.from({ length: last - first + 1 }, (_value, i) => first + i),
  );
  const probe = options.udp ? probeUdp : probeTcp;
  const wait = options.wait ?? (options.udp ? UDP_WAIT_MS : WAIT_MS);
  const results: Probed[] = [];
  const bar = output.progress('ports', numbers.length, 'things');
  for (let at = 0; at < numbers.length; at += AT_ONCE) {
    const batch = numbers.slice(at, at + AT_ONCE);
    results.push(
      ...(await Promise.all(
        batch.map(async (port) => ({ port, state: await probe(network, { address, port, wait }) })),
      )),
    );
    bar.update(results.length);
  }
  bar.stop();
  for (const { port, state } of results) {
    if (state === 'open' || options.verbose || (options.udp && state === 'filtered')) {
      output.line(
        `${placeText(address, port)} ${options.udp && state === 'filtered' ? 'open or filtered' : state}`,
      );
    }
  }
  output.json({ host, address, protocol: options.udp ? 'udp' : 'tcp', ports: results });
  const hit = results.some(({ state }) => state === 'open' || (options.udp && state === 'filtered'));
  return hit ? ExitStatus.Ok : ExitStatus.Failed;
}

interface Target {
  readonly address: string;
  readonly port: number;
  /** ms. */
  readonly wait: number;
}

function probeTcp({ stack }: Network, { address, port, wait }: Target): Promise<PortState> {
  return new Promise((resolve) => {
    const socket = stack.net.connect({ host: address, port });
    const end = (state: PortState): void => {
      resolve(state);
      socket.destroy();
    };
    socket.setTimeout(wait, () => end('filtered'));
    socket.once('connect', () => end('open'));
    socket.once('error', (error: Error & { code?: string }) => {
      end(error.code === 'ECONNREFUSED' ? 'closed' : 'filtered');
    });
  });
}

async function probeUdp({ stack }: Network, { address, port, wait }: Target): Promise<PortState> {
  const socket = stack.dgram.createSocket(address.includes(':') ? 'udp6' : 'udp4');
  try {
    socket.connect(port, address);
    await once(socket, 'connect');
    return await new Promise<PortState>((resolve) => {
      const timer = setTimeout(() => resolve('filtered'), wait);
      const end = (state: PortState): void => {
        clearTimeout(timer);
        resolve(state);
      };
      socket.once('message', () => end('open'));
      socket.once('error', (error: Error & { code?: string }) => {
        end(error.code === 'ECONNREFUSED' ? 'closed' : 'filtered');
      });
      socket.send('');
    });
  } finally {
    socket.close();
  }
}
