/**
 * Running a command as an ordinary user, on machines where the tests run as root and where
 * `/dev/net/tun` may be closed to ordinary users. The command gets a private mount namespace with a
 * device node of its own bound over `/dev/net/tun`, and a user without account; the system's own node
 * is not touched, and everything mounted goes away with the command.
 */
import { spawnSync } from 'node:child_process';
import { mkdtempSync, rmdirSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';

/** A user and group id that no account has, below the range systemd gives out. */
export const UNPRIVILEGED_UID = 61_123;

export interface UnprivilegedOptions {
  readonly command: string;
  readonly args: readonly string[];
  /** A directory that the command can write to; it must belong to `UNPRIVILEGED_UID` when we are root. */
  readonly shared: string;
}

export interface UnprivilegedCommand {
  readonly command: string;
  readonly args: readonly string[];
  /** To be added to the environment. */
  readonly env: Readonly<Record<string, string>>;
  /** Name of the shared directory inside. */
  readonly shared: string;
  /** Removes the mount point; call it when the command has ended. */
  close(): void;
}

/**
 * Arguments: the mount point, the project, this Node, the shared directory, the user id; then the
 * command. The project and Node, with its headers where there are, are bound to places every user can
 * reach, since a clone or a Node under a private home directory is not reachable as another user.
 */
const SCRIPT = `
set -eu
top=$1 project=$2 node=$3 shared=$4 user=$5
shift 5
mount -t tmpfs -o mode=0755 tunstack-test "$top"
mkdir "$top/project" "$top/shared" "$top/bin" "$top/home"
chown "$user:$user" "$top/home"
touch "$top/bin/node"
mount --bind "$project" "$top/project"
mount --bind "$shared" "$top/shared"
mount --bind "$node" "$top/bin/node"
headers="\${node%/bin/*}/include/node"
if [ -d "$headers" ]; then
  mkdir -p "$top/include/node"
  mount --bind "$headers" "$top/include/node"
fi
mknod "$top/tun" c 10 200
chmod 0666 "$top/tun"
mount --bind "$top/tun" /dev/net/tun
cd "$top/project"
exec setpriv --reuid "$user" --regid "$user" --clear-groups --inh-caps=-all --ambient-caps=-all -- "$@"
`;

/** How to run a command as an ordinary user: as it is where we are one, else in the namespace above. */
export function unprivileged(options: UnprivilegedOptions): UnprivilegedCommand {
  if (process.getuid?.() !== 0) return { ...options, env: {}, close: () => {} };
  const top = mkdtempSync(join(tmpdir(), 'tunstack-user-'));
  const node = join(top, 'bin/node');
  const command = options.command === process.execPath ? node : options.command;
  const sandbox = ['--mount', '--propagation', 'private', '--', 'sh', '-c', SCRIPT, 'unprivileged'];
  const parameters = [top, process.cwd(), process.execPath, options.shared, String(UNPRIVILEGED_UID)];
  const home = join(top, 'home');
  return {
    command: 'unshare',
    args: [...sandbox, ...parameters, command, ...options.args],
    env: { HOME: home, TMPDIR: home, PATH: `${join(top, 'bin')}:${process.env.PATH ?? ''}` },
    shared: join(top, 'shared'),
    close: () => rmdirSync(top),
  };
}

/** Why `unprivileged` cannot work here, if it cannot. */
export function unprivilegedObstacle(): string | undefined {
  if (process.getuid?.() !== 0) return undefined;
  const probe = unprivileged({ command: 'sh', args: ['-c', 'test -w /dev/net/tun'], shared: tmpdir() });
  const { status, stderr, error } = spawnSync(probe.command, probe.args, { encoding: 'utf8' });
  probe.close();
  if (status === 0) return undefined;
  return `no private /dev/net/tun for an ordinary user: ${(error?.message ?? stderr).trim()}`;
}
