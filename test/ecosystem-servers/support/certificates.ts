/** An authority and a server's certificate, valid for the addresses of the kernel's side of a bed. */
import { readFileSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { run } from '../../support/child.js';
import { KERNEL, STACK } from '../../support/interop.js';
import { giveAway } from './server.js';

export interface Identity {
  /** Files, as servers want them; the key belongs to the user that servers run as. */
  readonly keyFile: string;
  readonly certFile: string;
  readonly caFile: string;
  readonly key: Buffer;
  readonly cert: Buffer;
  /** What clients trust. */
  readonly ca: Buffer;
  /** A name it is made out to, besides the addresses. */
  readonly servername: string;
}

const CURVE = ['-newkey', 'ec', '-pkeyopt', 'ec_paramgen_curve:P-256', '-nodes'];

export async function identity(directory: string): Promise<Identity> {
  const file = (name: string): string => join(directory, name);
  const servername = 'server.example';
  const names = [
    `DNS:${servername}`,
    ...[KERNEL, STACK].flatMap((side) => [`IP:${side[4]}`, `IP:${side[6]}`]),
  ];
  const caArgs = ['-x509', ...CURVE, '-days', '2', '-subj', '/CN=authority.example'];
  await run('openssl', ['req', ...caArgs, '-keyout', file('ca.key'), '-out', file('ca.pem')]);
  const request = [...CURVE, '-subj', `/CN=${servername}`];
  await run('openssl', ['req', ...request, '-keyout', file('key.pem'), '-out', file('request.pem')]);
  writeFileSync(file('names'), `subjectAltName=${names.join(',')}\n`);
  const authority = ['-CA', file('ca.pem'), '-CAkey', file('ca.key'), '-set_serial', '1', '-days', '2'];
  const sign = ['-req', '-in', file('request.pem'), ...authority, '-extfile', file('names')];
  await run('openssl', ['x509', ...sign, '-out', file('cert.pem')]);
  giveAway(file('key.pem'));
  const [keyFile, certFile, caFile] = ['key.pem', 'cert.pem', 'ca.pem'].map(file);
  const [key, cert, ca] = [keyFile, certFile, caFile].map((path) => readFileSync(path));
  return { keyFile, certFile, caFile, key, cert, ca, servername };
}
