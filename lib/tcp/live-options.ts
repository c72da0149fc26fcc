/**
 * Settings of one connection that may change while it lives, and all of them to be read back: what
 * `setsockopt` and `getsockopt` are to the kernel's.
 */
import { ArgumentValueError } from '../base/errors.js';
import type { SegmentPath } from './carrier.js';
import type { TcpConnection } from './connection.js';
import { congestionFor } from './establishing.js';
import { mssForLimit } from './mtu-discovery.js';
import { checkTcpOption } from './option-check.js';
import type { TcpOptions } from './options.js';

/** A connection and the path it sends on. */
export interface OptionTarget {
  readonly connection: TcpConnection;
  readonly path: SegmentPath;
}

/** How one setting is read and changed, where it is more than a word in the options. */
interface Live<K extends keyof TcpOptions> {
  read?(target: OptionTarget): TcpOptions[K];
  change(target: OptionTarget, value: TcpOptions[K], nowUs: number): void;
}

/** The options of the connection say it, and are asked each time. */
const inOptions =
  <K extends keyof TcpOptions>(name: K) =>
  ({ connection: c }: OptionTarget, value: TcpOptions[K]): void => {
    c.options = Object.freeze({ ...c.options, [name]: value });
    c.sender.options = c.options;
  };

const keepAliveTime = (name: 'idleMs' | 'intervalMs' | 'probes'): Live<'keepAliveIdleMs'> => ({
  read: ({ connection }) => connection.timers.keepAliveTiming[name],
  change({ connection: { timers } }, value, nowUs) {
    timers.setKeepAlive(timers.keepsAlive, nowUs, { [name]: value });
  },
});

/** How each setting that may change is read and changed. */
export const LIVE = {
  noDelay: {
    read: ({ connection }) => connection.sender.small.noDelay,
    change({ connection: { sender } }, on) {
      sender.small.noDelay = on;
      if (on && sender.unsentBytes > 0) sender.small.push();
    },
  } satisfies Live<'noDelay'>,
  cork: {
    read: ({ connection }) => connection.sender.small.corked,
    change({ connection }, on) {
      connection.sender.small.corked = on;
    },
  } satisfies Live<'cork'>,
  keepAlive: {
    read: ({ connection }) => connection.timers.keepsAlive,
    change({ connection }, on, nowUs) {
      connection.timers.setKeepAlive(on, nowUs);
    },
  } satisfies Live<'keepAlive'>,
  keepAliveIdleMs: keepAliveTime('idleMs'),
  keepAliveIntervalMs: keepAliveTime('intervalMs'),
  keepAliveProbes: keepAliveTime('probes'),
  userTimeoutMs: {
    read: ({ connection }) => connection.timers.userTimeoutUs / 1000,
    change({ connection }, ms) {
      connection.timers.userTimeoutUs = ms * 1000;
      connection.writer.userTimeout?.chosen(ms);
    },
  } satisfies Live<'userTimeoutMs'>,
  synRetries: { change: inOptions('synRetries') },
  retries1: { change: inOptions('retries1') },
  retries2: { change: inOptions('retries2') },
  sendBufferBytes: {
    read: ({ connection }) => connection.sender.bufferLimit,
    change({ connection }, bytes) {
      connection.sender.fixedBufferBytes = bytes;
      connection.offerRoom();
    },
  } satisfies Live<'sendBufferBytes'>,
  receiveBufferBytes: {
    read: ({ connection }) => connection.receiver?.tuner.limitBytes ?? connection.options.receiveBufferBytes,
    change({ connection }, bytes) {
      connection.receiver?.tuner.fix(bytes);
    },
  } satisfies Live<'receiveBufferBytes'>,
  notSentLowWaterBytes: {
    change(target, bytes) {
      inOptions('notSentLowWaterBytes')(target, bytes);
      target.connection.offerRoom();
    },
  } satisfies Live<'notSentLowWaterBytes'>,
  windowClampBytes: {
    change(target, bytes) {
      inOptions('windowClampBytes')(target, bytes);
      target.connection.receiver?.tuner.clamp(bytes);
    },
  } satisfies Live<'windowClampBytes'>,
  maxSegmentBytes: { change: changeMaxSegment } satisfies Live<'maxSegmentBytes'>,
  quickAck: {
    read: ({ connection }) => connection.acks.quickAck,
    change({ connection: { acks } }, on) {
      if (!on) {
        acks.bePatient();
        return;
      }
      acks.quickAck = true;
      if (acks.isOwed) acks.now();
    },
  } satisfies Live<'quickAck'>,
  finTimeoutMs: { change: inOptions('finTimeoutMs') },
  urgentInline: { change: inOptions('urgentInline') },
  strictTimestamps: { change: inOptions('strictTimestamps') },
  trafficClass: {
    read: ({ path }) => path.trafficClass,
    change({ path }, trafficClass) {
      path.trafficClass = trafficClass & 0xfc;
    },
  } satisfies Live<'trafficClass'>,
  hopLimit: {
    read: ({ path }) => path.hopLimit,
    change({ path }, hopLimit) {
      path.hopLimit = hopLimit;
    },
  } satisfies Live<'hopLimit'>,
  lingerMs: {
    read: ({ connection }) => connection.lingerMs,
    change({ connection }, ms) {
      connection.lingerMs = ms;
    },
  } satisfies Live<'lingerMs'>,
  congestionControl: {
    read: ({ connection }) => connection.sender.congestion.name,
    change: changeCongestionControl,
  } satisfies Live<'congestionControl'>,
  pacing: { change: inOptions('pacing') },
  maxPacingRateBps: { change: inOptions('maxPacingRateBps') },
};

/** Names of the settings that may change while a connection lives. */
export type LiveOption = keyof typeof LIVE;

/**
 * Changes a setting of a connection, from now on.
 * @throws ArgumentValueError for one that only counts when a connection begins, or is none;
 *   ArgumentTypeError, ArgumentRangeError for a wrong value
 */
export function changeOption<K extends LiveOption>(
  target: OptionTarget,
  name: K,
  value: TcpOptions[K],
  nowUs: number,
): void {
  if (!Object.hasOwn(LIVE, name)) {
    throw new ArgumentValueError(`TCP option "${String(name)}" cannot be changed on a connection`);
  }
  checkTcpOption(name, value, target.connection.options[name]);
  (LIVE[name] as unknown as Live<K>).change(target, value, nowUs);
}

/** A setting as it is now; for buffers, their size as it is now. @throws ArgumentValueError for an unknown one */
export function readOption<K extends keyof TcpOptions>(target: OptionTarget, name: K): TcpOptions[K] {
  const { options } = target.connection;
  if (!Object.hasOwn(options, name)) throw new ArgumentValueError(`unknown TCP option "${name}"`);
  const live = (LIVE as unknown as Partial<Record<string, Live<K>>>)[name];
  return live?.read === undefined ? options[name] : live.read(target);
}

/**
 * What is sent from now on is cut to `bytes` at most, timestamps included; the MSS we announced stands. What is
 * in flight is no worse for being larger.
 */
function changeMaxSegment(target: OptionTarget, bytes: number): void {
  inOptions('maxSegmentBytes')(target, bytes);
  const { sender, negotiated } = target.connection;
  if (negotiated === undefined) return;
  sender.mssBytes = mssForLimit(target.connection);
  sender.congestion.setMss(sender.mssBytes);
}

/**
 * Another algorithm takes over (Linux `tcp_set_congestion_control`): window and threshold stay, and with them a
 * recovery that is under way; what the old one knew of the path beyond that is lost.
 */
function changeCongestionControl(target: OptionTarget, name: string, nowUs: number): void {
  inOptions('congestionControl')(target, name);
  const { connection: c } = target;
  const { sender } = c;
  const { congestion } = sender;
  if (congestion.name === name) return;
  const { rtt } = sender.recovery;
  const { cwndBytes, ssthreshBytes } = congestion;
  sender.congestion = congestionFor(c.parameters, c.options, {
    mssBytes: sender.mssBytes,
    segments: c.options.initialWindow,
    rttUs: rtt.srttUs,
    nowUs,
    inherited: { cwndBytes, ssthreshBytes },
  });
}
