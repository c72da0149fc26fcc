/** A headless Chromium of the system's, spoken to over a pipe: nothing is downloaded, and no port is opened. */
import { type ChildProcess, spawn } from 'node:child_process';
import { once } from 'node:events';
import { existsSync, mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { delimiter, join } from 'node:path';
import type { Readable, Writable } from 'node:stream';
import { Unavailable } from '../support/skip.js';

const PROGRAMS = ['chromium', 'chromium-browser', 'google-chrome'];
/** How long anything may take that the browser is asked. */
const LIMIT_MS = 60_000;

interface Reply {
  readonly id?: number;
  readonly result?: unknown;
  readonly error?: { readonly message: string };
  /** Of an event. */
  readonly method?: string;
  readonly sessionId?: string;
}

interface Evaluated {
  readonly result: { readonly value?: unknown };
  readonly exceptionDetails?: {
    readonly exception?: { readonly description?: string };
    readonly text: string;
  };
}

export class Chromium {
  readonly #process: ChildProcess;
  readonly #profile: string;
  readonly #commands: Writable;
  readonly #waiting = new Map<number, { done: (result: unknown) => void; failed: (error: Error) => void }>();
  /** Told when the page of a session is loaded. */
  readonly #loading = new Map<string, () => void>();
  #lastId = 0;
  #text = '';
  #stderr = '';

  private constructor(program: string) {
    this.#profile = mkdtempSync(join(tmpdir(), 'tunstack-chromium-'));
    // Its sandbox cannot be had as root, nor in most containers; the only page it sees is ours.
    const args = [
      '--headless',
      '--no-sandbox',
      '--disable-gpu',
      '--disable-dev-shm-usage',
      '--disable-background-networking',
      '--disable-component-update',
      '--no-first-run',
      '--remote-debugging-pipe',
      `--user-data-dir=${this.#profile}`,
      'about:blank',
    ];
    // A group of its own, so that its helpers end with it.
    this.#process = spawn(program, args, {
      stdio: ['ignore', 'ignore', 'pipe', 'pipe', 'pipe'],
      detached: true,
      env: { ...process.env, HOME: this.#profile, XDG_CONFIG_HOME: this.#profile },
    });
    this.#commands = this.#process.stdio[3] as Writable;
    this.#commands.on('error', () => {});
    (this.#process.stdio[4] as Readable).setEncoding('utf8').on('data', (text: string) => this.#hear(text));
    this.#process.stderr?.setEncoding('utf8').on('data', (text: string) => {
      this.#stderr = (this.#stderr + text).slice(-4000);
    });
    this.#process.once('exit', () => this.#fail('ended'));
    this.#process.once('error', (error) => this.#fail(error.message));
    process.once('exit', this.#kill);
  }

  /** @throws Unavailable where there is none, or it does not start */
  static async start(): Promise<Chromium> {
    const program = PROGRAMS.find(isInstalled);
    if (program === undefined) throw new Unavailable(`none of ${PROGRAMS.join(', ')} is installed`);
    const browser = new Chromium(program);
    try {
      await browser.#ask('Browser.getVersion');
    } catch (error) {
      await browser.close();
      throw new Unavailable(`${program} does not start here: ${(error as Error).message}`);
    }
    return browser;
  }

  /** Opens a page and waits for what an expression in it promises. @throws Error with what it threw */
  async evaluate(url: string, expression: string): Promise<unknown> {
    const { targetId } = (await this.#ask('Target.createTarget', { url: 'about:blank' })) as {
      targetId: string;
    };
    const attach = { targetId, flatten: true };
    const { sessionId } = (await this.#ask('Target.attachToTarget', attach)) as { sessionId: string };
    await this.#ask('Page.enable', {}, sessionId);
    // Its scripts, which are not deferred, have run by then.
    const loaded = new Promise<void>((done) => {
      this.#loading.set(sessionId, done);
    });
    await this.#ask('Page.navigate', { url }, sessionId);
    await loaded;
    const value = await this.#run(sessionId, expression);
    await this.#ask('Target.closeTarget', { targetId });
    return value;
  }

  async #run(sessionId: string, expression: string): Promise<unknown> {
    const parameters = { expression, awaitPromise: true, returnByValue: true };
    const { result, exceptionDetails } = (await this.#ask(
      'Runtime.evaluate',
      parameters,
      sessionId,
    )) as Evaluated;
    if (exceptionDetails === undefined) return result.value;
    throw new Error(exceptionDetails.exception?.description ?? exceptionDetails.text);
  }

  /** Ends it, and removes what it wrote. */
  async close(): Promise<void> {
    const { exitCode, signalCode } = this.#process;
    if (this.#process.pid !== undefined && exitCode === null && signalCode === null) {
      const ended = once(this.#process, 'exit');
      this.#ask('Browser.close').catch(() => {});
      const timer = setTimeout(this.#kill, 5000);
      await ended;
      clearTimeout(timer);
    }
    this.#kill();
    process.off('exit', this.#kill);
    rmSync(this.#profile, { recursive: true, force: true, maxRetries: 10, retryDelay: 100 });
  }

  readonly #kill = (): void => {
    const { pid } = this.#process;
    if (pid === undefined) return;
    try {
      process.kill(-pid, 'SIGKILL');
    } catch {
      // All of them have ended.
    }
  };

  #ask(method: string, params: object = {}, sessionId?: string): Promise<unknown> {
    const id = ++this.#lastId;
    return new Promise((resolve, reject) => {
      const timer = setTimeout(() => failed(new Error(`no answer to ${method}\n${this.#stderr}`)), LIMIT_MS);
      const done = (result: unknown): void => {
        clearTimeout(timer);
        resolve(result);
      };
      const failed = (error: Error): void => {
        clearTimeout(timer);
        this.#waiting.delete(id);
        reject(error);
      };
      this.#waiting.set(id, { done, failed });
      const session = sessionId === undefined ? {} : { sessionId };
      this.#commands.write(`${JSON.stringify({ id, method, params, ...session })}\0`);
    });
  }

  #hear(text: string): void {
    const messages = (this.#text + text).split('\0');
    this.#text = messages.pop() ?? '';
    for (const message of messages) {
      const { id = 0, result, error, method, sessionId = '' } = JSON.parse(message) as Reply;
      if (method === 'Page.loadEventFired') this.#loading.get(sessionId)?.();
      const waiting = this.#waiting.get(id);
      this.#waiting.delete(id);
      if (error === undefined) waiting?.done(result);
      else waiting?.failed(new Error(error.message));
    }
  }

  #fail(what: string): void {
    for (const { failed } of this.#waiting.values())
      failed(new Error(`the browser ${what}\n${this.#stderr}`));
    this.#waiting.clear();
  }
}

function isInstalled(program: string): boolean {
  const places = (process.env.PATH ?? '').split(delimiter);
  return places.some((place) => existsSync(join(place, program)));
}
