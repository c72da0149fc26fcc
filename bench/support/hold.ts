/**
 * Many connections held open, from as many processes and source addresses as that takes: one process may
 * hold only some 20,000 descriptors, and one address has only as many ports.
 */
import type { Child } from '../../test/support/child.js';
import { compiled } from './compile.js';
import { type LoadJob, load, perSecond } from './load.js';
import { cpuSecondsPerPacket } from './process-cost.js';
import type { IdleResult } from './results.js';
import type { RunningTarget } from './target.js';

/** Connections of one client process. */
const EACH_PROCESS = 16_000;
/** Connections are given this long to come and go; 100,000 take a while on a busy machine. */
const SETTLE_LIMIT_MS = 60_000;

const pause = (milliseconds: number): Promise<void> =>
  new Promise((resolve) => setTimeout(resolve, milliseconds));

export interface HeldConnections {
  readonly openSeconds: number;
  readonly heapBytesEach?: number;
  readonly residentBytesEach: number;
  /** Sends a byte on each and waits for its echo; once. */
  ask(): Promise<{ answered: number; seconds: number }>;
  close(): Promise<void>;
}

/** How many connections each process opens. */
export function sharesOf(count: number): number[] {
  const processes = Math.ceil(count / EACH_PROCESS);
  return Array.from({ length: processes }, (_, i) => Math.floor((count + i) / processes));
}

/** Waits until the server counts as many connections as wanted. @throws Error when it never does */
async function untilConnections(
  { connections }: RunningTarget,
  isWanted: (connections: number) => boolean,
): Promise<void> {
  const limit = Date.now() + SETTLE_LIMIT_MS;
  for (;;) {
    const now = await connections?.();
    if (now === undefined || isWanted(now)) return;
    if (Date.now() > limit) throw new Error(`the server is left with ${now} connections`);
    await pause(50);
  }
}

/** Opens `count` connections to the echo service and looks at the server's memory before and after. */
export async function holdConnections(target: RunningTarget, count: number): Promise<HeldConnections> {
  // Connections of the measurement before may still be closing.
  await untilConnections(target, (connections) => connections === 0);
  const before = await target.memory?.();
  const residentBefore = target.residentBytes();
  const shares = sharesOf(count);
  const addresses = shares.length > 1 ? await target.addClientAddresses(shares.length) : [];
  const program = await compiled('load');
  const clients = shares.map((share, i) => {
    const source = shares.length > 1 ? [addresses[i]] : [];
    return target.startClient(program, ['hold', target.address, '0', String(share), '1', ...source]);
  });
  try {
    const opened = await Promise.all(clients.map((client) => client.output(/"count".*"seconds": ([\d.]+)/)));
    await untilConnections(target, (connections) => connections >= count);
    await pause(SETTLE_MS);
    const after = await target.memory?.();
    return {
      openSeconds: Math.max(...opened.map((match) => Number(match[1]))),
      residentBytesEach: (target.residentBytes() - residentBefore) / count,
      ...(before === undefined || after === undefined ? {} : { heapBytesEach: (after - before) / count }),
      ask: () => askAll(clients),
      close: () => endAll(clients),
    };
  } catch (error) {
    await endAll(clients);
    throw error;
  }
}

async function askAll(clients: readonly Child[]): Promise<{ answered: number; seconds: number }> {
  const answers = await Promise.all(
    clients.map(async (client) => {
      client.stdin.write('?');
      const [report] = await client.output(/{"answered"[^}]*}/);
      return JSON.parse(report) as { answered: number; seconds: number };
    }),
  );
  return {
    answered: answers.reduce((sum, { answered }) => sum + answered, 0),
    seconds: Math.max(...answers.map(({ seconds }) => seconds)),
  };
}

async function endAll(clients: readonly Child[]): Promise<void> {
  for (const client of clients) client.stdin.end();
  await Promise.all(clients.map((client) => client.ended));
}

/** Nothing happens for this long while the idle server is watched. */
const QUIET_MS = 1000;
/** Connections just opened or answered are at rest after this: timers have run out, memory was given back. */
const SETTLE_MS = 3500;
const ONE_BUSY: LoadJob = { mode: 'msg', count: 1 };

export interface IdlePlan {
  readonly count: number;
  readonly seconds: number;
  /** How long the busy connection runs before it counts, s. */
  readonly warmUpSeconds: number;
}

/** Holds `count` connections, has each answer, and measures one that is busy beside them. */
export async function measureIdle(
  target: RunningTarget,
  name: string,
  { count, seconds, warmUpSeconds }: IdlePlan,
): Promise<IdleResult> {
  const held = await holdConnections(target, count);
  try {
    const { answered, seconds: answerSeconds } = await held.ask();
    if (warmUpSeconds > 0) await load(target, warmUpSeconds, ONE_BUSY);
    await pause(SETTLE_MS);
    const quiet = target.counters();
    await pause(QUIET_MS);
    const start = target.counters();
    const report = await load(target, seconds, ONE_BUSY);
    const cpuSeconds = cpuSecondsPerPacket(start, target.counters());
    return {
      target: name,
      connections: count,
      answered,
      openSeconds: held.openSeconds,
      answerSeconds,
      ...(held.heapBytesEach === undefined ? {} : { heapBytesEach: held.heapBytesEach }),
      residentBytesEach: held.residentBytesEach,
      idleCpuSeconds: start.cpuSeconds - quiet.cpuSeconds,
      busyPerSecond: perSecond(report),
      busyCpuNsPerPacket: cpuSeconds * 1e9,
    };
  } finally {
    await held.close();
  }
}
