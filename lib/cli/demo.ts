/** `tunstack demo`: the stack on real traffic, in some fifteen seconds. */
import { basename } from 'node:path';
import { openPlace, type Place } from './demo/place.js';
import { bulk, fetch, handshakes, poor, type Scene, serve } from './demo/scenes.js';
import { bytesText, Screen } from './demo/screen.js';
import { Interrupted, sentence } from './frame/errors.js';

export interface DemoOptions {
  /** Print the figures as JSON, and nothing else. */
  readonly json: boolean;
  /** Stay in memory even where a TUN could be opened. */
  readonly memory: boolean;
  /** Whether colours are wanted, where there can be any. */
  readonly color: boolean;
  /** Where packets are recorded. */
  readonly capture: string;
  readonly version: string;
  /** Aborted with an `Interrupted` when it is to end early. */
  readonly signal: AbortSignal;
}

/** A demo that takes longer is stuck. */
const LIMIT_MS = 50_000;

/**
 * Runs the demo and cleans up, however it ends.
 * @returns the exit status: 0, 1 after an error, 128 + n after signal n
 */
export async function runDemo(options: DemoOptions): Promise<number> {
  const screen = new Screen({ stream: process.stdout, silent: options.json, color: options.color });
  const watch = watchForEnd(options.signal);
  const opening = openPlace({ capturePath: options.capture, inMemory: options.memory });
  let status = 0;
  try {
    const play = opening.then((place) => perform({ place, screen }, options));
    const figures = await Promise.race([play, watch.ended]);
    if (options.json) process.stdout.write(`${JSON.stringify(figures, undefined, 2)}\n`);
  } catch (error) {
    screen.restore();
    status = error instanceof Interrupted ? error.status : 1;
    if (status === 1) process.stderr.write(`The demo failed: ${sentence(error as Error)}\n`);
  }
  watch.stop();
  await opening.then(
    (place) => place.close(),
    () => {},
  );
  return status;
}

interface EndWatch {
  /** Rejects when it is interrupted, or when the time is up. */
  readonly ended: Promise<never>;
  stop(): void;
}

function watchForEnd(signal: AbortSignal): EndWatch {
  let end: (error: Error) => void = () => {};
  const ended = new Promise<never>((_resolve, reject) => {
    end = reject;
  });
  ended.catch(() => {});
  const interrupted = (): void => end(signal.reason as Error);
  if (signal.aborted) interrupted();
  signal.addEventListener('abort', interrupted);
  const timer = setTimeout(
    () => end(new Error(`it did not end within ${LIMIT_MS / 1000} seconds`)),
    LIMIT_MS,
  );
  return {
    ended,
    stop: () => {
      clearTimeout(timer);
      signal.removeEventListener('abort', interrupted);
    },
  };
}

async function perform(scene: Scene, options: DemoOptions): Promise<object> {
  const { place, screen } = scene;
  const startedMs = performance.now();
  screen.title(`tunstack ${options.version}`, 'a private TCP/IP stack for Node.js');
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
    version: options.version,
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
