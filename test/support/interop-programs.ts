/** Real programs for tests: certificates, configurations, free ports, and relays to loopback servers. */
import { once } from 'node:events';
import { chmodSync, mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import nodeNet, { type AddressInfo, type Server } from 'node:net';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import type { IpFamily } from '../../lib/wire/ip-address.js';
import { run } from './child.js';
import { type InteropBed, KERNEL, STACK } from './interop.js';
import { type RelayCounts, relay } from './relay.js';

/** A directory that goes away with the bed. */
export function directory(bed: InteropBed): string {
  const path = mkdtempSync(join(tmpdir(), 'tunstack-interop-'));
  // Servers that drop their rights still read it.
  chmodSync(path, 0o755);
  bed.onClose(() => rmSync(path, { recursive: true, force: true }));
  return path;
}

/** A port of the host's loopback that was free a moment ago, for servers that cannot choose one. */
export async function freePort(): Promise<number> {
  const probe = nodeNet.createServer().listen(0, '127.0.0.1');
  await once(probe, 'listening');
  const { port } = probe.address() as AddressInfo;
  probe.close();
  await once(probe, 'close');
  return port;
}

/** Waits until a server on the host's loopback accepts. */
export async function accepts(port: number, limitMs = 10_000): Promise<void> {
  const end = performance.now() + limitMs;
  for (;;) {
    const socket = nodeNet.connect(port, '127.0.0.1');
    const outcome = await new Promise<Error | undefined>((resolve) => {
      socket.once('connect', () => resolve(undefined));
      socket.once('error', resolve);
    });
    socket.destroy();
    if (outcome === undefined) return;
    if (performance.now() > end) throw outcome;
    await new Promise((resolve) => setTimeout(resolve, 10));
  }
}

/** A key and a certificate for itself, in PEM. */
export async function certificate(path: string): Promise<{ key: string; cert: string }> {
  const key = join(path, 'key.pem');
  const cert = join(path, 'cert.pem');
  const kind = ['-newkey', 'ec', '-pkeyopt', 'ec_paramgen_curve:P-256', '-nodes', '-days', '2'];
  const names = ['-subj', '/CN=tunstack.test', '-addext', `subjectAltName=IP:${STACK[4]},IP:${STACK[6]}`];
  await run('openssl', ['req', '-x509', ...kind, ...names, '-keyout', key, '-out', cert]);
  chmodSync(key, 0o644);
  return { key, cert };
}

/** Puts a server on the host's loopback behind a port of the stack. */
export async function behindStack(bed: InteropBed, port: number): Promise<RelayCounts & { port: number }> {
  const server = bed.net.createServer({ allowHalfOpen: true });
  const dial = () => nodeNet.connect({ port, host: '127.0.0.1', allowHalfOpen: true, noDelay: true });
  const counts = relay(server, dial);
  await listening(bed, server);
  return Object.assign(counts, { port: (server.address() as AddressInfo).port });
}

/** Puts a server of the kernel's namespace behind a port of the host's loopback, through the stack. */
export async function throughStack(
  bed: InteropBed,
  family: IpFamily,
  port: number,
): Promise<RelayCounts & { port: number }> {
  const server = nodeNet.createServer({ allowHalfOpen: true, noDelay: true });
  const counts = relay(server, () =>
    bed.net.connect({ port, host: KERNEL[family], allowHalfOpen: true, noDelay: true }),
  );
  await listening(bed, server, '127.0.0.1');
  return Object.assign(counts, { port: (server.address() as AddressInfo).port });
}

async function listening(bed: InteropBed, server: Server, host?: string): Promise<void> {
  server.listen(0, host);
  await once(server, 'listening');
  bed.onClose(() => server.close());
}

export interface NginxOptions {
  /** What it serves. */
  readonly root: string;
  /** `127.0.0.1:8080`, `[::1]:8080 ssl` and so on. */
  readonly listen: readonly string[];
  /** More lines for the `server` block. */
  readonly server?: string;
}

/** Writes a configuration for an nginx that is one process, ours, and keeps everything in one directory. */
export function nginxArguments(path: string, { root, listen, server = '' }: NginxOptions): string[] {
  const temporary = ['client_body', 'proxy', 'fastcgi', 'uwsgi', 'scgi']
    .map((name) => `${name}_temp_path ${path}/${name};`)
    .join(' ');
  const file = join(path, 'nginx.conf');
  writeFileSync(
    file,
    `daemon off; master_process off; user root; pid ${path}/nginx.pid; error_log stderr warn;
    events { worker_connections 2048; }
    http {
      access_log off; sendfile on; ${temporary}
      server { ${listen.map((place) => `listen ${place};`).join(' ')} root ${root}; ${server} }
    }`,
  );
  return ['-e', 'stderr', '-p', path, '-c', file];
}
