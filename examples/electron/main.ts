/**
 * An Electron application whose window lives on a private network: `fetch('stack://10.0.0.2/…')` in the
 * window becomes HTTP over the TCP of a stack in a utility process.
 *
 *     npm install --no-save electron && npm run build:js
 *     npx esbuild examples/electron/{main,stack-process}.ts --outdir=electron-out --format=esm
 *     npx electron electron-out/main.js
 *
 * This is the main process. It only carries requests to the process with the stack, and answers back.
 */
import { fileURLToPath } from 'node:url';
import { app, BrowserWindow, protocol, type UtilityProcess, utilityProcess } from 'electron';
import type { FetchCancel, FetchReply, FetchRequest } from './messages.js';

/** An answer under way. */
interface Pending {
  settle(response: Response): void;
  fail(error: Error): void;
  /** Where chunks of the body go, once its head has come. */
  body: ReadableStreamDefaultController<Uint8Array> | undefined;
}

/** Status codes whose answer has no body. */
const NO_BODY: ReadonlySet<number> = new Set([101, 204, 205, 304]);

class StackClient {
  readonly #process: UtilityProcess;
  readonly #pending = new Map<number, Pending>();
  #lastId = 0;
  /** Why nothing is answered any more; '' while it is. */
  #problem = '';

  constructor(process: UtilityProcess) {
    this.#process = process;
    process.on('message', (message) => this.#hear(message as FetchReply));
    process.once('exit', (code) => {
      this.#problem = `the process with the stack ended: ${code}`;
      for (const id of this.#pending.keys()) this.#fail(id, this.#problem);
    });
  }

  async fetch(request: Request): Promise<Response> {
    const id = ++this.#lastId;
    const body = request.body === null ? undefined : new Uint8Array(await request.arrayBuffer());
    const headers: Record<string, string> = {};
    request.headers.forEach((value, name) => {
      headers[name] = value;
    });
    const { url, method, signal } = request;
    if (this.#problem !== '') throw new Error(this.#problem);
    signal.throwIfAborted();
    signal.addEventListener('abort', () => this.#cancel(id));
    return new Promise((settle, fail) => {
      this.#pending.set(id, { settle, fail, body: undefined });
      this.#process.postMessage({ id, url, method, headers, body } satisfies FetchRequest);
    });
  }

  #hear(reply: FetchReply): void {
    const pending = this.#pending.get(reply.id);
    if (pending === undefined) return; // the window has lost interest
    switch (reply.kind) {
      case 'head': {
        const stream = new ReadableStream<Uint8Array>({
          start: (controller) => {
            pending.body = controller;
          },
          cancel: () => this.#cancel(reply.id),
        });
        const { status, headers } = reply;
        try {
          pending.settle(new Response(NO_BODY.has(status) ? null : stream, { status, headers }));
        } catch (error) {
          // A status that HTTP does not have.
          pending.fail(error as Error);
          this.#cancel(reply.id);
        }
        break;
      }
      case 'chunk':
        pending.body?.enqueue(reply.bytes);
        break;
      case 'end':
        pending.body?.close();
        this.#pending.delete(reply.id);
        break;
      case 'error':
        this.#fail(reply.id, reply.message);
        break;
    }
  }

  #cancel(id: number): void {
    if (!this.#pending.has(id)) return;
    this.#fail(id, 'nobody waits for it any more');
    this.#process.postMessage({ id, isCancelled: true } satisfies FetchCancel);
  }

  #fail(id: number, message: string): void {
    const pending = this.#pending.get(id);
    this.#pending.delete(id);
    if (pending?.body === undefined) pending?.fail(new Error(message));
    else pending.body.error(new Error(message));
  }
}

// A scheme of its own, with an origin like that of https, so that pages may fetch from it.
protocol.registerSchemesAsPrivileged([
  { scheme: 'stack', privileges: { standard: true, secure: true, supportFetchAPI: true, stream: true } },
]);
await app.whenReady();
const process = utilityProcess.fork(fileURLToPath(new URL('stack-process.js', import.meta.url)), [], {
  serviceName: 'tunstack',
});
const client = new StackClient(process);
protocol.handle('stack', (request) => client.fetch(request));
app.on('window-all-closed', () => {
  process.kill();
  app.quit();
});
await new BrowserWindow({ width: 640, height: 320, title: 'tunstack' }).loadURL('stack://10.0.0.2/');
