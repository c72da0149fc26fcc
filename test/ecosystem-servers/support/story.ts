/**
 * The same story told twice: over a stack's sockets in this process, and over Node's own in a process on
 * the server's side. What the client reports, errors included, must be the same.
 */
import { fileURLToPath } from 'node:url';
import { expect } from 'chai';
import type { Child } from '../../support/child.js';
import { type InteropBed, KERNEL } from '../../support/interop.js';
import { STOP, STOPPED, type Story } from '../clients/scene.js';
import { processOver } from './registered.js';

const TELLER = fileURLToPath(new URL('../clients/tell.ts', import.meta.url));

/** Where a story is, for the process that tells it. */
interface Told {
  readonly module: string;
  readonly name: string;
}

/** Tells a story twice, each time with a server of its own. @returns what happened, when it was the same */
export async function toldAlike(
  bed: InteropBed,
  tale: Told & { readonly story: Story },
  start: () => Promise<Child>,
): Promise<unknown> {
  const server = await start();
  let ours: unknown;
  try {
    ours = await tale.story({ net: bed.net, host: KERNEL[4], stopServer: () => server.kill() });
  } finally {
    await server.kill();
  }
  const theirs = await toldByProcess(bed, { ...tale, over: 'kernel' }, await start());
  expect(ours).to.deep.equal(theirs);
  return ours;
}

/** As `toldAlike`, for packages without a hook: first in a process with `tunstack/register`. */
export async function registeredToldAlike(
  bed: InteropBed,
  tale: Told,
  start: () => Promise<Child>,
): Promise<unknown> {
  const ours = await toldByProcess(bed, { ...tale, over: 'stack' }, await start());
  const theirs = await toldByProcess(bed, { ...tale, over: 'kernel' }, await start());
  expect(ours).to.deep.equal(theirs);
  return ours;
}

async function toldByProcess(
  bed: InteropBed,
  { module, name, over }: Told & { readonly over: 'stack' | 'kernel' },
  server: Child,
): Promise<unknown> {
  const { flags, env } = processOver(over);
  const args = [...flags, TELLER, module, name, KERNEL[4]];
  const teller = bed.namespace.spawn(process.execPath, args, { openStdin: true, limitMs: 60_000, env });
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
