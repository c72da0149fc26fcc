/** A system call under way: begun, tried again while it would block, compared when it returns. */
import { StackError } from '../../base/errors.js';
import { type Attempt, type Machine, Mismatch, Unsupported } from './attempt.js';
import { formatExpression, numberOf } from './expressions.js';
import type { SyscallAction } from './script.js';
import { beginSyscall, opensDescriptor } from './syscalls.js';

interface Hooks {
  /** µs since the script began. */
  nowUs(): number;
  /** It returned, as text; with a descriptor that it opened. */
  done(answer: string, openedFd: number | undefined): void;
}

/** How long a call may go on blocking after the next event is due, µs. */
const PATIENCE_US = 86_400e6;

export class PendingCall {
  readonly name: string;
  /** The descriptor it is made on, if any. */
  readonly descriptor: number | undefined;
  readonly expectedText: string;
  isDone = false;
  /** When it must have returned, µs since the script began. */
  limitUs = Number.POSITIVE_INFINITY;
  readonly #action: SyscallAction;
  readonly #machine: Machine;
  readonly #hooks: Hooks;
  #attempt: Attempt | undefined;
  #isTrying = false;
  #endUs: number | undefined;
  #toleranceUs = 0;
  #trouble: Error | undefined;

  constructor(action: SyscallAction, machine: Machine, hooks: Hooks) {
    this.#action = action;
    this.#machine = machine;
    this.#hooks = hooks;
    this.name = action.name;
    const written =
      opensDescriptor(action.name) && action.name === 'socket' ? undefined : numberOf(action.args[0]);
    this.descriptor = written === undefined ? undefined : (machine.descriptors.get(written) ?? written);
    const result = action.result === undefined ? '?' : formatExpression(action.result);
    this.expectedText = `${action.name}(...) = ${result}${action.errno === '' ? '' : ` ${action.errno}`}`;
  }

  /** Makes it, once; a call that a script does not say may block must return now. @throws Mismatch, Unsupported */
  begin(endUs: number | undefined, toleranceUs: number): void {
    this.#endUs = endUs;
    this.#toleranceUs = toleranceUs;
    this.limitUs = endUs === undefined ? PATIENCE_US : endUs + toleranceUs;
    try {
      this.#attempt = beginSyscall(this.name, this.#action.args, this.#machine);
    } catch (error) {
      if (!(error instanceof StackError)) throw error;
      this.#attempt = () => {
        throw error;
      };
    }
    this.tryAgain();
    this.rethrow();
    if (!this.isDone && endUs === undefined) {
      throw new Mismatch(`${this.name} blocks`, this.expectedText, 'nothing until something else happens');
    }
  }

  /** Something happened that it may have waited for. Never throws: what is wrong waits for `rethrow`. */
  tryAgain(): void {
    if (this.isDone || this.#isTrying || this.#attempt === undefined) return;
    this.#isTrying = true;
    try {
      const value = this.#attempt();
      if (value !== undefined) this.#returned(value, '');
    } catch (error) {
      if (error instanceof StackError) this.#failedWith(error);
      else this.#end(error);
    } finally {
      this.#isTrying = false;
    }
  }

  /** @throws Mismatch, Unsupported */
  rethrow(): void {
    const trouble = this.#trouble;
    this.#trouble = undefined;
    if (trouble !== undefined) throw trouble;
  }

  #failedWith(error: StackError): void {
    try {
      this.#returned(-1, error.code);
    } catch (mismatch) {
      this.#end(mismatch);
    }
  }

  #end(trouble: unknown): void {
    this.isDone = true;
    this.#trouble = trouble instanceof Error ? trouble : new Error(String(trouble));
  }

  #returned(value: number, code: string): void {
    this.isDone = true;
    const actual = `${this.name}(...) = ${value}${code === '' ? '' : ` ${code}`}`;
    const isOpened = opensDescriptor(this.name) && value >= 0;
    const { result, errno } = this.#action;
    const expected = numberOf(result);
    if (isOpened && expected !== undefined && expected >= 0) this.#machine.descriptors.set(expected, value);
    this.#hooks.done(actual, isOpened ? value : undefined);
    if (result !== undefined && result.kind !== 'any') {
      if (expected === undefined) throw new Unsupported(`"${formatExpression(result)}" is not a number`);
      const isRight = isOpened ? expected >= 0 : (expected | 0) === (value | 0);
      if (!isRight || errno !== code)
        throw new Mismatch('the call returned something else', this.expectedText, actual);
    }
    this.#checkTime();
  }

  #checkTime(): void {
    if (this.#endUs === undefined) return;
    const nowUs = this.#hooks.nowUs();
    if (Math.abs(nowUs - this.#endUs) <= this.#toleranceUs) return;
    throw new Mismatch(`${this.name} returned at another time`, at(this.#endUs), at(nowUs));
  }
}

const at = (us: number): string => `at ${(us / 1e6).toFixed(6)}`;
