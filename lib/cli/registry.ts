/** The commands there are, in the order in which help lists them. */
import type { CommandSpec } from './frame/spec.js';

type Load = () => Promise<{ readonly command: CommandSpec }>;

const COMMANDS: Readonly<Record<string, Load>> = {
  demo: () => import('./commands/demo.js'),
  run: () => import('./commands/run.js'),
  gateway: () => import('./commands/gateway.js'),
  tun2socks: () => import('./commands/tun2socks.js'),
  nc: () => import('./commands/nc.js'),
  http: () => import('./commands/http.js'),
  ping: () => import('./commands/ping.js'),
  capture: () => import('./commands/capture.js'),
  bench: () => import('./commands/bench.js'),
  info: () => import('./commands/info.js'),
  completions: () => import('./commands/completions.js'),
  'build-addon': () => import('./commands/build-addon.js'),
};

/** Names, in their order. */
export const COMMAND_NAMES: readonly string[] = Object.keys(COMMANDS);

/** The descriptions of these commands, all by default. */
export function loadCommands(names: readonly string[] = COMMAND_NAMES): Promise<CommandSpec[]> {
  return Promise.all(names.map(async (name) => (await COMMANDS[name]()).command));
}
