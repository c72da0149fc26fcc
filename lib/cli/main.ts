#!/usr/bin/env node
/** The `tunstack` command. */
import { readFileSync } from 'node:fs';
import { fileURLToPath } from 'node:url';
import { Command } from 'commander';
import { buildAddon } from './build-addon.js';
import { type DemoOptions, runDemo } from './demo.js';

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

program
  .command('demo')
  .description('show the stack on real traffic: against the kernel where a TUN can be opened, else in memory')
  .option('--json', 'print the figures only', false)
  .option('--memory', 'stay in memory even where a TUN could be opened', false)
  .option('--capture <file>', 'where to record the packets', 'demo.pcapng')
  .action(async (options: Omit<DemoOptions, 'version'>) => {
    const status = await runDemo({ ...options, version });
    process.exitCode = status;
    // What was broken off may still hold the process.
    if (status !== 0) process.exit();
  });

program.parse();
