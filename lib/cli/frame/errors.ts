/** How a command ends when it does not end well: what it prints, and the exit status. */

/** Exit statuses all commands share; a command may have more of its own. */
export const ExitStatus = {
  Ok: 0,
  Failed: 1,
  /** The command line was wrong. */
  Usage: 2,
  /** It took longer than it was allowed to. */
  TimedOut: 124,
  /** Added to the number of the signal that ended it. */
  Signal: 128,
} as const;

/** Ends a command with one sentence on standard error. */
export class CliError extends Error {
  override readonly name: string = 'CliError';
  /** The exit status; that of a failure of the command by default. */
  readonly status: number | undefined;

  constructor(message: string, status?: number) {
    super(message);
    this.status = status;
  }
}

/** It took longer than it was allowed to: status 124. */
export class TimedOut extends CliError {
  override readonly name = 'TimedOut';

  constructor(message: string) {
    super(message, ExitStatus.TimedOut);
  }
}

/** The command line was wrong: status 2, and where to find help. */
export class UsageError extends CliError {
  override readonly name = 'UsageError';

  constructor(message: string) {
    super(message, ExitStatus.Usage);
  }
}

/** Somebody wants the command to end: the reason of its `AbortSignal`. */
export class Interrupted extends CliError {
  override readonly name = 'Interrupted';
  declare readonly status: number;

  constructor(status: number) {
    super('interrupted', status);
  }
}

/** As one line that ends with a full stop, for people. */
export function sentence({ message }: Error): string {
  const line = message.trim().replaceAll(/\s*\n\s*/g, '; ');
  return /[.!?]$/.test(line) ? line : `${line}.`;
}
