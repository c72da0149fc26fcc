/** nginx on the kernel's side. */
import { writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { KERNEL } from '../../support/interop.js';
import type { Identity } from './certificates.js';

export const WEB_PORTS = { http: 8080, https: 8443 } as const;

/** Serves the files of a directory in the clear and over TLS; `/gone` closes instead. @returns its file */
export function nginxConfiguration(directory: string, tls: Identity): string {
  const listen = [KERNEL[4], `[${KERNEL[6]}]`].flatMap((host) => [
    `listen ${host}:${WEB_PORTS.http};`,
    `listen ${host}:${WEB_PORTS.https} ssl http2;`,
  ]);
  const paths = ['client_body', 'proxy', 'fastcgi', 'uwsgi', 'scgi'].map(
    (kind) => `${kind}_temp_path ${join(directory, kind)};`,
  );
  const lines = [
    'daemon off;',
    'worker_processes 1;',
    `pid ${join(directory, 'nginx.pid')};`,
    'error_log stderr notice;',
    'events {}',
    'http {',
    'access_log off;',
    ...paths,
    'server {',
    ...listen,
    `ssl_certificate ${tls.certFile};`,
    `ssl_certificate_key ${tls.keyFile};`,
    `root ${directory};`,
    // Closes without an answer.
    'location /gone { return 444; }',
    '}',
    '}',
  ];
  const file = join(directory, 'nginx.conf');
  writeFileSync(file, lines.join('\n'), { mode: 0o644 });
  return file;
}
