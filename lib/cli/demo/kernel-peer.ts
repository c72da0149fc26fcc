/**
 * The kernel's side of the demo: a process inside the demo's network namespace, with Node's own
 * sockets. It ends with the channel to whoever started it.
 */
import { readFileSync } from 'node:fs';
import net from 'node:net';
import { fetchPage } from './http-client.js';
import { serveBulk, serveGreeting, servePage } from './services.js';

/** What it is asked, and what it answers. */
export type PeerRequest = { readonly counts: true } | { readonly fetch: string };
export type PeerReply = { readonly value: unknown } | { readonly error: string };

export interface PeerCounts {
  /** Segments it has sent again so far (RFC 4022 tcpRetransSegs). */
  readonly retransmissions: number;
  readonly congestionControl: string;
}

/** Those of this namespace's kernel. */
function counts(): PeerCounts {
  const rows = readFileSync('/proc/self/net/snmp', 'utf8')
    .split('\n')
    .filter((line) => line.startsWith('Tcp:'))
    .map((line) => line.split(' '));
  return {
    retransmissions: Number(rows[1]?.[rows[0]?.indexOf('RetransSegs') ?? 0]),
    congestionControl: readFileSync('/proc/sys/net/ipv4/tcp_congestion_control', 'utf8').trim(),
  };
}

async function answer(request: PeerRequest): Promise<unknown> {
  return 'fetch' in request ? fetchPage(net, request.fetch) : counts();
}

process.on('disconnect', () => process.exit());
process.on('message', (request: PeerRequest) => {
  answer(request).then(
    (value) => process.send?.({ value } satisfies PeerReply),
    (error: Error) => process.send?.({ error: error.message } satisfies PeerReply),
  );
});

async function main(): Promise<void> {
  await Promise.all([
    servePage(net, () => `Hello from the kernel's sockets, Node ${process.version}.\n`),
    serveBulk(net),
    serveGreeting(net),
  ]);
  process.send?.({ value: 'ready' } satisfies PeerReply);
}

void main();
