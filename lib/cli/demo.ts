/** `tunstack demo`: the stack on real traffic, in some fifteen seconds. */
import { basename } from 'node:path';
import { openPlace, type Place } from './demo/place.js';
import { bulk, fetch, handshakes, poor, type Scene, serve } from './demo/scenes.js';
import { bytesText, Screen } from './demo/screen.js';
import type { CommandContext } from './frame/context.js';

export interface DemoOptions {
  /** Print the figures as JSON, and nothing else. */
  readonly json: boolean;
  /** Stay in memory even where a TUN could be opened. */
  readonly memory: boolean;
  /** Whether colours are wanted, where there can be any. */
  readonly color: boolean;
  /** Where packets are recorded. */
  readonly capture: string;
}

type Context = CommandContext<DemoOptions>;

/** A demo that takes longer is stuck. */
const LIMIT_MS = 50_000;

export async function runDemo(context: Context): Promise<void> {
  const { json, color, capture, memory } = context.options;
  const screen = new Screen({ stream: process.stdout, silent: json, color });
  context.defer(() => screen.restore());
  const opening = openPlace({ capturePath: capture, inMemory: memory });
  const place = await context.acquire(opening, (opened) => opened.close());
  const late = new Promise<never>((_resolve, reject) => {
    const error = new Error(`it did not end within ${LIMIT_MS / 1000} seconds`);
    const timer = setTimeout(() => reject(error), LIMIT_MS);
    context.defer(() => clearTimeout(timer));
  });
  context.output.json(await Promise.race([perform({ place, screen }, context), late]));
}

async function perform(scene: Scene, { options, version }: Context): Promise<object> {
  const { place, screen } = scene;
  const startedMs = performance.now();
  screen.title(`tunstack ${version}`, 'a private TCP/IP stack for Node.js');
  showPlace(scene);
  place.capture.recording = true;
  const served = await serve(scene);
  const fetched = await fetch(scene);
  place.capture.recording = false;
  const trace = await handshakes(scene);
  const fast = await bulk(scene);
  const lossy = await poor(scene);
  const drops = place.stack.stats.drops.toJSON();
  await place.close();
  showCapture(place, screen);
  const seconds = (performance.now() - startedMs) / 1000;
  screen.note(`Done in ${seconds.toFixed(1)} s; nothing but that file stays.`);
  const capture = { file: options.capture, packets: place.capture.packets, bytes: place.capture.bytes };
  return {
    version,
    node: process.version,
    mode: place.mode,
    seconds,
    served,
    fetched,
    trace,
    bulk: fast,
    lossy,
    drops,
    capture,
  };
}

function showPlace({ place, screen }: Scene): void {
  screen.heading('A network for this demo alone');
  screen.line(place.description);
  for (const { name, ours, theirs, peer } of [place.plain, place.poor]) {
    screen.note(`${name}: stack ${ours.join(' and ')}; ${peer.name} ${theirs.join(' and ')}`);
  }
}

function showCapture({ capture }: Place, screen: Screen): void {
  const file = screen.paint('bold', basename(capture.path));
  screen.heading('A capture');
  screen.line(`${file}: ${capture.packets} packets, ${bytesText(capture.bytes)}, for Wireshark or tshark.`);
}
