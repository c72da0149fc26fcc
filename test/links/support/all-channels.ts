/**
 * A process that makes every kind of channel, says something over it by TCP, and closes everything. That it ends by
 * itself is what it is for.
 */
import { Stack, SystemClock, SystemRandom } from '../../../lib/index.js';
import { CHANNELS } from '../channels.js';

const random = new SystemRandom();

for (const [name, make] of Object.entries(CHANNELS)) {
  for (const first of ['client', 'server']) {
    const clock = new SystemClock();
    const ends = await make(clock, 1400);
    const client = new Stack({ clock, random });
    const server = new Stack({ clock, random });
    client.addLink(ends.a, { addresses: ['10.0.0.1/24'] });
    server.addLink(ends.b, { addresses: ['10.0.0.2/24'] });
    const listener = server.streams.listen({ port: 7 });
    const connection = client.streams.connect({ host: '10.0.0.2', port: 7 });
    const accepted = await listener.accept();
    const writer = connection.writable.getWriter();
    await writer.write(new TextEncoder().encode(name));
    await writer.close();
    const heard = await new Response(accepted?.readable).text();
    if (heard !== name) throw new Error(`heard ${heard} instead of ${name}`);
    // In the middle of a connection, and whichever side goes first.
    const [near, far] = first === 'client' ? [client, server] : [server, client];
    near.close();
    far.close();
    await ends.close();
  }
}
console.log('all closed');
