/**
 * The same story told twice: over a stack's sockets in this process, and over Node's own in a process on
 * the server's side. What the client reports, errors included, must be the same.
 */
import { fileURLToPath } from 'node:url';
import { expect } from 'chai';
import type { Child } from '../../support/child.js';
import { type InteropBed, KERNEL } from '../../support/interop.js';
import { STOP, STOPPED, type Story } from '../clients/scene.js';

const TELLER = fileURLToPath(new URL('../clients/tell.ts', import.meta.url));

/** Tells a story twice, each time with a server of its own. @returns what happened, when it was the same */
export async function toldAlike(
  bed: InteropBed,
  tale: { story: Story; module: string; name: string },
  start: () => Promise<Child>,
): Promise<unknown> {
  const server = await start();
  let ours: unknown;
  try {
    ours = await tale.story({ net: bed.net, host: KERNEL[4], stopServer: () => server.kill() });
  } finally {
    await server.kill();
  }
  const theirs = await toldByNode(bed, tale, await start());
  expect(ours).to.deep.equal(theirs);
  return ours;
}

async function toldByNode(
  bed: InteropBed,
  { module, name }: { module: string; name: string },
  server: Child,
): Promise<unknown> {
  const args = ['--import=tsx', TELLER, module, name, KERNEL[4]];
  const teller = bed.namespace.spawn(process.execPath, args, { openStdin: true, limitMs: 60_000 });
  try {
    const stop = teller.output(new RegExp(STOP)).then(async () => {
      await server.kill();
      teller.stdin.end(`${STOPPED}\n`);
    });
    // A story that leaves the server alone never asks.
    stop.catch(() => {});
    const { stdout } = await teller.succeeded();
    return JSON.parse(stdout.trim().split('\n').at(-1) ?? '');
  } finally {
    await teller.kill();
    await server.kill();
  }
}
