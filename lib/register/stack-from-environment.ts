/** The stack of a process that was started with `tunstack/register`, as its environment describes it. */
import { createRequire } from 'node:module';
import { join, resolve } from 'node:path';
import { isMainThread } from 'node:worker_threads';
import { TunDevice } from '../link/tun-device.js';
import { Stack } from '../stack/stack.js';
import { SystemClock } from '../stack/system-clock.js';
import { SystemRandom } from '../stack/system-random.js';

/** Environment variables that describe the stack. */
export interface StackEnvironment {
  /**
   * A module, by path or by name, that exports a `Stack` as `stack` or by default. It may make any stack at
   * all, and excludes the other variables. It is loaded with `require`, so it must not await at its top.
   */
  readonly TUNSTACK_STACK?: string | undefined;
  /** Name of the TUN to open, made where it does not exist yet. */
  readonly TUNSTACK_TUN?: string | undefined;
  /** Addresses of the stack on it, separated by commas: `10.0.0.2/24,fd00::2/64`. */
  readonly TUNSTACK_ADDRESSES?: string | undefined;
  /** Addresses of the host's side, in the same form; none by default. */
  readonly TUNSTACK_HOST_ADDRESSES?: string | undefined;
  /** `0` when no default routes are to lead to the TUN; `1` by default. */
  readonly TUNSTACK_DEFAULT_ROUTE?: string | undefined;
  /** `1` for a stack that has nothing but its own loopback. */
  readonly TUNSTACK_LOOPBACK?: string | undefined;
}

const USAGE =
  'set TUNSTACK_STACK to a module that exports a Stack, or TUNSTACK_TUN and TUNSTACK_ADDRESSES, or TUNSTACK_LOOPBACK=1';

/**
 * The stack `environment` describes.
 * @throws Error when it describes none or two, with the variable in question; what the module or the TUN throws
 */
export function stackFromEnvironment(environment: StackEnvironment): Stack {
  const { TUNSTACK_STACK: name, TUNSTACK_TUN: tun, TUNSTACK_LOOPBACK: loopback } = environment;
  const isLoopback = readSwitch('TUNSTACK_LOOPBACK', loopback, false);
  const chosen = [name && 'TUNSTACK_STACK', tun && 'TUNSTACK_TUN', isLoopback && 'TUNSTACK_LOOPBACK'];
  const wanted = chosen.filter(Boolean);
  if (wanted.length === 0) throw problem(`no stack is described: ${USAGE}`);
  if (wanted.length > 1) throw problem(`${wanted.join(' and ')} exclude one another`);
  if (name) return stackOfModule(name);
  const addresses = readList(environment.TUNSTACK_ADDRESSES);
  if (tun && addresses.length === 0) {
    throw problem(
      'TUNSTACK_TUN needs TUNSTACK_ADDRESSES, the addresses of the stack: 10.0.0.2/24,fd00::2/64',
    );
  }
  const defaultRoute = readSwitch('TUNSTACK_DEFAULT_ROUTE', environment.TUNSTACK_DEFAULT_ROUTE, true);
  const stack = new Stack({ clock: new SystemClock(), random: new SystemRandom() });
  // Threads share their environment, but a TUN belongs to one: the others have themselves alone.
  if (!tun || !isMainThread) return stack;
  const address = readList(environment.TUNSTACK_HOST_ADDRESSES);
  stack.addLink(TunDevice.create({ name: tun, address }), { addresses, defaultRoute });
  return stack;
}

/** What a module may export: of CommonJS, `default` is all of it. */
interface Exports {
  readonly stack?: object;
  readonly default?: { readonly stack?: object };
}

function stackOfModule(name: string): Stack {
  const { isAbsolute, require, path } = resolveModule(name);
  let exported: Exports | undefined;
  try {
    exported = require(isAbsolute ? path : name) as typeof exported;
  } catch (error) {
    throw problem(`TUNSTACK_STACK, ${name}, cannot be loaded: ${explain(error)}`, error);
  }
  const candidates = [exported?.stack, exported?.default, exported?.default?.stack, exported];
  const stack = candidates.find((value) => value instanceof Stack);
  if (stack !== undefined) return stack;
  const isForeign = candidates.some((value) => value?.constructor?.name === 'Stack');
  throw problem(
    isForeign
      ? `TUNSTACK_STACK, ${name}, exports a Stack of another copy of tunstack than that of tunstack/register`
      : `TUNSTACK_STACK, ${name}, exports no Stack, neither as "stack" nor by default`,
  );
}

function resolveModule(name: string): { isAbsolute: boolean; path: string; require: NodeJS.Require } {
  const path = resolve(name);
  // Packages are looked for from where the process was started, as for `--import`.
  const require = createRequire(join(process.cwd(), 'noop.js'));
  return { isAbsolute: /^(?:\.{0,2}\/)/.test(name), path, require };
}

function explain(error: unknown): string {
  const { code, message } = error as NodeJS.ErrnoException;
  if (code === 'ERR_REQUIRE_ASYNC_MODULE') {
    return 'it awaits at its top; export the stack at once, and add links to it when they are ready';
  }
  return message ?? String(error);
}

const readList = (value: string | undefined): string[] =>
  (value ?? '')
    .split(',')
    .map((item) => item.trim())
    .filter((item) => item !== '');

function readSwitch(name: string, value: string | undefined, fallback: boolean): boolean {
  if (value === undefined || value === '') return fallback;
  if (value !== '0' && value !== '1') throw problem(`${name} is 0 or 1, not ${value}`);
  return value === '1';
}

const problem = (message: string, cause?: unknown): Error =>
  new Error(`tunstack/register: ${message}`, cause === undefined ? {} : { cause });
