/**
 * A network namespace for one test or suite. A small process inside holds it, so it lives exactly as long
 * as that process, whose standard input is ours: nothing is left behind even when the test run dies.
 */
import type { Context } from 'mocha';
import { Child, type ChildOptions, type Outcome, run } from './child.js';
import { skipOn, Unavailable } from './skip.js';

/** Longer than any group of tests may take. */
const HOLDER_LIMIT_MS = 20 * 60_000;

const HOLDER = ['--', 'sh', '-c', 'ip link set lo up && echo ready && exec cat'];
const HOLDER_OPTIONS = { openStdin: true, limitMs: HOLDER_LIMIT_MS };

const isRoot = (): boolean => process.getuid?.() === 0;

/** A process inside, with which the namespace ends. */
interface Holder {
  readonly pid: number;
  end(): Promise<unknown>;
}

export class TestNamespace {
  readonly #holder: Holder;
  readonly #children = new Set<Child>();

  private constructor(holder: Holder) {
    this.#holder = holder;
  }

  /** A namespace made elsewhere, by this user, which ends with what `end` does. */
  static around(pid: number, end: () => Promise<unknown>): TestNamespace {
    return new TestNamespace({ pid, end });
  }

  /**
   * Makes a namespace with its loopback up: as root a network namespace, else a user namespace around it.
   * @throws Unavailable where this user cannot make one.
   */
  static async create(): Promise<TestNamespace> {
    const flags = isRoot() ? ['--net'] : ['--user', '--map-root-user', '--net'];
    return TestNamespace.#held(new Child('unshare', [...flags, ...HOLDER], HOLDER_OPTIONS));
  }

  /** Another one, which a pair of links can join to this one. It ends with it at the latest. */
  neighbour(): Promise<TestNamespace> {
    return TestNamespace.#held(this.spawn('unshare', ['--net', ...HOLDER], HOLDER_OPTIONS));
  }

  static async #held(holder: Child): Promise<TestNamespace> {
    try {
      await holder.output(/ready/);
    } catch (error) {
      await holder.kill();
      throw new Unavailable(`no network namespace of our own: ${(error as Error).message}`);
    }
    return TestNamespace.around(holder.pid, () => {
      holder.stdin.end();
      return holder.ended;
    });
  }

  /** As `create`, and skips the test or suite whose `this` is given where that is impossible. */
  static createOrSkip(context: Context): Promise<TestNamespace> {
    return skipOn(context, () => TestNamespace.create());
  }

  /** Id of the process that holds it, for `ip link … netns`. */
  get pid(): number {
    return this.#holder.pid;
  }

  /** The namespace as a file. Other processes can enter it as root, or as children of `spawn`. */
  get path(): string {
    return `/proc/${this.pid}/ns/net`;
  }

  /** A command line that runs the given one inside. */
  commandLine(command: string, args: readonly string[]): [command: string, args: string[]] {
    const pid = String(this.pid);
    const enter = isRoot()
      ? ['--target', pid, '--net']
      : ['--target', pid, '--user', '--net', '--preserve-credentials'];
    return ['nsenter', [...enter, '--', command, ...args]];
  }

  /** Runs a command inside to its end. @throws Error when it fails, with its output. */
  exec(command: string, args: readonly string[] = [], options?: ChildOptions): Promise<Outcome> {
    return run(...this.commandLine(command, args), options);
  }

  /** Runs lines of shell inside, stopping at the first that fails. */
  async shell(script: string, options?: ChildOptions): Promise<string> {
    return (await this.exec('sh', ['-ec', script], options)).stdout;
  }

  /** Starts a command inside; `close` ends it. */
  spawn(command: string, args: readonly string[] = [], options?: ChildOptions): Child {
    const child = new Child(...this.commandLine(command, args), options);
    this.#children.add(child);
    const forget = (): void => {
      this.#children.delete(child);
    };
    child.ended.then(forget, forget);
    return child;
  }

  /** Ends what still runs inside, and the namespace with it. */
  async close(): Promise<void> {
    await Promise.all([...this.#children].map((child) => child.kill()));
    await this.#holder.end();
  }
}
