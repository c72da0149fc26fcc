/** `getsockopt` and `setsockopt`: Linux's options in Linux's units, and the stack's settings behind them. */
import { StackError } from '../../base/errors.js';
import type { Settings, Socket } from './socket.js';
import { SYMBOLS } from './symbols.js';

/** A number, or the name of a congestion control. */
export type OptionValue = number | string;

interface SocketOption {
  set(socket: Socket, value: OptionValue): void;
  get(socket: Socket): OptionValue;
  /** How often what was set is what is read, where nothing but the memory of it is behind the option. */
  readonly remembersTimes?: number;
}

type Name = keyof Settings;
type LiveName = Parameters<NonNullable<Socket['endpoint']>['setOption']>[0];

/** Settings that a connection keeps as it began. */
const NOT_LIVE: ReadonlySet<Name> = new Set(['receiveBufferMaxBytes', 'rtoMinMs', 'rtoMaxMs']);

/** Changes a setting, of the connection if there is one, and of what will be. */
function change<K extends Name>(socket: Socket, name: K, value: NonNullable<Settings[K]>): void {
  socket.settings[name] = value;
  if (socket.endpoint === undefined || socket.isOver || NOT_LIVE.has(name)) return;
  socket.endpoint.setOption(name as LiveName, value);
}

/** A setting as it is now: of the connection, else as it was given, else `standard`. */
function current<K extends Name>(socket: Socket, name: K, standard: Settings[K]): Settings[K] {
  return socket.endpoint?.getOption(name) ?? socket.settings[name] ?? standard;
}

const flag = (name: Name, standard = false): SocketOption => ({
  set: (socket, value) => change(socket, name, (value !== 0) as never),
  get: (socket) => (current(socket, name, standard as never) ? 1 : 0),
});

/** @param unit what one of Linux's units is in the stack's @param standard in the stack's units */
const number = (name: Name, standard: number, unit = 1): SocketOption => ({
  set: (socket, value) => change(socket, name, (Number(value) * unit) as never),
  get: (socket) => Number(current(socket, name, standard as never)) / unit,
});

/** Read back as it was given, 0 before. */
const remembered = (set: (socket: Socket, value: number) => void = () => {}): SocketOption => ({
  set: (socket, value) => set(socket, Number(value)),
  get: () => 0,
  remembersTimes: 1,
});

/** Linux counts as much overhead as data. */
const doubled = (standard: number, set: (socket: Socket, bytes: number) => void): SocketOption => ({
  set: (socket, value) => set(socket, Math.max(1, Number(value))),
  get: () => standard,
  remembersTimes: 2,
});

const sendBuffer = doubled(16_384, (socket, bytes) => change(socket, 'sendBufferBytes', bytes));
const receiveBuffer = doubled(131_072, (socket, bytes) => {
  change(socket, 'receiveBufferBytes', bytes);
  change(socket, 'receiveBufferMaxBytes', bytes);
});

const readOnly = (get: (socket: Socket) => OptionValue): SocketOption => ({
  set: () => {
    throw new StackError('ENOPROTOOPT', 'setsockopt');
  },
  get,
});

/** Path MTU discovery is always on: DO and WANT are what the stack does. */
const pathMtuDiscovery: SocketOption = {
  set(_, value) {
    if (value !== SYMBOLS.IP_PMTUDISC_DO && value !== SYMBOLS.IP_PMTUDISC_WANT) {
      throw new StackError('EOPNOTSUPP', 'setsockopt');
    }
  },
  get: () => SYMBOLS.IP_PMTUDISC_WANT,
};

const OPTIONS: Readonly<Record<string, SocketOption>> = {
  'SOL_SOCKET:SO_REUSEADDR': remembered(),
  'SOL_SOCKET:SO_REUSEPORT': remembered((socket, value) => {
    socket.reusePort = value !== 0;
  }),
  'SOL_SOCKET:SO_TYPE': readOnly(() => SYMBOLS.SOCK_STREAM),
  'SOL_SOCKET:SO_PROTOCOL': readOnly(() => SYMBOLS.IPPROTO_TCP),
  'SOL_SOCKET:SO_DOMAIN': readOnly((socket) => (socket.family === 4 ? SYMBOLS.AF_INET : SYMBOLS.AF_INET6)),
  'SOL_SOCKET:SO_ERROR': readOnly((socket) => socket.takeError()),
  'SOL_SOCKET:SO_ACCEPTCONN': readOnly((socket) => (socket.listener === undefined ? 0 : 1)),
  'SOL_SOCKET:SO_SNDBUF': sendBuffer,
  'SOL_SOCKET:SO_SNDBUFFORCE': sendBuffer,
  'SOL_SOCKET:SO_RCVBUF': receiveBuffer,
  'SOL_SOCKET:SO_RCVBUFFORCE': receiveBuffer,
  'SOL_SOCKET:SO_KEEPALIVE': flag('keepAlive'),
  'SOL_SOCKET:SO_OOBINLINE': flag('urgentInline'),
  'SOL_SOCKET:SO_LINGER': {
    set: (socket, value) => change(socket, 'lingerMs', Number(value) < 0 ? -1 : Number(value) * 1000),
    get: (socket) => Math.max(-1, Number(current(socket, 'lingerMs', -1)) / 1000),
  },
  'SOL_SOCKET:SO_MAX_PACING_RATE': number('maxPacingRateBps', Number.POSITIVE_INFINITY),
  // Marks, priorities and zero-copy change nothing of what a script can see.
  'SOL_SOCKET:SO_PRIORITY': remembered(),
  'SOL_SOCKET:SO_ZEROCOPY': remembered(),
  'SOL_SOCKET:SO_TIMESTAMP': remembered(),
  'SOL_TCP:TCP_NODELAY': flag('noDelay'),
  'SOL_TCP:TCP_CORK': flag('cork'),
  'SOL_TCP:TCP_MAXSEG': {
    set: (socket, value) => change(socket, 'maxSegmentBytes', Number(value)),
    get: (socket) => socket.endpoint?.info.mssBytes ?? socket.settings.maxSegmentBytes ?? 536,
  },
  'SOL_TCP:TCP_KEEPIDLE': number('keepAliveIdleMs', 7_200_000, 1000),
  'SOL_TCP:TCP_KEEPINTVL': number('keepAliveIntervalMs', 75_000, 1000),
  'SOL_TCP:TCP_KEEPCNT': number('keepAliveProbes', 9),
  'SOL_TCP:TCP_SYNCNT': number('synRetries', 6),
  'SOL_TCP:TCP_LINGER2': number('finTimeoutMs', 60_000, 1000),
  'SOL_TCP:TCP_WINDOW_CLAMP': number('windowClampBytes', 0),
  'SOL_TCP:TCP_QUICKACK': flag('quickAck'),
  'SOL_TCP:TCP_USER_TIMEOUT': number('userTimeoutMs', 0),
  'SOL_TCP:TCP_NOTSENT_LOWAT': number('notSentLowWaterBytes', -1),
  'SOL_TCP:TCP_RTO_MIN_US': number('rtoMinMs', 200, 1 / 1000),
  'SOL_TCP:TCP_RTO_MAX_MS': number('rtoMaxMs', 120_000),
  'SOL_TCP:TCP_CONGESTION': {
    set: (socket, value) => change(socket, 'congestionControl', String(value)),
    get: (socket) => String(current(socket, 'congestionControl', 'cubic')),
  },
  'SOL_TCP:TCP_FASTOPEN': {
    set(socket, value) {
      socket.settings.fastOpen = value !== 0;
      socket.settings.fastOpenQueue = Number(value);
      socket.listener?.setOption('fastOpen', value !== 0);
      socket.listener?.setOption('fastOpenQueue', Number(value));
    },
    get: (socket) => (socket.settings.fastOpen === true ? (socket.settings.fastOpenQueue ?? 0) : 0),
  },
  'SOL_IP:IP_TOS': number('trafficClass', 0),
  'SOL_IP:IP_TTL': number('hopLimit', 64),
  'SOL_IP:IP_MTU': readOnly((socket) => pathMtu(socket)),
  'SOL_IP:IP_MTU_DISCOVER': pathMtuDiscovery,
  'SOL_IPV6:IPV6_TCLASS': number('trafficClass', 0),
  'SOL_IPV6:IPV6_UNICAST_HOPS': number('hopLimit', 64),
  'SOL_IPV6:IPV6_MTU': readOnly((socket) => pathMtu(socket)),
  'SOL_IPV6:IPV6_MTU_DISCOVER': pathMtuDiscovery,
  'SOL_IPV6:IPV6_V6ONLY': {
    set(socket, value) {
      socket.ipv6Only = value !== 0;
    },
    get: (socket) => (socket.ipv6Only ? 1 : 0),
  },
};

function pathMtu({ endpoint }: Socket): number {
  if (endpoint === undefined) throw new StackError('ENOTCONN', 'getsockopt');
  return endpoint.info.pathMtuBytes;
}

/** Several names of one level. */
const LEVELS: Readonly<Record<string, string>> = {
  IPPROTO_TCP: 'SOL_TCP',
  IPPROTO_IP: 'SOL_IP',
  IPPROTO_IPV6: 'SOL_IPV6',
};

/** Numbers that scripts may have in place of names. */
const NAMES = new Map<string, string>();
for (const key of Object.keys(OPTIONS)) {
  const [level, name] = key.split(':');
  NAMES.set(`${SYMBOLS[level]}:${SYMBOLS[name]}`, key);
}

/** `SOL_TCP:TCP_NODELAY`, from names or numbers. @throws StackError ENOPROTOOPT for an option that is not known */
export function optionKey(level: string, name: string): string {
  const key = `${LEVELS[level] ?? level}:${name}`;
  const known = key in OPTIONS ? key : NAMES.get(key);
  if (known === undefined) throw new StackError('ENOPROTOOPT', `${level}, ${name}`);
  return known;
}

/** @throws StackError ENOPROTOOPT, EINVAL for a value out of range, ENOENT for an unknown congestion control */
export function setSocketOption(socket: Socket, key: string, value: OptionValue): void {
  try {
    OPTIONS[key].set(socket, value);
  } catch (error) {
    if (error instanceof StackError) throw error;
    throw new StackError(key.endsWith('TCP_CONGESTION') ? 'ENOENT' : 'EINVAL', 'setsockopt');
  }
  if (typeof value === 'number') socket.asked.set(key, value);
}

/** @throws StackError ENOTCONN. An errno is answered by its name, '' for none. */
export function getSocketOption(socket: Socket, key: string): OptionValue {
  const option = OPTIONS[key];
  const asked = option.remembersTimes === undefined ? undefined : socket.asked.get(key);
  return asked === undefined ? option.get(socket) : asked * (option.remembersTimes ?? 1);
}
