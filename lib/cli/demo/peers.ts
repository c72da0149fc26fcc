/** The other side of the demo, as the demo asks it: the kernel, or a second stack in this process. */
import type { ChildProcess } from 'node:child_process';
import { accessSync, constants } from 'node:fs';
import { delimiter, join } from 'node:path';
import { fileURLToPath } from 'node:url';
import type { PrivateTun } from '../../link/tun-private.js';
import type { Stack } from '../../stack/stack.js';
import { DEFAULT_TCP_OPTIONS } from '../../tcp/options.js';
import { type Fetched, fetchPage } from './http-client.js';
import type { PeerCounts, PeerReply, PeerRequest } from './kernel-peer.js';
import { type SocketsOf, serveBulk, serveGreeting, servePage } from './services.js';

export interface PeerFetch extends Fetched {
  /** What did it: `curl` or `http.get`. */
  readonly by: string;
}

export interface Peer {
  readonly name: string;
  /** Fetches the page at an address. */
  fetch(address: string): Promise<PeerFetch>;
  counts(): Promise<PeerCounts>;
}

/** What a stack of ours tells about itself. */
export const countsOf = (stack: Stack): PeerCounts => ({
  retransmissions: stack.stats.tcp.retransSegs,
  congestionControl: DEFAULT_TCP_OPTIONS.congestionControl,
});

const CURL_LIMIT_S = 5;

/**
 * The kernel of a namespace, with a Node inside that serves. What runs inside is detached: a signal from
 * the terminal is for the demo, which then ends in order.
 */
export class KernelPeer implements Peer {
  readonly name = 'kernel';
  readonly #tun: PrivateTun;
  readonly #child: ChildProcess;
  #settle: ((reply: PeerReply) => void) | undefined;

  private constructor(tun: PrivateTun, child: ChildProcess) {
    this.#tun = tun;
    this.#child = child;
    child.on('message', (reply: PeerReply) => this.#settle?.(reply));
    child.on('error', (error) => this.#settle?.({ error: error.message }));
    child.on('exit', () => this.#settle?.({ error: 'the program in the namespace has ended' }));
  }

  /** Starts the program inside and waits until it serves. */
  static async start(tun: PrivateTun): Promise<KernelPeer> {
    // The same name from lib/ and dist/.
    const program = fileURLToPath(import.meta.url).replace(/peers(\.[jt]s)$/, 'kernel-peer$1');
    const child = tun.run(process.execPath, [...process.execArgv, program], {
      stdio: ['ignore', 'inherit', 'inherit', 'ipc'],
      detached: true,
    });
    const peer = new KernelPeer(tun, child);
    await peer.#reply();
    return peer;
  }

  async fetch(address: string): Promise<PeerFetch> {
    if (isInstalled('curl')) return this.#curl(address);
    const fetched = (await this.#ask({ fetch: address })) as Fetched;
    return { ...fetched, by: 'http.get' };
  }

  async counts(): Promise<PeerCounts> {
    return (await this.#ask({ counts: true })) as PeerCounts;
  }

  #ask(request: PeerRequest): Promise<unknown> {
    const reply = this.#reply();
    this.#child.send(request);
    return reply;
  }

  async #reply(): Promise<unknown> {
    const reply = await new Promise<PeerReply>((resolve) => {
      this.#settle = resolve;
    });
    if ('error' in reply) throw new Error(reply.error);
    return reply.value;
  }

  async #curl(address: string): Promise<PeerFetch> {
    const url = urlOf(address);
    const format = '\n%{http_code} %{time_total}';
    const quiet = ['--silent', '--show-error', '--noproxy', '*', '--max-time', String(CURL_LIMIT_S)];
    const child = this.#tun.run('curl', ['--disable', ...quiet, '--write-out', format, url], {
      stdio: ['ignore', 'pipe', 'pipe'],
      detached: true,
    });
    const [output, complaint, status] = await Promise.all([
      textOf(child.stdout),
      textOf(child.stderr),
      new Promise<number | null>((resolve) => child.once('exit', resolve).once('error', () => resolve(-1))),
    ]);
    if (status !== 0) throw new Error(`curl ${url} ended with ${status}: ${complaint.trim()}`);
    const lines = output.split('\n');
    const [code, seconds] = (lines.pop() ?? '').split(' ');
    return { status: Number(code), body: lines.join('\n'), us: Number(seconds) * 1e6, by: 'curl' };
  }
}

/** A second stack of ours. */
export class StackPeer implements Peer {
  readonly name = 'second stack';
  readonly #net: SocketsOf;
  readonly #stack: Stack;

  private constructor(stack: Stack, net: SocketsOf) {
    this.#stack = stack;
    this.#net = net;
  }

  static async start(stack: Stack, net: SocketsOf): Promise<StackPeer> {
    await servePage(net, () => 'Hello from the second stack.\n');
    await serveBulk(net);
    await serveGreeting(net);
    return new StackPeer(stack, net);
  }

  async fetch(address: string): Promise<PeerFetch> {
    return { ...(await fetchPage(this.#net, address)), by: 'http.get' };
  }

  async counts(): Promise<PeerCounts> {
    return countsOf(this.#stack);
  }
}

export const urlOf = (address: string): string =>
  address.includes(':') ? `http://[${address}]/` : `http://${address}/`;

function isInstalled(program: string): boolean {
  return (process.env.PATH ?? '').split(delimiter).some((directory) => {
    try {
      accessSync(join(directory, program), constants.X_OK);
      return true;
    } catch {
      return false;
    }
  });
}

async function textOf(stream: NodeJS.ReadableStream | null): Promise<string> {
  let text = '';
  for await (const piece of stream ?? []) text += String(piece);
  return text;
}
