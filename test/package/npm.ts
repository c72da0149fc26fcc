/** Running npm from a test: the one that runs the tests, or the one on the path. */
import { type ChildOptions, type Outcome, run } from '../support/child.js';

export function npm(args: readonly string[], options: ChildOptions = {}): Promise<Outcome> {
  const self = process.env.npm_execpath;
  const quiet = { ...options, env: { npm_config_update_notifier: 'false', ...options.env } };
  return self?.endsWith('.js') ? run(process.execPath, [self, ...args], quiet) : run('npm', args, quiet);
}
