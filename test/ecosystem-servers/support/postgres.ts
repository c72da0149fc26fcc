/** PostgreSQL on the kernel's side. */
import { writeFileSync } from 'node:fs';
import { join } from 'node:path';
import type { Child } from '../../support/child.js';
import { type InteropBed, KERNEL } from '../../support/interop.js';
import { LOGIN, POSTGRES_PORT } from '../clients/postgres.js';
import type { Identity } from './certificates.js';
import { launch, prepare } from './server.js';

export interface PostgresFiles {
  /** Where `initdb` and `postgres` are. */
  readonly programs: string;
  readonly data: string;
  readonly tls: Identity;
}

/** Makes the database's files, with one user whose password is asked for. */
export async function initPostgres(bed: InteropBed, { programs, data, tls }: PostgresFiles): Promise<void> {
  const password = `${data}-password`;
  writeFileSync(password, LOGIN.password, { mode: 0o644 });
  const login = ['--auth=scram-sha-256', `--pwfile=${password}`, `--username=${LOGIN.user}`];
  const kind = ['--no-sync', '--encoding=UTF8', '--locale=C'];
  await prepare(bed, join(programs, 'initdb'), ['-D', data, ...login, ...kind]);
  const rules = ['0.0.0.0/0', '::/0'].map((from) => `host all all ${from} scram-sha-256\n`);
  writeFileSync(join(data, 'pg_hba.conf'), rules.join(''));
  const settings = {
    listen_addresses: `${KERNEL[4]},${KERNEL[6]}`,
    port: POSTGRES_PORT,
    unix_socket_directories: '',
    dynamic_shared_memory_type: 'mmap',
    shared_buffers: '16MB',
    fsync: 'off',
    ssl: 'on',
    ssl_key_file: tls.keyFile,
    ssl_cert_file: tls.certFile,
    timezone: 'UTC',
    log_timezone: 'UTC',
  };
  const lines = Object.entries(settings).map(([name, value]) => `${name} = '${value}'\n`);
  writeFileSync(join(data, 'postgresql.conf'), lines.join(''));
}

export const startPostgres = (bed: InteropBed, { programs, data }: PostgresFiles): Promise<Child> =>
  launch(bed, {
    command: join(programs, 'postgres'),
    args: ['-D', data],
    ready: /database system is ready to accept connections/,
  });
