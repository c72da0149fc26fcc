/**
 * A TUN in a network namespace of its own, which nothing else on the host sees: as root, and as an
 * ordinary user where the system allows user namespaces and `/dev/net/tun` is open to all.
 *
 * Node is multithreaded and cannot enter a user namespace itself. A small Node inside the namespace opens
 * the TUN and passes the descriptor back. It then holds the namespace until its standard input closes, so
 * nothing is left behind however this process ends.
 */
import { type ChildProcess, type ChildProcessByStdio, type SpawnOptions, spawn } from 'node:child_process';
import { closeSync, existsSync } from 'node:fs';
import process, { env, execPath, getuid } from 'node:process';
import type { Readable, Writable } from 'node:stream';
import { ArgumentRangeError, ArgumentTypeError, StackError } from '../base/errors.js';
import { HostNetwork } from './host-network.js';
import { callAddon, errnoName, type NativeAddon, nativeAddon } from './tun-addon.js';
import { TunDevice, type TunOptions } from './tun-device.js';

/** As `TunOptions`, but for what a namespace of its own decides. */
export interface PrivateTunOptions
  extends Omit<TunOptions, 'fd' | 'netns' | 'host' | 'persist' | 'virtioHeader'> {
  /**
   * Joins the network namespace of a process, given by its id, with the user namespace around it where this is not
   * root; or one given as a file, which only root can: `/var/run/netns/blue`. It stays when the TUN is closed. By
   * default a namespace is made.
   */
  readonly within?: number | string;
}

/** A TUN in a network namespace of its own. */
export interface PrivateTun {
  /** The TUN, for `addLink`. */
  readonly device: TunDevice;
  /** The network inside: its links, addresses, routes and rules. */
  readonly host: HostNetwork;
  /** Id of the process that holds the namespace. */
  readonly pid: number;
  /** Starts a program inside, with the rights of the user who made the namespace. */
  run(command: string, args?: readonly string[], options?: SpawnOptions): ChildProcess;
  /** The command line `run` uses. */
  commandLine(command: string, args?: readonly string[]): [command: string, args: string[]];
  /** Closes the device, ends what still runs inside, and the namespace. May be called twice. */
  close(): Promise<void>;
}

/** How the namespace is made, or entered for the first time, and how the one of a process is entered. */
interface Mode {
  readonly begin: readonly [program: string, ...args: string[]];
  readonly nsenter: readonly string[];
}
const ENTER_ROOT = ['--net'];
const ENTER_USER = ['--user', '--preserve-credentials', '--net'];
const OF_ROOT: Mode = { begin: ['unshare', '--net'], nsenter: ENTER_ROOT };
const OF_USER: Mode = { begin: ['unshare', '--user', '--map-root-user', '--net'], nsenter: ENTER_USER };

/** @throws ArgumentTypeError, ArgumentRangeError for what is neither a process nor a file */
function joining(within: unknown, isRoot: boolean): Mode {
  if (typeof within === 'string') return { begin: ['nsenter', `--net=${within}`], nsenter: ENTER_ROOT };
  if (typeof within !== 'number') throw new ArgumentTypeError('a namespace is a process id or a file');
  if (!(Number.isInteger(within) && within > 0)) {
    throw new ArgumentRangeError(`the id of a process is a positive integer: ${within}`);
  }
  const nsenter = isRoot ? ENTER_ROOT : ENTER_USER;
  return { begin: ['nsenter', '--target', String(within), ...nsenter], nsenter };
}

/** Longer than a Node takes to start on a busy machine. */
const START_LIMIT_MS = 15_000;
const SOCKET_FD = 3;

/**
 * What the Node inside runs. Descriptors are sent, and also kept until the first word comes back: where
 * they cannot be received they can be fetched.
 */
const HOLDER = `
const [addonPath, options] = process.argv.slice(1);
const holder = { exports: {} };
process.dlopen(holder, addonPath);
const addon = holder.exports;
let tun, netlink;
try {
  tun = new addon.NativeTun(JSON.parse(options));
  netlink = new addon.NativeNetlink({});
  try {
    addon.sendDescriptor(${SOCKET_FD}, tun.fd, 'tun');
    addon.sendDescriptor(${SOCKET_FD}, netlink.fd, 'netlink');
  } catch {}
  process.stdout.write(JSON.stringify({ tun: tun.fd, netlink: netlink.fd }) + '\\n');
} catch ({ errno, syscall, message }) {
  process.stdout.write(JSON.stringify({ errno, syscall, message }) + '\\n');
}
process.stdin.on('data', () => { tun.close(); netlink.close(); });
process.stdin.on('close', () => process.exit());
process.stdin.resume();
`;

type Holder = ChildProcessByStdio<Writable, Readable, Readable>;

/** What the Node inside answers. */
interface Answer {
  readonly tun?: number;
  readonly netlink?: number;
  readonly errno?: number;
  readonly syscall?: string;
  readonly message?: string;
}

/**
 * Makes a namespace, or joins one, and opens a TUN in it.
 * @throws ArgumentTypeError, ArgumentRangeError for `within`
 * @throws AddonError where there is no addon
 * @throws StackError `unshare EPERM` where namespaces are forbidden, `setns EPERM` where one may not be joined, `open EACCES /dev/net/tun` where that
 * is closed to this user, `spawn ENOENT` without util-linux
 */
export async function openPrivateTun(options: PrivateTunOptions = {}): Promise<PrivateTun> {
  const isRoot = getuid?.() === 0;
  const joined = options.within === undefined ? undefined : joining(options.within, isRoot);
  const addon = nativeAddon();
  if (joined !== undefined) return open(addon, joined, options);
  if (isRoot) {
    try {
      return await open(addon, OF_ROOT, options);
    } catch (error) {
      // Root in a container may lack the right to make one, and still make it as a user would.
      if (!(error instanceof StackError && error.syscall === 'unshare')) throw error;
    }
  }
  return open(addon, OF_USER, options);
}

async function open(addon: NativeAddon, mode: Mode, options: PrivateTunOptions): Promise<PrivateTun> {
  const [ours, theirs] = callAddon(() => addon.socketPair());
  let holder: Holder | undefined;
  let host: HostNetwork | undefined;
  try {
    holder = startHolder(addon, mode, theirs, options);
    const answer = await answerOf(holder, mode);
    const descriptors = takeDescriptors(addon, ours, holder.pid ?? 0, answer);
    holder.stdin.write('taken\n');
    host = HostNetwork.open({ fd: descriptors.netlink });
    host.setLink('lo', { up: true });
    const device = openDevice(descriptors.tun, host, options);
    return new Holding(mode, holder, device, host);
  } catch (error) {
    holder?.stdin.destroy();
    host?.close();
    throw error;
  } finally {
    closeSync(ours);
    closeSync(theirs);
  }
}

function startHolder(addon: NativeAddon, mode: Mode, socket: number, options: PrivateTunOptions): Holder {
  const { name = '', offload = true, multiQueue = false, mode: kind } = options;
  const tun = JSON.stringify({ name, offload, multiQueue, tap: kind === 'tap' });
  const node = [execPath, '--input-type=commonjs', '--eval', HOLDER, '--', addon.path, tun];
  const [command, ...args] = mode.begin;
  return spawn(program(command), [...args, '--', ...node], {
    stdio: ['pipe', 'pipe', 'pipe', socket],
    // A signal from the terminal is for this process, which may still have to close in order.
    detached: true,
    cwd: '/',
    env: { ...env, LC_ALL: 'C', NODE_OPTIONS: '', ELECTRON_RUN_AS_NODE: '1' },
  }) as unknown as Holder;
}

/** A program of util-linux, which an ordinary user's PATH may lack. */
function program(name: string): string {
  const places = [...(env.PATH ?? '').split(':'), '/usr/bin', '/bin', '/usr/sbin', '/sbin'];
  const found = places.find((place) => place !== '' && existsSync(`${place}/${name}`));
  return found === undefined ? name : `${found}/${name}`;
}

/** The first line of the Node inside. */
function answerOf(holder: Holder, mode: Mode): Promise<Answer> {
  return new Promise((resolve, reject) => {
    let output = '';
    let complaints = '';
    const timer = setTimeout(() => {
      holder.kill('SIGKILL');
      reject(new StackError('ETIMEDOUT', syscallOf(mode)));
    }, START_LIMIT_MS);
    const finish = (settle: () => void): void => {
      clearTimeout(timer);
      settle();
    };
    holder.stdin.on('error', () => {});
    holder.stderr.on('data', (bytes: Uint8Array) => {
      complaints += String(bytes);
    });
    holder.stdout.on('data', (bytes: Uint8Array) => {
      output += String(bytes);
      const end = output.indexOf('\n');
      if (end >= 0) finish(() => resolve(JSON.parse(output.slice(0, end)) as Answer));
    });
    holder.once('error', (error: Error & { code?: string }) =>
      finish(() => reject(new StackError(error.code ?? 'ENOENT', 'spawn', mode.begin[0]))),
    );
    holder.once('close', () => finish(() => reject(refusal(complaints.trim(), mode))));
  });
}

const REFUSALS: ReadonlyArray<readonly [words: RegExp, code: string]> = [
  [/not permitted/i, 'EPERM'],
  [/permission denied/i, 'EACCES'],
  [/no space left/i, 'ENOSPC'], // user.max_user_namespaces
  [/function not implemented|invalid argument/i, 'EINVAL'],
  [/no such file/i, 'ENOENT'],
];

const syscallOf = ({ begin }: Mode): string => (begin[0] === 'unshare' ? 'unshare' : 'setns');

/** Why `unshare` or `nsenter` gave up, from its words. */
function refusal(complaints: string, mode: Mode): StackError {
  const code = REFUSALS.find(([words]) => words.test(complaints))?.[1] ?? 'EPERM';
  const syscall = syscallOf(mode);
  const error = new StackError(code, syscall);
  const what = syscall === 'unshare' ? 'make no network namespace' : 'join no such namespace';
  error.message = `${syscall} ${code}: this system lets this user ${what} (${complaints})`;
  return error;
}

function takeDescriptors(
  addon: NativeAddon,
  socket: number,
  pid: number,
  answer: Answer,
): { tun: number; netlink: number } {
  const { tun, netlink, errno, syscall, message } = answer;
  if (tun === undefined || netlink === undefined) {
    if (errno === undefined || syscall === undefined) throw new Error(message ?? 'no answer from within');
    throw new StackError(errnoName(errno), syscall, syscall === 'open' ? '/dev/net/tun' : undefined);
  }
  const take = (inside: number): number => {
    try {
      const { fd } = addon.receiveDescriptor(socket);
      if (fd >= 0) return fd;
    } catch {
      // Some sandboxes let no descriptor through.
    }
    return callAddon(() => addon.stealDescriptor(pid, inside));
  };
  return { tun: take(tun), netlink: take(netlink) };
}

function openDevice(fd: number, host: HostNetwork, options: PrivateTunOptions): TunDevice {
  const { mtu = 1500, up = true, txQueueLength = 10_000, offload = true, address = [], busyPollUs } = options;
  const poll = busyPollUs === undefined ? {} : { busyPollUs };
  try {
    return TunDevice.create({ fd, host, mtu, up, txQueueLength, offload, address, ...poll });
  } catch (error) {
    closeSync(fd);
    throw error;
  }
}

class Holding implements PrivateTun {
  readonly device: TunDevice;
  readonly host: HostNetwork;
  readonly pid: number;
  readonly #mode: Mode;
  readonly #holder: Holder;
  readonly #ended: Promise<void>;
  readonly #children = new Set<ChildProcess>();
  readonly #endChildren = (): void => {
    for (const child of this.#children) child.kill('SIGKILL');
  };

  constructor(mode: Mode, holder: Holder, device: TunDevice, host: HostNetwork) {
    this.#mode = mode;
    this.#holder = holder;
    this.device = device;
    this.host = host;
    this.pid = holder.pid ?? 0;
    this.#ended = new Promise((resolve) => {
      holder.once('exit', () => resolve());
    });
    // The device alone decides how long this process lives.
    holder.unref();
    for (const stream of [holder.stdin, holder.stdout, holder.stderr]) {
      (stream as unknown as { unref(): void }).unref();
    }
    process.on('exit', this.#endChildren);
  }

  commandLine(command: string, args: readonly string[] = []): [command: string, args: string[]] {
    const enter = ['--target', String(this.pid), ...this.#mode.nsenter, '--', command, ...args];
    return [program('nsenter'), enter];
  }

  run(command: string, args: readonly string[] = [], options: SpawnOptions = {}): ChildProcess {
    const child = spawn(...this.commandLine(command, args), options);
    this.#children.add(child);
    const forget = (): void => {
      this.#children.delete(child);
    };
    child.once('exit', forget).once('error', forget);
    return child;
  }

  async close(): Promise<void> {
    process.removeListener('exit', this.#endChildren);
    this.#endChildren();
    this.device.close();
    this.host.close();
    this.#holder.ref();
    this.#holder.stdin.destroy();
    await this.#ended;
  }
}

/** Arguments: the file that is to be `/etc/resolv.conf`, then the command. */
const WITH_RESOLVER =
  'mount --bind "$1" /etc/resolv.conf || echo "tunstack: names are asked for as outside" >&2; shift; exec "$@"';

/**
 * What `unshare` takes to run a command inside with another `/etc/resolv.conf`. The command has a mount namespace of
 * its own, so nobody else sees the change.
 */
export const withResolver = (file: string, command: string, args: readonly string[]): string[] =>
  ['--mount', '--', 'sh', '-c', WITH_RESOLVER, 'sh', file, command].concat(args);
