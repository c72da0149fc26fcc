/** Tells a story over Node's own sockets: `tell.ts <module> <export> <host>`. */
import net from 'node:net';
import { createInterface } from 'node:readline';
import type { NetModule } from '../../../lib/net/net.js';
import { type Scene, STOP, type Story } from './scene.js';

const [, , module, name, host] = process.argv;
const stories = (await import(module)) as Record<string, Story>;
const scene: Scene = {
  net: net as unknown as NetModule,
  host,
  async stopServer() {
    const lines = createInterface(process.stdin);
    const answered = new Promise((resolve) => lines.once('line', resolve));
    process.stdout.write(`${STOP}\n`);
    await answered;
    lines.close();
  },
};
const told = await stories[name](scene);
process.stdout.write(`\n${JSON.stringify(told)}\n`, () => process.exit());
