/** A repository of Git behind OpenSSH, for root and for ordinary users alike. */
import { writeFileSync } from 'node:fs';
import { join } from 'node:path';
import type { Child } from './child.js';
import type { TestNamespace } from './netns.js';

export const SSHD = '/usr/sbin/sshd';
const PORT = 2222;
/** Bytes of the one file in it. */
export const BIG_BYTES = 3_000_000;

/**
 * Arguments: a `passwd`, a configuration. As an ordinary user sshd has no rights to part with, which takes root. That
 * user is in a user namespace, and its account in a file that nobody else sees.
 */
const SERVE = `
mount --bind "$1" /etc/passwd
exec unshare --user --map-user=1000 --map-group=1000 -- ${SSHD} -D -e -f "$2"
`;

/** Makes the repository, and serves it at `address` from inside `host` until the child is killed. */
export async function serveGitOverSsh(
  host: TestNamespace,
  directory: string,
  address: string,
): Promise<Child> {
  const at = (name: string): string => join(directory, name);
  const settings = [
    `ListenAddress ${address}:${PORT}`,
    `HostKey ${at('host-key')}`,
    `AuthorizedKeysFile ${at('user-key')}.pub`,
    'PasswordAuthentication no',
    'StrictModes no',
    'UsePAM no',
    'PidFile none',
  ];
  writeFileSync(at('sshd_config'), `${settings.join('\n')}\n`);
  const accounts = ['root:x:0:0::/root:/bin/sh', `git:x:1000:1000::${directory}:/bin/sh`];
  writeFileSync(at('passwd'), `${accounts.join('\n')}\n`);
  await host.shell(`
    for key in host user; do ssh-keygen -q -t ed25519 -N '' -f '${directory}'/$key-key; done
    git init -q --bare '${at('ssh.git')}'; git clone -q '${at('ssh.git')}' '${at('seed')}' 2>&1
    cd '${at('seed')}'; git config user.name T; git config user.email t@test
    head -c ${BIG_BYTES} /dev/urandom > big; git add big; git commit -q -m one; git push -q origin HEAD:main`);
  const files = [at('passwd'), at('sshd_config')];
  const server = host.spawn('unshare', ['--mount', '--', 'sh', '-ec', SERVE, 'sshd', ...files], {
    limitMs: 120_000,
  });
  await server.output(/Server listening/);
  return server;
}

/** Lines of shell that clone it from elsewhere, check it, and print the size of its file. */
export const cloneOverSsh = (directory: string, address: string): string => `
  export GIT_SSH_COMMAND="ssh -p ${PORT} -i '${directory}/user-key' -F none -o IdentitiesOnly=yes \
    -o UserKnownHostsFile=/dev/null -o StrictHostKeyChecking=no -o LogLevel=ERROR"
  git clone -q -b main 'git@${address}:${directory}/ssh.git' '${directory}/work-ssh'
  cd '${directory}/work-ssh'; git fsck --full 2>&1; wc -c < big`;
