/**
 * What a command prints. Results go to standard output, everything said about them to standard error;
 * with `--json` standard output holds JSON only. Colours and moving bars are for terminals.
 */
import { styleText } from 'node:util';
import cliProgress from 'cli-progress';
import { bytesText, rateText } from './text.js';

export type Style = Parameters<typeof styleText>[0];

export interface OutputOptions {
  readonly stdout: NodeJS.WriteStream;
  readonly stderr: NodeJS.WriteStream;
  readonly isJson: boolean;
  /** What `--no-color` made of it; the environment and the terminal are asked too. */
  readonly color: boolean;
}

/** A bar that moves while bytes do. */
export interface Progress {
  /** How much is done. */
  update(done: number): void;
  /** Takes the bar away. May be called twice. */
  stop(): void;
}

const BAR_CHARACTERS = 28;
const FRAMES_PER_SECOND = 10;
const NO_PROGRESS: Progress = { update: () => {}, stop: () => {} };

/** Whether moving things and colours make sense there. */
export const isTerminal = (stream: NodeJS.WriteStream): boolean =>
  stream.isTTY && process.env.TERM !== 'dumb';

/** Whether colours are wanted; https://no-color.org: set and not empty. @param color what `--no-color` made of it */
export const wantsColours = (color: boolean): boolean => color && (process.env.NO_COLOR ?? '') === '';

export class Output {
  /** Whether standard output is for programs. */
  readonly isJson: boolean;
  readonly #stdout: NodeJS.WriteStream;
  readonly #stderr: NodeJS.WriteStream;
  readonly #color: boolean;
  #progress: Progress | undefined;

  constructor({ stdout, stderr, isJson, color }: OutputOptions) {
    this.#stdout = stdout;
    this.#stderr = stderr;
    this.isJson = isJson;
    this.#color = wantsColours(color);
  }

  /** A line of the result; nothing with `--json`. */
  line(text = ''): void {
    if (!this.isJson) this.#stdout.write(`${text}\n`);
  }

  /** Something about the work, on standard error. */
  note(text: string): void {
    this.#progress?.stop();
    this.#stderr.write(`${this.#paintOn(this.#stderr, 'dim', text)}\n`);
  }

  /** Something that went wrong, on standard error. */
  complain(text: string): void {
    this.#progress?.stop();
    this.#stderr.write(`${text}\n`);
  }

  /** The one document of `--json`; nothing without it. */
  json(document: unknown): void {
    if (this.isJson) this.#stdout.write(`${JSON.stringify(document, undefined, 2)}\n`);
  }

  /** A line of JSON, with `--json`. */
  jsonLine(document: unknown): void {
    if (this.isJson) this.#stdout.write(`${JSON.stringify(document)}\n`);
  }

  /** `text` in a colour or weight, where standard output has them. */
  paint(style: Style, text: string): string {
    return this.#paintOn(this.#stdout, style, text);
  }

  /** A bar towards `total`, 0 where that is not known, on standard error if that is a terminal. */
  progress(label: string, total: number, of: 'bytes' | 'things' = 'bytes'): Progress {
    this.#progress?.stop();
    if (!isTerminal(this.#stderr)) return NO_PROGRESS;
    const startedMs = performance.now();
    const bar = new cliProgress.SingleBar({
      stream: this.#stderr,
      format: total > 0 ? `${label} {bar} {percentage}%  {told}` : `${label} {told}`,
      barCompleteChar: '█',
      barIncompleteChar: '░',
      barsize: BAR_CHARACTERS,
      fps: FRAMES_PER_SECOND,
      hideCursor: true,
      clearOnComplete: true,
      gracefulExit: false, // the frame ends the command in order
    });
    const payload = (done: number): { told: string } => {
      const elapsed = (performance.now() - startedMs) / 1000;
      if (of === 'things') return { told: total > 0 ? `${done} of ${total}` : String(done) };
      return { told: `${bytesText(done)}  ${elapsed > 0 ? rateText((done * 8) / elapsed) : ''}` };
    };
    bar.start(total, 0, payload(0));
    const progress: Progress = {
      update: (done) => {
        if (this.#progress === progress) bar.update(total > 0 ? Math.min(done, total) : done, payload(done));
      },
      stop: () => {
        if (this.#progress !== progress) return;
        this.#progress = undefined;
        bar.stop();
      },
    };
    this.#progress = progress;
    return progress;
  }

  /** Gives the terminal back as it was. */
  restore(): void {
    this.#progress?.stop();
  }

  #paintOn(stream: NodeJS.WriteStream, style: Style, text: string): string {
    if (!this.#color || !isTerminal(stream) || text.trim() === '') return text;
    // The stream and the environment have been looked at; Node would also ask what CI it runs in.
    return styleText(style, text, { validateStream: false });
  }
}
