/** The scenes of the demo. Each does one thing on real traffic, shows it, and returns its figures. */
import { once } from 'node:events';
import { setTimeout as delay } from 'node:timers/promises';
import { fetchPage } from './http-client.js';
import { urlOf } from './peers.js';
import type { DemoLink, Place } from './place.js';
import { bytesText, rateText, type Screen, timeText } from './screen.js';
import { SegmentTrace, type TraceRow } from './segment-trace.js';
import { GREETING_PORT, servePage } from './services.js';
import { type TransferFigures, transfer } from './transfer.js';

export interface Scene {
  readonly place: Place;
  readonly screen: Screen;
}

export interface FetchFigures {
  readonly url: string;
  readonly by: string;
  readonly status: number;
  readonly us: number;
}

const FAST_BYTES = 1_000_000_000;
const FAST_LIMIT_MS = 4000;
const POOR_BYTES = 1_000_000;
const POOR_LIMIT_MS = 8000;
/** Longer than an ACK is held back. */
const APART_MS = 250;
/** The trace is complete when the last ACK has passed. */
const TRACE_LIMIT_MS = 3000;

/** The stack serves a page, and the other side fetches it. */
export async function serve({ place, screen }: Scene): Promise<FetchFigures[]> {
  const { peer, ours } = place.plain;
  screen.heading(`The stack serves HTTP, the ${peer.name} fetches`);
  await servePage(place.net, () => 'Hello from a TCP/IP stack in JavaScript.\n');
  const figures: FetchFigures[] = [];
  for (const address of ours) {
    const { status, body, us, by } = await peer.fetch(address);
    figures.push(showFetch(screen, { url: urlOf(address), by, status, us }, body));
  }
  return figures;
}

/** The other side serves a page, and the stack's own client fetches it. */
export async function fetch({ place, screen }: Scene): Promise<FetchFigures[]> {
  const { peer, theirs } = place.plain;
  screen.heading(`The ${peer.name} serves HTTP, the stack fetches`);
  const figures: FetchFigures[] = [];
  for (const address of theirs) {
    const { status, body, us } = await fetchPage(place.net, address);
    figures.push(showFetch(screen, { url: urlOf(address), by: 'http.get', status, us }, body));
  }
  return figures;
}

function showFetch(screen: Screen, figures: FetchFigures, body: string): FetchFigures {
  const { url, by, status, us } = figures;
  if (status !== 200) throw new Error(`${by} got status ${status} from ${url}`);
  screen.line(`${by} ${screen.paint('bold', url)}  ${screen.paint('dim', `${status}, ${timeText(us)}`)}`);
  screen.line(`  ${screen.paint('green', body.trim())}`);
  return figures;
}

export interface BothWays {
  readonly out: TransferFigures;
  readonly in: TransferFigures;
}

/** Bulk data over the plain link: one connection, each way. */
export async function bulk(scene: Scene): Promise<BothWays> {
  scene.screen.heading('Bulk data, one connection at a time');
  return bothWays(scene, { link: scene.place.plain, bytes: FAST_BYTES, limitMs: FAST_LIMIT_MS });
}

/** The same over the link that loses packets. */
export async function poor(scene: Scene): Promise<BothWays> {
  scene.screen.heading('The same through a link with 40 ms of round trip that loses 2 % of packets each way');
  scene.place.capture.recording = true;
  try {
    return await bothWays(scene, { link: scene.place.poor, bytes: POOR_BYTES, limitMs: POOR_LIMIT_MS });
  } finally {
    scene.place.capture.recording = false;
  }
}

interface Amount {
  readonly link: DemoLink;
  readonly bytes: number;
  readonly limitMs: number;
}

async function bothWays({ place, screen }: Scene, amount: Amount): Promise<BothWays> {
  const run = async (direction: 'out' | 'in'): Promise<TransferFigures> => {
    const { name } = amount.link.peer;
    const label = direction === 'out' ? `to the ${name}` : `from the ${name}`;
    const progress = screen.progress(label, amount.bytes);
    const figures = await transfer(place, {
      ...amount,
      direction,
      onProgress: (bytes) => progress.update(bytes),
    });
    progress.done(transferText(screen, figures));
    if (!figures.intact) throw new Error(`bulk data ${label} arrived broken`);
    return figures;
  };
  return { out: await run('out'), in: await run('in') };
}

function transferText(screen: Screen, figures: TransferFigures): string {
  const { bytes, seconds, bitsPerSecond, retransmissions, rttUs, intact, congestionControl } = figures;
  const rate = screen.paint('green', rateText(bitsPerSecond).padStart(11));
  const amount = `${bytesText(bytes)} in ${seconds.toFixed(2)} s`;
  const verdict = intact ? 'intact' : 'BROKEN';
  return `${rate}  ${amount}, ${verdict}, ${retransmissions} retransmitted, RTT ${timeText(rttUs)}, ${congestionControl}`;
}

/** One connection from its first SYN to its last ACK, segment by segment. */
export async function handshakes({ place, screen }: Scene): Promise<TraceRow[]> {
  const { peer, theirs } = place.plain;
  screen.heading('One connection, segment by segment: three to open it, four to close it');
  const trace = new SegmentTrace(GREETING_PORT);
  place.capture.onPacket = (packet, outgoing, timeNs) => trace.add(packet, outgoing, timeNs);
  place.capture.recording = true;
  try {
    const socket = place.net.connect({ port: GREETING_PORT, host: theirs[0], noDelay: true });
    await once(socket, 'connect');
    // Every ACK gets a segment of its own: none finds data or a FIN to travel with.
    await delay(APART_MS);
    socket.write('hello\n');
    await once(socket, 'data');
    await delay(APART_MS);
    socket.end();
    await once(socket, 'close');
    for (const endMs = performance.now() + TRACE_LIMIT_MS; !trace.isOver; await delay(10)) {
      if (performance.now() > endMs) throw new Error('the traced connection did not close');
    }
  } finally {
    place.capture.onPacket = undefined;
    place.capture.recording = false;
  }
  showTrace(screen, trace.rows, peer.name);
  return trace.rows;
}

const TIME_COLUMN = 11;
const STATE_COLUMN = 12;
const SEGMENT_COLUMN = 34;

function showTrace(screen: Screen, rows: readonly TraceRow[], peerName: string): void {
  const columns = (time: string, ours: string, middle: string, theirs: string): string =>
    `${time.padStart(TIME_COLUMN)}  ${screen.paint('yellow', ours.padEnd(STATE_COLUMN))} ${middle} ${screen.paint('magenta', theirs)}`;
  screen.line(columns('', 'stack', ' '.repeat(SEGMENT_COLUMN + 4), peerName));
  let [ours, theirs] = ['CLOSED', 'LISTEN'];
  screen.line(columns('', ours, ' '.repeat(SEGMENT_COLUMN + 4), theirs));
  for (const row of rows) {
    const arrow = row.outgoing ? '──▶' : '◀──';
    const middle = `${screen.paint('cyan', arrow)} ${row.segment.padEnd(SEGMENT_COLUMN)}`;
    const time = row === rows[0] ? '' : `+${timeText(row.deltaUs)}`;
    screen.line(
      columns(time, row.ours === ours ? '' : row.ours, middle, row.theirs === theirs ? '' : row.theirs),
    );
    const options = row.options.filter((option) => option !== 'nop');
    if (row.segment.startsWith('S')) {
      screen.note(`${' '.repeat(TIME_COLUMN + STATE_COLUMN + 7)}${options.join(', ')}`);
    }
    [ours, theirs] = [row.ours, row.theirs];
  }
  screen.note('');
  screen.note('S SYN, F FIN, P PSH, . ACK; first:last(bytes), numbered from each side’s first byte.');
}
