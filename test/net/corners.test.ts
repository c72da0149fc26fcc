/** Corners of sockets and servers that few programs come to, beside `node:net`. */
import { once } from 'node:events';
import { listen } from './support/recording.js';
import { sameAsNode } from './support/scenario.js';

describe('net: corners', () => {
  sameAsNode('the properties of errors come in the order in which they are printed', async (world) => {
    const server = world.server.createServer();
    const port = await listen(server, world.host);
    const second = world.server.createServer();
    second.listen(port, world.host);
    const [taken] = (await once(second, 'error')) as [Error];
    server.close();
    await once(server, 'close');
    const socket = world.client.connect(port, world.host);
    const [refused] = (await once(socket, 'error')) as [Error];
    return [Object.keys(taken), Object.keys(refused)];
  });
});
