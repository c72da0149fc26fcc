/**
 * A stack on several cores: one thread each, behind one TUN with a queue for each, all with the same addresses.
 * The kernel spreads connections over them; each is served by the thread it came to.
 *
 *     sudo npx tsx examples/many-cores.ts [threads]
 *
 * It makes the TUN in the network it is started in, with the addresses 10.97.0.1 (kernel) and 10.97.0.2 (stack).
 */
import { once } from 'node:events';
import { connect } from 'node:net';
import { createShardedStack } from 'tunstack';

const shards = Number(process.argv[2] ?? 2);
const stack = await createShardedStack({
  // What each thread does is in a module of its own: JavaScript, as threads of Node 20 have no loader for TypeScript.
  module: new URL('./many-cores-shard.mjs', import.meta.url),
  workerData: { greeting: 'hello from thread' },
  shards,
  tun: { address: '10.97.0.1/24' },
  addresses: ['10.97.0.2/24'],
  defaultRoute: true,
});
stack.on('death', ({ shard, error }) => console.log(`thread ${shard} has ended: ${error?.message}`));
console.log(`${stack.shards} threads share one interface`);

/** What the kernel's side reads. */
async function ask(): Promise<string> {
  let text = '';
  const socket = connect(7000, '10.97.0.2').setEncoding('utf8');
  socket.on('data', (piece: string) => (text += piece));
  await once(socket, 'end');
  return text;
}

const answers = new Set(await Promise.all(Array.from({ length: 100 }, ask)));
for (const answer of [...answers].sort()) console.log(answer);

const { stack: all, shard } = await stack.stats();
console.log(
  `${(all.tcp as { passiveOpens: number }).passiveOpens} connections, ${shard.handedOver} packets handed over`,
);
await stack.close();
