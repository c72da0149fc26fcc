/** A thread that fails as soon as somebody connects to its port 666. */
import type { WorkerStackContext } from '../../../lib/remote/worker.js';

export function setup({ stack, workerData }: WorkerStackContext): void {
  const listener = stack.listenTcp({ port: 666 });
  listener.onConnection = () => {
    throw new Error(String(workerData));
  };
}
