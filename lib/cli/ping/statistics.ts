/** What a series of echo requests comes to. */

export interface PingSummary {
  readonly transmitted: number;
  readonly received: number;
  readonly duplicates: number;
  /** Replies with other data than were sent. */
  readonly corrupted: number;
  /** ICMP errors in place of a reply. */
  readonly errors: number;
  /** 0 .. 100. */
  readonly lossPercent: number;
  readonly elapsedMs: number;
  /** Absent without replies. */
  readonly rttMs?: {
    readonly min: number;
    readonly avg: number;
    readonly max: number;
    readonly mdev: number;
  };
}

export class PingStatistics {
  transmitted = 0;
  received = 0;
  duplicates = 0;
  corrupted = 0;
  errors = 0;
  #minUs = Number.POSITIVE_INFINITY;
  #maxUs = 0;
  #sumUs = 0;
  #squares = 0;

  addReply(rttUs: number): void {
    this.received++;
    this.#minUs = Math.min(this.#minUs, rttUs);
    this.#maxUs = Math.max(this.#maxUs, rttUs);
    this.#sumUs += rttUs;
    this.#squares += rttUs * rttUs;
  }

  summary(elapsedUs: number): PingSummary {
    const { transmitted, received, duplicates, corrupted, errors } = this;
    const base = {
      transmitted,
      received,
      duplicates,
      corrupted,
      errors,
      lossPercent: transmitted === 0 ? 0 : (100 * (transmitted - received)) / transmitted,
      elapsedMs: elapsedUs / 1000,
    };
    if (received === 0) return base;
    const mean = this.#sumUs / received;
    // The mean deviation of ping is the standard deviation.
    const deviation = Math.sqrt(Math.max(0, this.#squares / received - mean * mean));
    const rttMs = {
      min: this.#minUs / 1000,
      avg: mean / 1000,
      max: this.#maxUs / 1000,
      mdev: deviation / 1000,
    };
    return { ...base, rttMs };
  }
}

/** As `ping` of iputils closes. */
export function summaryLines(host: string, summary: PingSummary): string[] {
  const { transmitted, received, duplicates, corrupted, errors, lossPercent, elapsedMs, rttMs } = summary;
  const extras = [
    ...(duplicates > 0 ? [`+${duplicates} duplicates`] : []),
    ...(corrupted > 0 ? [`+${corrupted} corrupted`] : []),
    ...(errors > 0 ? [`+${errors} errors`] : []),
  ];
  const counts = [`${transmitted} packets transmitted`, `${received} received`, ...extras];
  const loss = Number(lossPercent.toFixed(4));
  const lines = [
    `--- ${host} ping statistics ---`,
    `${counts.join(', ')}, ${loss}% packet loss, time ${Math.round(elapsedMs)}ms`,
  ];
  if (rttMs === undefined) return lines;
  const numbers = [rttMs.min, rttMs.avg, rttMs.max, rttMs.mdev].map((ms) => ms.toFixed(3));
  return [...lines, `rtt min/avg/max/mdev = ${numbers.join('/')} ms`];
}
