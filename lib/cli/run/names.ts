/**
 * Names in a namespace whose only network is the stack: the stack is `stack`, and the namespace itself `localhost`. Any
 * other name is refused at once; with the host's `resolv.conf` a program would wait for name servers that no way leads to.
 */
import { mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { hostname, tmpdir } from 'node:os';
import { join } from 'node:path';
import type { CommandContext } from '../frame/context.js';
import type { Network } from '../network/network.js';
import type { Space } from './inside.js';

/** What programs inside call the stack. */
const NAME = 'stack';

/** Arguments: the directory of both files, then the command. */
const WITH_NAMES =
  'mount --bind "$1/resolv.conf" /etc/resolv.conf && mount --bind "$1/hosts" /etc/hosts || ' +
  'echo "tunstack: names are asked for as outside" >&2; shift; exec "$@"';

/** The namespace of a network, its names included. A program has a mount namespace of its own: nobody else sees the files. */
export function withNames(context: CommandContext, { addresses }: Network, tun: Space): Space {
  const directory = mkdtempSync(join(tmpdir(), 'tunstack-run-'));
  context.defer(() => rmSync(directory, { recursive: true, force: true }));
  const hosts = [`127.0.0.1 localhost ${hostname()}`, '::1 localhost'];
  for (const address of addresses) hosts.push(`${address} ${NAME}`);
  writeFileSync(join(directory, 'hosts'), `${hosts.join('\n')}\n`, { mode: 0o644 });
  // Nobody listens there: the stack says so at once.
  const servers = addresses.map((address) => `nameserver ${address}\n`);
  writeFileSync(join(directory, 'resolv.conf'), servers.join(''), { mode: 0o644 });
  const line = (command: string, args: readonly string[]): string[] =>
    ['--mount', '--', 'sh', '-c', WITH_NAMES, 'sh', directory, command].concat(args);
  return {
    commandLine: (command, args = []) => tun.commandLine('unshare', line(command, args)),
    run: (command, args = [], options = {}) => tun.run('unshare', line(command, args), options),
  };
}
