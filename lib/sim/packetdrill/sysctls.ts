/** Linux's sysctls, and the settings of a stack that mean the same. */
import type { StackOptions } from '../../stack/stack.js';
import { Unsupported } from './attempt.js';
import type { Settings } from './socket.js';

type LayerOptions = NonNullable<StackOptions['tcp']>;
type LayerSettings = { -readonly [K in keyof Omit<LayerOptions, 'connection'>]: LayerOptions[K] };

/** What commands have set so far. */
export interface Environment {
  /** Of every connection that begins from now on. */
  readonly connection: Settings;
  /** Of the stack: they count until it is made, by the first event that is no command. */
  readonly layer: LayerSettings;
  isStarted: boolean;
}

type Sysctl = (environment: Environment, words: readonly string[]) => void;

type Numeric = {
  [K in keyof Settings]-?: NonNullable<Settings[K]> extends number ? K : never;
}[keyof Settings];
type Logical = {
  [K in keyof Settings]-?: NonNullable<Settings[K]> extends boolean ? K : never;
}[keyof Settings];

const number =
  (name: Numeric, unit = 1): Sysctl =>
  ({ connection }, [value]) => {
    connection[name] = Number(value) * unit;
  };

/** @param mask bits of the value that turn it on */
const flag =
  (name: Logical, mask = -1): Sysctl =>
  ({ connection }, [value]) => {
    connection[name] = (Number(value) & mask) !== 0;
  };

/** A setting of the stack, which nothing can change while it runs. */
const layer =
  (set: (settings: LayerSettings, value: number) => void): Sysctl =>
  (environment, [value]) => {
    if (environment.isStarted)
      throw new Unsupported('a setting of the whole stack must stand before the first event');
    set(environment.layer, Number(value));
  };

/** The only value with which the stack is as Linux would be. */
const only =
  (...allowed: readonly number[]): Sysctl =>
  (_, [value]) => {
    if (!allowed.includes(Number(value))) throw new Unsupported(`only ${allowed.join(' or ')} is supported`);
  };

/** Linux's `always`, `never` … by its number. */
const choice =
  <T>(...values: readonly T[]): ((value: number) => T) =>
  (value) => {
    if (values[value] === undefined) throw new Unsupported(`${value} is not supported`);
    return values[value];
  };

const cookieMode = choice<NonNullable<LayerOptions['synCookies']>>('never', 'overflow', 'always');
const ecnSetting = choice<NonNullable<Settings['ecn']> | undefined>(
  'off',
  'request',
  'accept',
  'request-accurate',
  undefined,
  'accept-accurate',
) as (value: number) => NonNullable<Settings['ecn']>;

/** Bits of `tcp_fastopen`: text without a cookie, sent or taken; every listener takes part. */
const FAST_OPEN_WITHOUT_COOKIE = 0x204;
const FAST_OPEN_LISTENERS = 0x400;

const reuseMode = choice<NonNullable<LayerOptions['timeWaitReuse']>>('never', 'always', 'loopback');

const receiveMemory: Sysctl = ({ connection }, [, standard, most]) => {
  connection.receiveBufferBytes = Number(standard);
  connection.receiveBufferMaxBytes = Math.max(Number(standard), Number(most));
};

const TABLE: Readonly<Record<string, Sysctl>> = {
  tcp_timestamps: flag('timestamps'),
  tcp_sack: flag('sack'),
  tcp_window_scaling: flag('windowScaling'),
  tcp_syn_retries: number('synRetries'),
  tcp_retries1: number('retries1'),
  tcp_retries2: number('retries2'),
  tcp_keepalive_time: number('keepAliveIdleMs', 1000),
  tcp_keepalive_intvl: number('keepAliveIntervalMs', 1000),
  tcp_keepalive_probes: number('keepAliveProbes'),
  tcp_fin_timeout: number('finTimeoutMs', 1000),
  tcp_notsent_lowat: ({ connection }, [value]) => {
    connection.notSentLowWaterBytes = Number(value) >= 0x7fff_ffff || Number(value) < 0 ? -1 : Number(value);
  },
  tcp_rto_min_us: number('rtoMinMs', 1 / 1000),
  tcp_rto_max_ms: number('rtoMaxMs'),
  tcp_rmem: receiveMemory,
  tcp_wmem: ({ connection }, [, , most]) => {
    connection.sendBufferBytes = Number(most);
  },
  tcp_congestion_control: ({ connection }, [name]) => {
    connection.congestionControl = name;
  },
  tcp_recovery: flag('rack', 1),
  tcp_early_retrans: flag('tailLossProbe', 6),
  tcp_frto: flag('forwardRto'),
  tcp_ecn: ({ connection }, [value]) => {
    connection.ecn = ecnSetting(Number(value));
  },
  tcp_fastopen({ connection }, [value]) {
    if (Number(value) & FAST_OPEN_WITHOUT_COOKIE)
      throw new Unsupported('Fast Open without a cookie is not supported');
    connection.fastOpen = (Number(value) & FAST_OPEN_LISTENERS) !== 0;
  },
  ip_default_ttl: number('hopLimit'),
  tcp_synack_retries: layer((settings, value) => {
    settings.synAckRetries = value;
  }),
  tcp_syncookies: layer((settings, value) => {
    settings.synCookies = cookieMode(value);
  }),
  tcp_tw_reuse: layer((settings, value) => {
    settings.timeWaitReuse = reuseMode(value);
  }),
  tcp_rfc1337: layer((settings, value) => {
    settings.rfc1337 = value !== 0;
  }),
  tcp_abort_on_overflow: layer((settings, value) => {
    settings.abortOnOverflow = value !== 0;
  }),
  tcp_max_syn_backlog: layer((settings, value) => {
    settings.maxSynBacklog = value;
  }),
  tcp_orphan_retries: layer((settings, value) => {
    settings.orphanRetries = value === 0 ? 8 : value;
  }),
  tcp_max_orphans: layer((settings, value) => {
    settings.maxOrphans = value;
  }),
  tcp_invalid_ratelimit: layer((settings, value) => {
    settings.invalidAckIntervalMs = value;
  }),
  tcp_dsack: only(1),
  tcp_moderate_rcvbuf: only(1),
  tcp_slow_start_after_idle: only(1),
  tcp_shrink_window: only(0),
};

/** They tune what a kernel does inside, and no segment would differ. */
const WITHOUT_EFFECT: ReadonlySet<string> = new Set([
  'tcp_no_metrics_save',
  'tcp_adv_win_scale',
  'tcp_app_win',
  'tcp_autocorking',
  'tcp_available_congestion_control',
  'tcp_allowed_congestion_control',
  'tcp_limit_output_bytes',
  'tcp_mem',
  'tcp_ecn_fallback',
  'tcp_fastopen_blackhole_timeout_sec',
  'tcp_min_snd_mss',
  'tcp_min_tso_segs',
  'tcp_tso_win_divisor',
  'tcp_tso_rtt_log',
  'tcp_min_rtt_wlen',
  'tcp_max_tw_buckets',
  'tcp_low_latency',
  'tcp_stdurg',
  'tcp_challenge_ack_limit',
  'tcp_backlog_ack_defer',
  'somaxconn',
  'rmem_max',
  'rmem_default',
  'wmem_max',
  'wmem_default',
  'optmem_max',
  'default_qdisc',
  'high_order_alloc_disable',
]);

/**
 * Sets `net.ipv4.tcp_sack`, however its name is written.
 * @throws Unsupported for an unknown one, a value that cannot be had, or too late
 */
export function applySysctl(name: string, value: string, environment: Environment): void {
  const short = name.split(/[./]/).at(-1) ?? '';
  if (WITHOUT_EFFECT.has(short)) return;
  const sysctl = Object.hasOwn(TABLE, short) ? TABLE[short] : undefined;
  if (sysctl === undefined) throw new Unsupported(`the sysctl ${name} is not supported`);
  try {
    sysctl(environment, value.trim().split(/\s+/));
  } catch (error) {
    if (error instanceof Unsupported) throw new Unsupported(`sysctl ${name}=${value}: ${error.message}`);
    throw error;
  }
}

/** The settings that scripts which call `defaults.sh` rely on: only its receive buffer shows, in the window scale. */
export function resetToDefaults({ connection }: Environment): void {
  connection.receiveBufferMaxBytes = 15_728_640;
}

/** What `tcp_rmem` and `tcp_wmem` are on machines that packetdrill's scripts are written for: a scale of 7. */
const BUFFERS = { receiveBufferMaxBytes: 6 << 20, sendBufferBytes: 4 << 20 };

export const freshEnvironment = (): Environment => ({
  connection: { ...BUFFERS },
  layer: {},
  isStarted: false,
});
