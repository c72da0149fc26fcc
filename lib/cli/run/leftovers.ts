/** What a program leaves running in its namespace: its network ends with us, and it would hold the namespace. */
import { readdirSync, readlinkSync } from 'node:fs';
import { setTimeout as pause } from 'node:timers/promises';

/** How long they may take to end when they are asked to, and how often it is looked, ms. */
const PATIENCE_MS = 1000;
const LOOK_MS = 20;

/** Ends all other processes in the network namespace of `holder`: asks them to, then makes them. */
export async function endLeftovers(holder: number): Promise<void> {
  const place = namespaceOf(holder);
  if (place === undefined || place === namespaceOf('self')) return;
  for (let waitedMs = 0; waitedMs <= PATIENCE_MS; waitedMs += LOOK_MS) {
    const left = processesIn(place).filter((pid) => pid !== holder);
    if (left.length === 0) return;
    // The last word is for those who do not listen, and for what they have started meanwhile.
    const signal = waitedMs === 0 ? 'SIGTERM' : waitedMs + LOOK_MS > PATIENCE_MS ? 'SIGKILL' : 0;
    for (const pid of left) send(pid, signal);
    await pause(LOOK_MS);
  }
}

function processesIn(place: string): number[] {
  return readdirSync('/proc')
    .filter((name) => /^\d+$/.test(name) && namespaceOf(name) === place)
    .map(Number);
}

/** `net:[4026531840]`; undefined for what has ended, or is not ours to look at. */
function namespaceOf(pid: number | string): string | undefined {
  try {
    return readlinkSync(`/proc/${pid}/ns/net`);
  } catch {
    return undefined;
  }
}

function send(pid: number, signal: NodeJS.Signals | 0): void {
  try {
    process.kill(pid, signal);
  } catch {
    // It has just ended.
  }
}
