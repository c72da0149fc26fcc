/** Sends back what it receives, on the kernel's side: `echo-server.mjs <address>`. Prints its port. */
import { createServer } from 'node:net';

const [address] = process.argv.slice(2);
const server = createServer({ allowHalfOpen: true }, (socket) => {
  socket.on('error', () => {});
  socket.pipe(socket);
});
server.listen({ host: address, port: 0, backlog: 4096 }, () => {
  process.stdout.write(`listening on port ${server.address().port}\n`);
});
