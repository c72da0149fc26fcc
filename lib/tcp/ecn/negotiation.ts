/**
 * What SYNs and SYN-ACKs say of explicit congestion notification, and what follows from both: the tables
 * of RFC 3168 §6.1.1 and RFC 9768 §3.1.
 */
import { TcpFlag } from '../../wire/tcp.js';

/** All settings of `ecn`. */
export const ECN_SETTINGS = ['off', 'accept', 'request', 'accept-accurate', 'request-accurate'] as const;
/** How connections take part in ECN; `TcpOptions` says at `ecn` what each means. */
export type EcnSetting = (typeof ECN_SETTINGS)[number];

/** How a connection feeds congestion marks back. */
export const EcnMode = {
  None: 0,
  /** One signal a round trip, repeated until it is heard (RFC 3168 §6.1). */
  Classic: 1,
  /** Every mark is counted (RFC 9768). */
  Accurate: 2,
} as const;
export type EcnMode = (typeof EcnMode)[keyof typeof EcnMode];

/** The ECN field of the IP header (RFC 3168 §5). */
export const EcnField = { NotEct: 0, Ect1: 1, Ect0: 2, Ce: 3 } as const;

/** AE, CWR and ECE: three flags in SYNs, one counter in the segments of an accurate connection. */
export const ECN_FLAGS = TcpFlag.AE | TcpFlag.CWR | TcpFlag.ECE;
/** Flags of the SYN that asks for classic feedback. */
const CLASSIC_SETUP = TcpFlag.CWR | TcpFlag.ECE;
/** The three flags as a number: where it begins. */
const ACE_SHIFT = 6;
const ACE_MASK = 7;

/** The three flags as the number RFC 9768 §3.2.2 calls ACE. */
export const aceOf = (flags: number): number => (flags >>> ACE_SHIFT) & ACE_MASK;
/** The flags that stand for the low bits of a counter. */
export const flagsOfAce = (counter: number): number => (counter & ACE_MASK) << ACE_SHIFT;

/** How a SYN-ACK, and the ACK of it, tell which ECN field the SYN or SYN-ACK had (RFC 9768 Tables 2 and 3). */
const REFLECTED: readonly number[] = [0b010, 0b011, 0b100, 0b110];

/** The flags that tell of an ECN field. */
export const reflecting = (field: number): number => flagsOfAce(REFLECTED[field]);

/** The ECN field such flags tell of; -1 when they tell of none. */
export const reflectedField = (flags: number): number => REFLECTED.indexOf(aceOf(flags));

/** Whether a setting takes part in accurate feedback. */
export const isAccurate = (setting: EcnSetting): boolean =>
  setting === 'accept-accurate' || setting === 'request-accurate';

/**
 * Flags of our SYN when it is sent for the `transmission`-th time. A path that swallows what it does not
 * know is met without them: at once where classic feedback was asked for (Linux `tcp_ecn_fallback`), after
 * one more try where accurate was (RFC 9768 §3.1.4.1).
 */
export function requestFlags(setting: EcnSetting, transmission: number): number {
  if (setting === 'request-accurate') return transmission <= 2 ? ECN_FLAGS : 0;
  if (setting === 'request') return transmission <= 1 ? CLASSIC_SETUP : 0;
  return 0;
}

/** What a SYN with these flags and this ECN field leads to at a host that was asked. */
export function modeOfSyn(setting: EcnSetting, flags: number, field: number): EcnMode {
  const asked = flags & ECN_FLAGS;
  if (setting === 'off' || asked === 0) return EcnMode.None;
  // Unknown combinations count as what is known (RFC 9768 §3.1.3).
  if (isAccurate(setting) && asked !== CLASSIC_SETUP) return EcnMode.Accurate;
  if ((asked & CLASSIC_SETUP) !== CLASSIC_SETUP) return EcnMode.None;
  // Who asks for no more than classic feedback sends no SYN that can be marked: where one arrives so, the
  // path overwrites the field (Linux `tcp_ecn_create_request`).
  const isOverwritten = field !== EcnField.NotEct && (asked & TcpFlag.AE) === 0;
  return isOverwritten ? EcnMode.None : EcnMode.Classic;
}

/** Flags of the SYN-ACK in a mode, in answer to a SYN with this ECN field. */
export function answerFlags(mode: EcnMode, field: number): number {
  if (mode === EcnMode.Accurate) return reflecting(field);
  return mode === EcnMode.Classic ? TcpFlag.ECE : 0;
}

/** What a SYN-ACK with these flags leads to at the host that asked. */
export function modeOfSynAck(setting: EcnSetting, flags: number): EcnMode {
  const answered = flags & ECN_FLAGS;
  switch (setting) {
    case 'request':
      // Both flags come from a host that reflects what it does not know (RFC 3168 §6.1.1.1).
      return (answered & CLASSIC_SETUP) === TcpFlag.ECE ? EcnMode.Classic : EcnMode.None;
    case 'request-accurate':
      if (answered === 0 || answered === ECN_FLAGS) return EcnMode.None;
      return answered === TcpFlag.ECE ? EcnMode.Classic : EcnMode.Accurate;
    default:
      return EcnMode.None;
  }
}

/**
 * Whether a SYN that comes again asks for another kind of feedback than the one a handshake has begun
 * with: then neither side can know what the other will do (RFC 9768 §3.1.5).
 */
export function contradicts(setting: EcnSetting, mode: EcnMode, flags: number): boolean {
  const asked = flags & ECN_FLAGS;
  if (!isAccurate(setting) || asked === 0) return false;
  if (mode === EcnMode.Accurate) return asked === CLASSIC_SETUP;
  return mode === EcnMode.Classic && asked !== CLASSIC_SETUP;
}
