/**
 * Plays Electron for `examples/electron/main.ts`: the process with the stack is a forked one, and the window fetches a
 * few things as a page would, says what it got, and ends everything.
 */
import { type ChildProcess, fork } from 'node:child_process';

type Handler = (request: Request) => Response | Promise<Response>;

let handler: Handler = () => Response.error();
let child: ChildProcess;

/** What Electron gives a utility process, over the channel that Node gives a forked one. */
const PARENT_PORT = `process.parentPort = {
  postMessage: (message) => process.send(message),
  on: (event, listener) => process.on(event, (data) => listener({ data })),
};`;

export const app = {
  whenReady: async (): Promise<void> => {},
  on: (): void => {},
  quit: (): void => {},
};

export const protocol = {
  registerSchemesAsPrivileged: (): void => {},
  handle: (_scheme: string, given: Handler): void => {
    handler = given;
  },
};

export const utilityProcess = {
  fork: (path: string) => {
    const shim = `data:text/javascript,${encodeURIComponent(PARENT_PORT)}`;
    child = fork(path.replace(/\.js$/, '.ts'), {
      execArgv: ['--import', 'tsx', '--import', shim],
      serialization: 'advanced',
    });
    return {
      postMessage: (message: object) => void (child.connected && child.send(message)),
      on: child.on.bind(child),
      once: child.once.bind(child),
      kill: () => child.kill(),
    };
  },
};

const tell = (what: string, outcome: unknown): void => console.log(`${what}: ${String(outcome)}`);
const failure = (error: Error): string => error.message;

export class BrowserWindow {
  async loadURL(url: string): Promise<void> {
    const ask = async (path: string, init: RequestInit = {}): Promise<Response> =>
      handler(new Request(new URL(path, url), init));
    const page = await ask('/');
    tell('page', `${page.status} ${page.headers.get('content-type')}`);
    tell('body', /<h1>(.*)<\/h1>/.exec(await page.text())?.[1]);
    tell('refused', await ask('stack://10.0.0.2:81/').catch(failure));
    const leaving = new AbortController();
    const lost = ask('stack://10.0.0.99/', { signal: leaving.signal }).catch(failure);
    setImmediate(() => leaving.abort());
    tell('left', await lost);
    const waiting = ask('stack://10.0.0.99/').catch(failure);
    setImmediate(() => child.kill());
    tell('broken off', await waiting);
    tell('afterwards', await ask('/').catch(failure));
  }
}
