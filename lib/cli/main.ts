#!/usr/bin/env node
/** The `tunstack` command. */
import { readFileSync } from 'node:fs';
import { fileURLToPath } from 'node:url';
import { Command } from 'commander';
import { buildAddon } from './build-addon.js';

/** The package's own directory: this file is `dist/cli/main.js` in it, or `lib/cli/main.ts`. */
const PACKAGE = fileURLToPath(new URL('../..', import.meta.url));

const { version } = JSON.parse(readFileSync(`${PACKAGE}/package.json`, 'utf8')) as { version: string };

const program = new Command('tunstack')
  .description('A private TCP/IP stack for Node.js')
  .version(version)
  .showHelpAfterError();

program
  .command('build-addon')
  .description(
    'compile the addon for this Node and system; opening a TUN needs it where no prebuilt one fits',
  )
  .option('--debug', 'without optimisation, with assertions')
  .action((options: { debug?: boolean }) => {
    process.exitCode = buildAddon(PACKAGE, options.debug ?? false);
  });

program.parse();
