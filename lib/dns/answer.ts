/** What a message says to a question, its aliases followed. */
import type { DnsMessage, DnsRecord, Question } from './message.js';
import { Rcode } from './message.js';
import { nameKey } from './names.js';

export interface Answer {
  /** '' or `ENOTFOUND`, `ENODATA` … */
  readonly code: string;
  /** Records of the type asked for; for `ANY` all. None outlives the aliases that led to it. */
  readonly records: readonly DnsRecord[];
  /** Whether the server gave records, of whatever type; and whether an alias led to what it gave. */
  readonly hasOthers: boolean;
  readonly isAlias: boolean;
  /** How long all this is true, s; 0 when nobody says. */
  readonly ttlSeconds: number;
}

/** Where a chain of aliases leads that the message does not follow to its end. */
export interface Alias {
  readonly target: string;
  readonly ttlSeconds: number;
}

export const failure = (code: string): Answer => ({
  code,
  records: [],
  hasOthers: false,
  isAlias: false,
  ttlSeconds: 0,
});

/** Most aliases between a name and its records. */
export const MAX_ALIASES = 16;

/**
 * @returns the answer; an alias to ask for next; or `loop`
 * Records of names that were not asked for, and that no alias leads to, are not believed (RFC 5452 §6).
 */
export function readAnswer(question: Question, message: DnsMessage): Answer | Alias | 'loop' {
  const { answers, rcode } = message;
  const { type } = question;
  const seen = new Set<string>();
  let owner = nameKey(question.name);
  let aliasTtl = Number.POSITIVE_INFINITY;
  for (;;) {
    seen.add(owner);
    const records = answers.filter((record) => record.owner === owner && isWanted(type, record.type));
    if (records.length > 0) return found(records, aliasTtl);
    const alias = answers.find((record) => record.owner === owner && record.type === 'CNAME');
    if (alias === undefined) break;
    aliasTtl = Math.min(aliasTtl, alias.ttlSeconds);
    owner = nameKey(String(alias.data));
    if (seen.has(owner) || seen.size > MAX_ALIASES) return 'loop';
  }
  const soa = message.authorities.find((record) => record.type === 'SOA');
  const isAlias = seen.size > 1;
  if (isAlias && soa === undefined && rcode === Rcode.NOERROR) return { target: owner, ttlSeconds: aliasTtl };
  // How long nothing is there is told by the zone (RFC 2308 §5).
  const minimum = (soa?.data as { minimum?: number } | undefined)?.minimum ?? 0;
  const ttlSeconds = soa === undefined ? 0 : Math.min(soa.ttlSeconds, minimum, aliasTtl);
  const code = rcode === Rcode.NXDOMAIN ? 'ENOTFOUND' : 'ENODATA';
  return { code, records: [], hasOthers: answers.length > 0, isAlias, ttlSeconds };
}

const isWanted = (asked: string, type: string): boolean => asked === 'ANY' || asked === type;

function found(records: readonly DnsRecord[], aliasTtl: number): Answer {
  const limited = records.map((record) => ({ ...record, ttlSeconds: Math.min(record.ttlSeconds, aliasTtl) }));
  const ttlSeconds = limited.reduce((least, record) => Math.min(least, record.ttlSeconds), aliasTtl);
  return {
    code: '',
    records: limited,
    hasOthers: true,
    isAlias: aliasTtl < Number.POSITIVE_INFINITY,
    ttlSeconds,
  };
}

/** An answer reached by an alias that may be over sooner. */
export const boundedBy = (answer: Answer, ttlSeconds: number): Answer => ({
  ...answer,
  hasOthers: true,
  isAlias: true,
  ttlSeconds: Math.min(answer.ttlSeconds, ttlSeconds),
  records: answer.records.map((record) => ({
    ...record,
    ttlSeconds: Math.min(record.ttlSeconds, ttlSeconds),
  })),
});

/** An answer as it is after having been kept for a while. */
export function aged(answer: Answer, seconds: number): Answer {
  const left = (ttlSeconds: number): number => Math.max(0, Math.ceil(ttlSeconds - seconds));
  return {
    ...answer,
    ttlSeconds: left(answer.ttlSeconds),
    records: answer.records.map((record) => ({ ...record, ttlSeconds: left(record.ttlSeconds) })),
  };
}
