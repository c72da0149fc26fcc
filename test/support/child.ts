/** Child processes for tests: bounded in time, their output kept, and gone with the test run. */
import { type ChildProcess, type ChildProcessByStdio, type StdioOptions, spawn } from 'node:child_process';
import type { Readable, Writable } from 'node:stream';

export interface ChildOptions {
  readonly cwd?: string;
  /** Added to this process's environment. */
  readonly env?: Readonly<Record<string, string>>;
  /** Written to standard input, which is then closed. */
  readonly input?: string | Uint8Array;
  /** The child is killed after this long; 20,000 by default. */
  readonly limitMs?: number;
  /** Standard input stays open until `stdin.end()`; the default without `input` is none at all. */
  readonly openStdin?: boolean;
}

export interface Outcome {
  readonly stdout: string;
  readonly stderr: string;
  /** Exit status, or -1 where a signal ended it. */
  readonly status: number;
}

const alive = new Set<ChildProcess>();
process.once('exit', () => {
  for (const process of alive) process.kill('SIGKILL');
});

type Process = ChildProcessByStdio<Writable | null, Readable, Readable>;

export class Child {
  readonly #process: Process;
  readonly #name: string;
  #stdout = '';
  #stderr = '';
  #ended: Outcome | undefined;
  /** Told of every piece of output and of the end. */
  readonly #watchers = new Set<() => void>();
  /** Settles when the process has ended and its output is complete; rejects if it could not be started. */
  readonly ended: Promise<Outcome>;

  constructor(command: string, args: readonly string[], options: ChildOptions = {}) {
    this.#name = [command, ...args].join(' ');
    const stdin = options.input !== undefined || options.openStdin ? 'pipe' : 'ignore';
    const stdio: StdioOptions = [stdin, 'pipe', 'pipe'];
    this.#process = spawn(command, args, {
      stdio,
      cwd: options.cwd,
      env: { ...process.env, ...options.env },
    }) as Process;
    this.ended = this.#watch(options.limitMs ?? 20_000);
    // Whoever needs the outcome awaits it; a child that is only watched must not end the test run.
    this.ended.catch(() => {});
    // A child that does not read its input is its own business.
    this.#process.stdin?.on('error', () => {});
    if (options.input !== undefined) this.#process.stdin?.end(options.input);
  }

  get pid(): number {
    return this.#process.pid ?? -1;
  }

  get stdout(): string {
    return this.#stdout;
  }

  get stderr(): string {
    return this.#stderr;
  }

  /** Standard output as it comes; it is also kept. */
  get stdoutStream(): Readable {
    return this.#process.stdout;
  }

  get stdin(): Writable {
    if (this.#process.stdin === null) throw new Error(`${this.#name} has no standard input`);
    return this.#process.stdin;
  }

  /** Waits for output, on either stream, that matches. @throws Error when the child ends without. */
  async output(pattern: RegExp): Promise<RegExpExecArray> {
    for (;;) {
      const match = pattern.exec(this.#stdout) ?? pattern.exec(this.#stderr);
      if (match !== null) return match;
      if (this.#ended !== undefined) throw this.#failure(`ended without printing ${pattern}`);
      await new Promise<void>((woken) => {
        const watcher = (): void => {
          this.#watchers.delete(watcher);
          woken();
        };
        this.#watchers.add(watcher);
      });
    }
  }

  /** The outcome. @throws Error when the status is not 0. */
  async succeeded(): Promise<Outcome> {
    const outcome = await this.ended;
    if (outcome.status !== 0) throw this.#failure(`ended with status ${outcome.status}`);
    return outcome;
  }

  /** Ends the process and waits until it is gone. */
  async kill(signal: NodeJS.Signals = 'SIGKILL'): Promise<void> {
    if (this.#ended === undefined) this.#process.kill(signal);
    await this.ended.catch(() => {});
  }

  #watch(limitMs: number): Promise<Outcome> {
    const child = this.#process;
    const wake = (): void => {
      for (const watcher of this.#watchers) watcher();
    };
    child.stdout.setEncoding('utf8').on('data', (text: string) => {
      this.#stdout += text;
      wake();
    });
    child.stderr.setEncoding('utf8').on('data', (text: string) => {
      this.#stderr += text;
      wake();
    });
    alive.add(child);
    return new Promise((resolve, reject) => {
      const timer = setTimeout(() => {
        this.#stderr += `\n(killed after ${limitMs} ms)`;
        child.kill('SIGKILL');
      }, limitMs);
      const end = (status: number): void => {
        clearTimeout(timer);
        alive.delete(child);
        this.#ended = { stdout: this.#stdout, stderr: this.#stderr, status };
        wake();
      };
      child.once('error', (error) => {
        end(-1);
        reject(error);
      });
      child.once('close', (status) => {
        end(status ?? -1);
        resolve({ stdout: this.#stdout, stderr: this.#stderr, status: status ?? -1 });
      });
    });
  }

  #failure(what: string): Error {
    const tail = (text: string): string => text.slice(-2000).trim();
    return new Error(`${this.#name}: ${what}\n${tail(this.#stdout)}\n${tail(this.#stderr)}`.trim());
  }
}

/** Runs a command to its end. @throws Error when it fails, with its output. */
export const run = (command: string, args: readonly string[], options?: ChildOptions): Promise<Outcome> =>
  new Child(command, args, options).succeeded();

/** Whether a program is installed. */
export async function installed(program: string): Promise<boolean> {
  const { status } = await new Child('sh', ['-c', `command -v "$1"`, 'sh', program]).ended;
  return status === 0;
}
