/** What each thread of `many-cores.ts` does with its part of the stack. */
import type { ShardContext } from 'tunstack';

/** Called once in each thread. The same port in all of them is one listener to everybody else. */
export function serve({ stack, index, workerData }: ShardContext): () => void {
  const { greeting } = workerData as { greeting: string };
  const server = stack.net.createServer((socket) => {
    socket.end(`${greeting} ${index}`);
  });
  server.listen(7000);
  // Called at the end, and waited for.
  return () => {
    server.close();
  };
}
