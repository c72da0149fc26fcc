/** What each thread of `many-cores.ts` does with its part of the stack. */

/**
 * Called once in each thread. The same port in all of them is one listener to everybody else.
 * @param {import('tunstack').ShardContext} context
 */
export function serve({ stack, index, workerData }) {
  const server = stack.net.createServer((socket) => {
    socket.end(`${workerData.greeting} ${index}`);
  });
  server.listen(7000);
  // Called at the end, and waited for.
  return () => {
    server.close();
  };
}
