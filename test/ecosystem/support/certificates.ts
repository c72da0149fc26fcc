/** A small authority, and certificates it has signed: one for a server, one for a client. Made once per process. */
import { execFileSync } from 'node:child_process';
import { mkdtempSync, readFileSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';

export interface Identity {
  readonly key: Buffer;
  readonly cert: Buffer;
}

export interface Certificates {
  readonly ca: Buffer;
  /** Made out to `server.example` and `other.example`. */
  readonly server: Identity;
  /** Made out to `a client`. */
  readonly client: Identity;
  readonly servername: string;
}

let made: Certificates | undefined;

export function certificates(): Certificates {
  made ??= make();
  return made;
}

const servername = 'server.example';
const KEY = 'req -newkey ec -pkeyopt ec_paramgen_curve:P-256 -nodes'.split(' ');

function make(): Certificates {
  const directory = mkdtempSync(join(tmpdir(), 'tunstack-authority-'));
  const file = (name: string): string => join(directory, name);
  const openssl = (...args: string[]): void => void execFileSync('openssl', args, { stdio: 'ignore' });
  const identity = (name: string, subject: string, ...extensions: string[]): Identity => {
    const [key, request, cert] = ['key', 'request', 'cert'].map((part) => file(`${name}.${part}`));
    openssl(...KEY, '-subj', subject, ...extensions, '-keyout', key, '-out', request);
    const signing = ['-in', request, '-CA', file('ca.cert'), '-CAkey', file('ca.key'), '-CAcreateserial'];
    openssl('x509', '-req', '-days', '1', ...signing, '-copy_extensions', 'copy', '-out', cert);
    return { key: readFileSync(key), cert: readFileSync(cert) };
  };
  try {
    const authority = ['-x509', '-days', '1', '-subj', '/CN=an authority'];
    openssl(...KEY, ...authority, '-keyout', file('ca.key'), '-out', file('ca.cert'));
    const names = `subjectAltName=DNS:${servername},DNS:other.example`;
    return {
      ca: readFileSync(file('ca.cert')),
      server: identity('server', `/CN=${servername}`, '-addext', names),
      client: identity('client', '/CN=a client'),
      servername,
    };
  } finally {
    rmSync(directory, { recursive: true, force: true });
  }
}
