/** Runs one of Node's tests in a process of its own, bounded in time. */
import { type ChildProcess, spawn } from 'node:child_process';
import { readFileSync } from 'node:fs';

export type Outcome = 'passed' | 'failed' | 'skipped';

export interface TestRun {
  readonly outcome: Outcome;
  /** What it printed last, or why it skipped itself. */
  readonly words: string;
  readonly ms: number;
}

export interface RunOptions {
  readonly file: string;
  /** What Node loads before the test; nothing for Node's own `net`. */
  readonly preload: string | undefined;
  /** Which of the runs at the same time this is: it has ports and a directory of its own. */
  readonly slot: number;
  readonly scratch: string;
  readonly limitMs: number;
}

/** Tests still running, to be ended with us. */
const running = new Set<ChildProcess>();
process.once('exit', () => running.forEach(endGroup));

const MAX_OUTPUT_CHARACTERS = 20_000;

export function runTest(options: RunOptions): Promise<TestRun> {
  const { file, preload, slot, scratch, limitMs } = options;
  const startedMs = performance.now();
  const flags = [...flagsOf(file), ...(preload === undefined ? [] : [`--import=${preload}`])];
  const child = spawn(process.execPath, [...flags, file], {
    cwd: scratch,
    detached: true, // so that what a test starts ends with it
    stdio: ['ignore', 'pipe', 'pipe'],
    env: {
      ...withoutOurs(process.env),
      TEST_THREAD_ID: String(slot),
      NODE_TEST_DIR: scratch,
      NODE_COMMON_PORT: String(12_346 + slot * 100),
      TUNSTACK_LOOPBACK: '1',
    },
  });
  running.add(child);
  let output = '';
  const take = (chunk: Buffer): void => {
    output = (output + chunk.toString()).slice(-MAX_OUTPUT_CHARACTERS);
  };
  child.stdout.on('data', take);
  child.stderr.on('data', take);
  return new Promise((resolve) => {
    let isOverdue = false;
    const timer = setTimeout(() => {
      isOverdue = true;
      endGroup(child);
    }, limitMs);
    child.on('close', (code, signal) => {
      clearTimeout(timer);
      endGroup(child);
      running.delete(child);
      const ms = Math.round(performance.now() - startedMs);
      const skipped = /^1\.\.0 # Skipped: (.*)$/m.exec(output);
      if (code === 0 && skipped !== null) resolve({ outcome: 'skipped', words: skipped[1], ms });
      else if (code === 0) resolve({ outcome: 'passed', words: '', ms });
      else {
        const how = isOverdue ? `not done after ${limitMs / 1000} s` : `exit ${code ?? signal}`;
        resolve({ outcome: 'failed', words: `${how}\n${output}`, ms });
      }
    });
  });
}

/** What a test wants Node to be started with: a line `// Flags: …`. */
function flagsOf(file: string): string[] {
  const [, flags] = /^\/\/ Flags: (.*)$/m.exec(readFileSync(file, 'utf8')) ?? [];
  return flags === undefined ? [] : flags.trim().split(/\s+/);
}

function withoutOurs(environment: NodeJS.ProcessEnv): NodeJS.ProcessEnv {
  const rest = { ...environment };
  for (const name of ['NODE_OPTIONS', 'NODE_V8_COVERAGE', 'TUNSTACK_STACK', 'TUNSTACK_TUN'])
    delete rest[name];
  return rest;
}

function endGroup(child: ChildProcess): void {
  if (child.pid === undefined) return;
  try {
    process.kill(-child.pid, 'SIGKILL');
  } catch {
    // Nothing of it is left.
  }
}
