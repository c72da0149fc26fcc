/** A certificate signed by itself, made once per process. */
import { execFileSync } from 'node:child_process';
import { mkdtempSync, readFileSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';

export interface Certificate {
  readonly key: Buffer;
  readonly cert: Buffer;
  /** Name it is made out to. */
  readonly servername: string;
}

let made: Certificate | undefined;

/** For `server.example`, by the `openssl` of the system. */
export function certificate(): Certificate {
  if (made !== undefined) return made;
  const directory = mkdtempSync(join(tmpdir(), 'tunstack-certificate-'));
  const servername = 'server.example';
  try {
    const [keyFile, certFile] = [join(directory, 'key.pem'), join(directory, 'cert.pem')];
    const request = 'req -x509 -newkey ec -pkeyopt ec_paramgen_curve:P-256 -nodes -days 1'.split(' ');
    const name = ['-subj', `/CN=${servername}`, '-addext', `subjectAltName=DNS:${servername}`];
    const files = ['-keyout', keyFile, '-out', certFile];
    execFileSync('openssl', [...request, ...name, ...files], { stdio: 'ignore' });
    made = { key: readFileSync(keyFile), cert: readFileSync(certFile), servername };
  } finally {
    rmSync(directory, { recursive: true, force: true });
  }
  return made;
}
