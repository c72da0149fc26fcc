/** redis-server on the kernel's side. */
import type { Child } from '../../support/child.js';
import { type InteropBed, KERNEL } from '../../support/interop.js';
import type { Identity } from './certificates.js';
import { launch } from './server.js';

export const REDIS_TLS_PORT = 6380;

export function startRedis(bed: InteropBed, directory: string, tls?: Identity): Promise<Child> {
  const args = ['--bind', KERNEL[4], KERNEL[6], '--protected-mode', 'no', '--dir', directory, '--save', ''];
  if (tls !== undefined) {
    args.push('--tls-port', String(REDIS_TLS_PORT), '--tls-auth-clients', 'no');
    args.push('--tls-key-file', tls.keyFile, '--tls-cert-file', tls.certFile);
    args.push('--tls-ca-cert-file', tls.caFile);
  }
  return launch(bed, { command: 'redis-server', args, ready: /Ready to accept connections/ });
}
