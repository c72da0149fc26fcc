/**
 * Sockets of the kernel inside a test's namespace, used from here: Node's own are in the wrong namespace
 * and know neither urgent data nor `TCP_INFO`. A small Python program inside does what it is told.
 */
import { createInterface, type Interface } from 'node:readline';
import { type Child, installed } from './child.js';
import type { TestNamespace } from './netns.js';
import { Unavailable } from './skip.js';

const PROGRAM = 'test/interop/support/kernel-peer.py';
/** Longer than a group of tests may take; the program ends with its standard input anyway. */
const LIMIT_MS = 20 * 60_000;

/** A failure of the kernel's, with Node's code for it. */
export class KernelError extends Error {
  readonly code: string;

  constructor(op: string, code: string, message: string) {
    super(`${op} ${code}: ${message}`);
    this.code = code;
  }
}

export interface Endpoint {
  readonly address: string;
  readonly port: number;
}

/** A socket option: level and name as in C, and its value. */
export type SocketOption = readonly [level: string | number, option: string | number, value: number | string];

export interface KernelConnect extends Endpoint {
  readonly localAddress?: string;
  readonly localPort?: number;
  /** Set before the connection is made. */
  readonly options?: readonly SocketOption[];
  /** Sent with the SYN where the kernel has a cookie (`MSG_FASTOPEN`). */
  readonly data?: string;
}

export interface KernelListen {
  readonly address: string;
  /** Any free one by default. */
  readonly port?: number;
  readonly backlog?: number;
  readonly options?: readonly SocketOption[];
}

interface Described {
  readonly socket: number;
  readonly local: Endpoint;
  readonly remote: Endpoint | null;
}

/** Some fields of `struct tcp_info`. */
export interface KernelTcpInfo {
  readonly state: string;
  readonly retransmits: number;
  readonly probes: number;
  readonly timestamps: boolean;
  readonly sack: boolean;
  readonly windowScaling: boolean;
  readonly ecn: boolean;
  /** Text of a SYN was taken (`TCPI_OPT_SYN_DATA`). */
  readonly synData: boolean;
  readonly sendScale: number;
  readonly receiveScale: number;
  readonly sendMss: number;
  readonly receiveMss: number;
  readonly unacked: number;
  readonly lost: number;
  readonly lastAckReceivedMs: number;
  readonly pathMtu: number;
  readonly advertisedMss: number;
  readonly retransmitted: number;
}

interface Answer {
  readonly id: number;
  readonly value?: unknown;
  readonly error?: string;
  readonly message?: string;
}

export class KernelPeer {
  readonly #child: Child;
  readonly #lines: Interface;
  readonly #waiting = new Map<number, (answer: Answer) => void>();
  #next = 1;

  private constructor(child: Child) {
    this.#child = child;
    this.#lines = createInterface({ input: child.stdoutStream });
    this.#lines.on('line', (line) => {
      const answer = JSON.parse(line) as Answer;
      this.#waiting.get(answer.id)?.(answer);
      this.#waiting.delete(answer.id);
    });
    const fail = (): void => {
      for (const [id, tell] of this.#waiting) tell({ id, error: 'EPIPE', message: child.stderr });
      this.#waiting.clear();
    };
    child.ended.then(fail, fail);
  }

  /** @throws Unavailable where Python is not installed */
  static async start(namespace: TestNamespace): Promise<KernelPeer> {
    if (!(await installed('python3'))) throw new Unavailable('python3 is not installed');
    const child = namespace.spawn('python3', ['-S', PROGRAM], { openStdin: true, limitMs: LIMIT_MS });
    const peer = new KernelPeer(child);
    await peer.#answer(0, 'start');
    return peer;
  }

  async connect(options: KernelConnect): Promise<KernelSocket> {
    const { data, ...rest } = options;
    const request = data === undefined ? rest : { ...rest, data: hex(data) };
    return new KernelSocket(this, await this.ask<Described>('connect', request));
  }

  async listen(options: KernelListen): Promise<KernelListener> {
    return new KernelListener(this, await this.ask<Described>('listen', options));
  }

  /** A UDP socket bound to an address. */
  async bindUdp(options: Omit<KernelListen, 'backlog'>): Promise<KernelUdpSocket> {
    return new KernelUdpSocket(this, await this.ask<Described>('udp', options));
  }

  /** A UDP socket connected to an address. */
  async connectUdp(options: Endpoint & { options?: readonly SocketOption[] }): Promise<KernelUdpSocket> {
    return new KernelUdpSocket(this, await this.ask<Described>('connect_udp', options));
  }

  /** @throws KernelError what the kernel, or Python, has against it */
  async ask<T>(op: string, parameters: object): Promise<T> {
    const id = this.#next++;
    const answer = this.#answer(id, op);
    this.#child.stdin.write(`${JSON.stringify({ ...parameters, id, op })}\n`);
    return (await answer) as T;
  }

  #answer(id: number, op: string): Promise<unknown> {
    return new Promise((resolve, reject) => {
      this.#waiting.set(id, ({ error, message, value }) => {
        if (error === undefined) resolve(value);
        else reject(new KernelError(op, error, message ?? ''));
      });
    });
  }

  async close(): Promise<void> {
    this.#lines.close();
    await this.#child.kill();
  }
}

class KernelHandle {
  readonly local: Endpoint;
  readonly #peer: KernelPeer;
  readonly #socket: number;

  constructor(peer: KernelPeer, { socket, local }: Described) {
    this.#peer = peer;
    this.#socket = socket;
    this.local = local;
  }

  protected get peer(): KernelPeer {
    return this.#peer;
  }

  protected ask<T>(op: string, parameters: object = {}): Promise<T> {
    return this.#peer.ask<T>(op, { ...parameters, socket: this.#socket });
  }

  /** `close(2)`: the kernel finishes in the background. */
  close(): Promise<void> {
    return this.ask('close');
  }

  setOption(level: string | number, option: string | number, value: number | string): Promise<unknown> {
    return this.ask('option', { level, option, value });
  }

  getOption(level: string | number, option: string | number): Promise<number> {
    return this.ask('option', { level, option });
  }

  /** The pending error, `''` for none. Reading clears it. */
  takeError(): Promise<string> {
    return this.ask('error');
  }
}

export class KernelListener extends KernelHandle {
  async accept(): Promise<KernelSocket> {
    return new KernelSocket(this.peer, await this.ask<Described>('accept'));
  }
}

const hex = (data: string | Uint8Array): string => Buffer.from(data as Uint8Array).toString('hex');

export class KernelSocket extends KernelHandle {
  readonly remote: Endpoint | null;

  constructor(peer: KernelPeer, described: Described) {
    super(peer, described);
    this.remote = described.remote;
  }

  send(data: string | Uint8Array): Promise<void> {
    return this.ask('send', { data: hex(data) });
  }

  /** Sends random bytes; resolves to their SHA-256 once the kernel has taken the last. */
  sendBulk(bytes: number): Promise<string> {
    return this.ask('send_bulk', { bytes });
  }

  sendUrgent(data: string | Uint8Array): Promise<void> {
    return this.ask('urgent', { data: hex(data) });
  }

  async receiveUrgent(): Promise<string> {
    return Buffer.from(await this.ask<string>('receive_urgent'), 'hex').toString();
  }

  /** So many bytes as text, one character each; fewer only at the end of the stream. */
  async receive(bytes: number): Promise<string> {
    return Buffer.from(await this.ask<string>('receive', { bytes }), 'hex').toString('latin1');
  }

  receiveToEnd(): Promise<{ bytes: number; sha256: string }> {
    return this.ask('receive_to_end');
  }

  shutdown(how: 'SHUT_RD' | 'SHUT_WR' | 'SHUT_RDWR' = 'SHUT_WR'): Promise<void> {
    return this.ask('shutdown', { how });
  }

  /** `close(2)` with a linger time of 0: an RST. */
  reset(): Promise<void> {
    return this.ask('reset');
  }

  info(): Promise<KernelTcpInfo> {
    return this.ask('info');
  }
}

export class KernelUdpSocket extends KernelHandle {
  send(data: string | Uint8Array): Promise<void> {
    return this.ask('send', { data: hex(data) });
  }

  sendTo(to: Endpoint, data: string | Uint8Array): Promise<void> {
    return this.ask('send_to', { ...to, data: hex(data) });
  }

  async receive(): Promise<{ data: Buffer; from: Endpoint }> {
    const { data, from } = await this.ask<{ data: string; from: Endpoint }>('receive_from');
    return { data: Buffer.from(data, 'hex'), from };
  }
}
