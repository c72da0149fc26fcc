/**
 * Ends environments in which devices are open, in every way, and prints `whole` if this process lives to
 * tell and no descriptor is left. Argument: a network namespace; run by lifecycle.test.ts.
 */
import { readdirSync } from 'node:fs';
import { setTimeout as sleep } from 'node:timers/promises';
import { Worker } from 'node:worker_threads';
import { nativeAddon } from '../../../lib/link/tun-addon.js';

const ENDS = ['terminate', 'exit', 'throw', 'unref', 'unopened', 'closed', 'blocked', 'inside'] as const;
const ROUNDS = Number(process.argv[3] ?? 2);

const CODE = `
const { workerData, parentPort } = require('node:worker_threads');
(async () => {
  // A worker does not inherit the loader of TypeScript.
  (await import('tsx/esm/api')).register();
  const { TunDevice } = await import(workerData.tunDevice);
  const { netns, end, addon, sockets } = workerData;
  const tun = TunDevice.create({ netns, address: '10.1.0.1/24' });
  const left = TunDevice.create({ fd: sockets[0] });
  const right = TunDevice.create({ fd: sockets[1] });
  const packet = new Uint8Array(60).fill(0x45);
  const send = () => {
    const batch = left.borrow();
    if (batch === undefined) return false;
    for (let i = 0; i < 20; i++) batch.appendPacket(packet, 1);
    left.send(batch);
    return true;
  };
  if (end === 'unopened') return parentPort.postMessage('ready');
  tun.open(() => {});
  left.open(() => {});
  if (end === 'blocked') while (send());
  else right.open((batch) => { if (end === 'inside') process.exit(); send(); });
  if (end === 'closed') for (const device of [tun, left, right]) device.close();
  else if (end === 'unref') for (const device of [tun, left, right]) device.unref();
  else if (end !== 'blocked') send(); // from here on packets go round and round
  parentPort.postMessage('ready');
  if (end === 'unref' || end === 'closed' || end === 'blocked') return;
  await new Promise((resolve) => setTimeout(resolve, 10));
  if (end === 'exit') process.exit();
  if (end === 'throw') throw new Error('as planned');
})();
`;

async function runOne(end: (typeof ENDS)[number]): Promise<void> {
  const workerData = {
    tunDevice: new URL('../../../lib/link/tun-device.ts', import.meta.url).href,
    netns: process.argv[2],
    end,
    sockets: nativeAddon().socketPair(),
  };
  const worker = new Worker(CODE, { eval: true, workerData });
  worker.on('error', (error) => {
    if (error.message !== 'as planned') throw error;
  });
  const over = new Promise((resolve) => worker.once('exit', resolve));
  await new Promise((resolve, reject) => {
    worker.once('message', resolve);
    worker.once('error', reject);
    worker.once('exit', resolve);
  }).catch(() => {});
  if (end === 'terminate' || end === 'blocked' || end === 'unopened') await worker.terminate();
  await over;
}

const descriptors = (): number => readdirSync('/proc/self/fd').length;

await Promise.all(ENDS.map(runOne));
await sleep(100);
const before = descriptors();
for (let round = 0; round < ROUNDS; round++) await Promise.all(ENDS.map(runOne));
await sleep(100);
const after = descriptors();
process.stdout.write(after <= before ? 'whole\n' : `${after - before} descriptors are left\n`);
