#!/usr/bin/env node
/** The `tunstack` command: finds the subcommand, loads it alone, and ends with its status. */
import { readFileSync } from 'node:fs';
import { fileURLToPath } from 'node:url';
import { CommanderError } from 'commander';
import { ExitStatus, sentence } from './frame/errors.js';
import { perform } from './frame/perform.js';
import { buildProgram } from './frame/program.js';
import { COMMAND_NAMES, loadCommands } from './registry.js';

/** The package's own directory: this file is `dist/cli/main.js` in it, or `lib/cli/main.ts`. */
const root = fileURLToPath(new URL('../../', import.meta.url));

async function main(args: readonly string[]): Promise<number> {
  const { version } = JSON.parse(readFileSync(`${root}package.json`, 'utf8')) as { version: string };
  const [first = ''] = args;
  // What nothing listens to below: the help of a command that is read by nobody, or finds no room.
  let unwritable: NodeJS.ErrnoException | undefined;
  process.stdout.on('error', (error) => {
    unwritable ??= error;
  });
  process.stderr.on('error', () => {});
  const specs = await loadCommands(COMMAND_NAMES.includes(first) ? [first] : COMMAND_NAMES);
  let status: number = ExitStatus.Ok;
  const program = buildProgram({
    version,
    specs,
    perform: async (spec, given) => {
      status = await perform(spec, given, { version, root });
    },
  });
  try {
    await program.parseAsync(asked(args), { from: 'user' });
  } catch (error) {
    if (!(error instanceof CommanderError)) throw error;
    // It has said what was wrong, or shown what was asked for.
    status = error.exitCode === 0 ? ExitStatus.Ok : ExitStatus.Usage;
    await new Promise((resolve) => setImmediate(resolve));
    if (unwritable !== undefined && unwritable.code !== 'EPIPE') throw unwritable;
  }
  return status;
}

/** Help for a command that does not exist is that mistake, and may have been meant for another. */
function asked(args: readonly string[]): readonly string[] {
  const [first, second = '-'] = args;
  const isUnknown = first === 'help' && !/^-|^help$/.test(second) && !COMMAND_NAMES.includes(second);
  return isUnknown ? [second] : args;
}

// What a command left behind, a connection in TIME-WAIT for one, does not hold the process.
main(process.argv.slice(2)).then(
  (status) => process.exit(status),
  (error: Error) => {
    process.stderr.write(`tunstack: ${sentence(error)}\n`);
    if ((process.env.TUNSTACK_DEBUG ?? '') !== '') process.stderr.write(`${error.stack}\n`);
    process.exit(ExitStatus.Failed);
  },
);
