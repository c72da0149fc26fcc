/** What each shard of the tests does: echo on port 7, say its number on port 8, connect for whoever asks on port 9. */
import type { Socket } from 'node:net';
import type { ShardContext } from '../../../lib/shard/worker.js';

export async function serve({ stack, index, workerData }: ShardContext): Promise<() => Promise<void>> {
  const { onlyOn } = (workerData ?? {}) as { onlyOn?: number };
  const { net, dgram } = stack;
  const servers = [
    net.createServer({ allowHalfOpen: true }, (socket) => void socket.pipe(socket)).listen(7),
    net.createServer((socket) => void socket.end(String(index))).listen(8),
    net.createServer({ allowHalfOpen: true }, (socket) => relay(socket)).listen(9),
  ];
  const udp = dgram.createSocket('udp4', (message, { port, address }) => {
    if (message.toString() === 'die') throw new Error(`shard ${index} was told to die`);
    udp.send(`${index}`, port, address);
  });
  udp.bind(7);
  if (onlyOn === index) servers.push(net.createServer((socket) => void socket.end(String(index))).listen(10));

  /** A port of the kernel's, then what is sent there and comes back. */
  function relay(socket: Socket): void {
    socket.once('data', (port) => {
      const far = net.connect({ port: Number(port), host: '10.9.0.1', allowHalfOpen: true }, () => {
        socket.write('k');
      });
      socket.pipe(far).pipe(socket);
      far.on('error', () => socket.destroy());
    });
    socket.on('error', () => {});
  }

  return async () => {
    udp.close();
    await Promise.all(servers.map((server) => new Promise((closed) => server.close(closed))));
  };
}
