/** The page: two workers with a stack each, and a channel between them. Its outcome is a promise of the page's. */
import type { PacketPort } from '../../../lib/browser.js';
import type { Report, Start, TalkReport } from './protocol.js';

interface PageWorker {
  addEventListener(type: 'message', listener: (event: { data: Report }) => void): void;
  addEventListener(type: 'error', listener: (event: { message: string }) => void): void;
  postMessage(message: Start, transfer?: readonly unknown[]): void;
}

declare const Worker: new (url: string) => PageWorker;

const BYTES = 8 << 20;

(globalThis as { outcome?: Promise<TalkReport> }).outcome = new Promise((settled, failed) => {
  const channel = new MessageChannel();
  const server = new Worker('/stack-worker.js');
  const client = new Worker('/stack-worker.js');
  const begin = (worker: PageWorker, role: 'server' | 'client', port: unknown): void =>
    worker.postMessage({ role, port: port as PacketPort, bytes: BYTES }, [port]);
  for (const worker of [server, client]) {
    worker.addEventListener('error', (event) => failed(new Error(event.message)));
    worker.addEventListener('message', ({ data }) => {
      if (data.kind === 'listening') begin(client, 'client', channel.port2);
      else if (data.kind === 'done') server.postMessage({ role: 'close' });
      else if (data.kind === 'report') settled(data);
      else failed(new Error(data.message));
    });
  }
  begin(server, 'server', channel.port1);
});
