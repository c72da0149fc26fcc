/** What the demo shows: headings, lines and progress, with colours and moving bars on a terminal only. */
import { styleText } from 'node:util';
import cliProgress from 'cli-progress';
import { isTerminal, type Style, wantsColours } from '../frame/output.js';
import { bytesText } from '../frame/text.js';

export { bytesText, rateText, timeText } from '../frame/text.js';

export interface ScreenOptions {
  readonly stream: NodeJS.WriteStream;
  /** Shows nothing at all, for output that programs read. */
  readonly silent: boolean;
  /** Colours, where the terminal and the environment have them. */
  readonly color: boolean;
}

/** What moves while bytes do. */
export interface Progress {
  update(bytes: number): void;
  /** Leaves `text` where the bar was. */
  done(text: string): void;
}

const LABEL_COLUMN = 21;
const BAR_CHARACTERS = 28;
const FRAMES_PER_SECOND = 20;

export class Screen {
  readonly #stream: NodeJS.WriteStream;
  readonly #silent: boolean;
  readonly #isTerminal: boolean;
  readonly #hasColours: boolean;
  #bar: cliProgress.SingleBar | undefined;

  constructor({ stream, silent, color }: ScreenOptions) {
    this.#stream = stream;
    this.#silent = silent;
    this.#isTerminal = isTerminal(stream);
    this.#hasColours = this.#isTerminal && wantsColours(color);
  }

  /** `text` in a colour or weight, where there are colours. */
  paint(style: Style, text: string): string {
    // We have looked at the stream and the environment ourselves; Node would also ask what CI it runs in.
    return this.#hasColours && text.trim() !== '' ? styleText(style, text, { validateStream: false }) : text;
  }

  title(text: string, rest: string): void {
    this.#print(`${this.paint('bold', text)}  ${this.paint('dim', rest)}`);
  }

  heading(text: string): void {
    this.#print(`\n${this.paint('cyan', '●')} ${this.paint('bold', text)}`);
  }

  line(text: string): void {
    this.#print(text === '' ? '' : `  ${text}`);
  }

  note(text: string): void {
    this.#print(`  ${this.paint('dim', text)}`);
  }

  /** A bar towards `totalBytes`; off a terminal only its last line is printed. */
  progress(label: string, totalBytes: number): Progress {
    const name = label.padEnd(LABEL_COLUMN);
    const print = (text: string): void => this.#print(`  ${name} ${text}`);
    if (this.#silent || !this.#isTerminal) return { update: () => {}, done: print };
    const bar = new cliProgress.SingleBar({
      stream: this.#stream,
      format: `  ${name} ${this.paint('cyan', '{bar}')} {amount}`,
      barCompleteChar: '█',
      barIncompleteChar: '░',
      barsize: BAR_CHARACTERS,
      fps: FRAMES_PER_SECOND,
      hideCursor: true,
      clearOnComplete: true,
      gracefulExit: false, // whoever runs the demo ends it in order
    });
    this.#bar = bar;
    bar.start(totalBytes, 0, { amount: '' });
    return {
      update: (bytes) => bar.update(Math.min(bytes, totalBytes), { amount: bytesText(bytes) }),
      done: (text) => {
        this.#stopBar();
        print(text);
      },
    };
  }

  /** Gives the terminal back as it was. */
  restore(): void {
    this.#stopBar();
  }

  #stopBar(): void {
    this.#bar?.stop();
    this.#bar = undefined;
  }

  #print(text: string): void {
    if (!this.#silent) this.#stream.write(`${text.trimEnd()}\n`);
  }
}
