/** OpenSSH on the kernel's side: its server, and keys for both ends. */
import { chmodSync, readFileSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import type { Child } from '../../support/child.js';
import { run } from '../../support/child.js';
import { type InteropBed, KERNEL } from '../../support/interop.js';
import { launch } from './server.js';

export const SSH_PORT = 22;

export interface SshKeys {
  /** The private keys, in OpenSSH's own form, and their files. */
  readonly host: string;
  readonly user: string;
  readonly hostFile: string;
  readonly userFile: string;
}

export async function sshKeys(directory: string): Promise<SshKeys> {
  const [hostFile, userFile] = ['host', 'user'].map((name) => join(directory, name));
  for (const file of [hostFile, userFile]) {
    await run('ssh-keygen', ['-q', '-t', 'ed25519', '-N', '', '-C', 'tests', '-f', file]);
    chmodSync(file, 0o600);
  }
  const read = (file: string): string => readFileSync(file, 'utf8');
  return { host: read(hostFile), user: read(userFile), hostFile, userFile };
}

/** Its rights are parted in a directory that is there while the system runs it: here, in a mount of its own. */
const SCRIPT = 'mount -t tmpfs -o mode=0755 tests /run && mkdir /run/sshd && exec /usr/sbin/sshd "$@"';

/** Starts it for root, who logs in with the user's key. */
export function startSshd(bed: InteropBed, directory: string, keys: SshKeys): Promise<Child> {
  const file = join(directory, 'sshd_config');
  const lines = [
    ...[KERNEL[4], `[${KERNEL[6]}]`].map((host) => `ListenAddress ${host}:${SSH_PORT}`),
    `HostKey ${keys.hostFile}`,
    `AuthorizedKeysFile ${keys.userFile}.pub`,
    'PermitRootLogin prohibit-password',
    'PasswordAuthentication no',
    'StrictModes no',
    'UsePAM no',
    'PidFile none',
    'Subsystem sftp internal-sftp',
  ];
  writeFileSync(file, `${lines.join('\n')}\n`);
  const args = ['-c', SCRIPT, 'sh', '-D', '-e', '-f', file];
  const ready = /Server listening on [^]*Server listening on /;
  return launch(bed, { command: 'sh', args, ready, asRoot: true });
}
