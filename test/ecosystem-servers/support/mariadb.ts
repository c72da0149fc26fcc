/** MariaDB on the kernel's side. */
import { mkdirSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import type { Child } from '../../support/child.js';
import type { InteropBed } from '../../support/interop.js';
import { LOGIN, MARIADB_PORT } from '../clients/mysql.js';
import type { Identity } from './certificates.js';
import { giveAway, launch, prepare } from './server.js';

export interface MariadbFiles {
  readonly directory: string;
  readonly tls: Identity;
}

const options = ({ directory }: MariadbFiles): string[] => [
  '--no-defaults',
  `--datadir=${join(directory, 'data')}`,
];

/** Makes the database's files, with one user whose password is asked for. */
export async function initMariadb(bed: InteropBed, files: MariadbFiles): Promise<void> {
  const data = join(files.directory, 'data');
  mkdirSync(data, { mode: 0o700 });
  giveAway(data);
  const kind = ['--auth-root-authentication-method=normal', '--skip-test-db', '--skip-name-resolve'];
  await prepare(bed, 'mariadb-install-db', [...options(files), ...kind]);
  const user = `'${LOGIN.user}'@'%'`;
  const statements = [
    `CREATE DATABASE ${LOGIN.database}`,
    `CREATE USER ${user} IDENTIFIED BY '${LOGIN.password}'`,
    `GRANT ALL ON *.* TO ${user}`,
  ];
  writeFileSync(join(files.directory, 'init.sql'), `${statements.join(';\n')};\n`, { mode: 0o644 });
}

/** Starts it; `isFirst` with the statements that make the user. */
export function startMariadb(bed: InteropBed, files: MariadbFiles, isFirst = false): Promise<Child> {
  const { directory, tls } = files;
  const args = [
    ...options(files),
    `--port=${MARIADB_PORT}`,
    '--bind-address=*',
    `--socket=${join(directory, 'socket')}`,
    `--pid-file=${join(directory, 'pid')}`,
    '--skip-name-resolve',
    '--max-allowed-packet=64M',
    '--innodb-flush-log-at-trx-commit=0',
    '--innodb-buffer-pool-size=16M',
    `--ssl-key=${tls.keyFile}`,
    `--ssl-cert=${tls.certFile}`,
    `--ssl-ca=${tls.caFile}`,
    ...(isFirst ? [`--init-file=${join(directory, 'init.sql')}`] : []),
  ];
  return launch(bed, { command: 'mariadbd', args, ready: /ready for connections/ });
}
