/** Answers that are still true: few, and none for longer than it says. */
import type { DnsStats } from '../base/stats.js';
import { type Answer, aged } from './answer.js';
import type { DnsSettings } from './dns-stack.js';

interface Entry {
  readonly answer: Answer;
  readonly storedUs: number;
  readonly expiresUs: number;
}

export class Cache {
  /** In the order of last use. */
  readonly #entries = new Map<string, Entry>();
  readonly #settings: DnsSettings;
  readonly #stats: DnsStats;

  constructor(settings: DnsSettings, stats: DnsStats) {
    this.#settings = settings;
    this.#stats = stats;
  }

  get size(): number {
    return this.#entries.size;
  }

  get(key: string, nowUs: number): Answer | undefined {
    const entry = this.#entries.get(key);
    if (entry !== undefined) this.#entries.delete(key);
    if (entry === undefined || entry.expiresUs <= nowUs) {
      this.#stats.cacheMisses++;
      return undefined;
    }
    this.#entries.set(key, entry);
    this.#stats.cacheHits++;
    return aged(entry.answer, (nowUs - entry.storedUs) / 1e6);
  }

  /** Keeps an answer, unless it says that it is true only now. */
  set(key: string, answer: Answer, nowUs: number): void {
    const { cacheEntries, cacheMaxTtlSeconds, cacheMaxNegativeTtlSeconds } = this.#settings;
    const most = answer.code === '' ? cacheMaxTtlSeconds : cacheMaxNegativeTtlSeconds;
    const ttlSeconds = Math.min(answer.ttlSeconds, most);
    if (ttlSeconds <= 0 || cacheEntries === 0) return;
    this.#entries.delete(key);
    if (this.#entries.size >= cacheEntries) this.#evict(nowUs);
    this.#entries.set(key, { answer, storedUs: nowUs, expiresUs: nowUs + ttlSeconds * 1e6 });
  }

  clear(): void {
    this.#entries.clear();
  }

  /** Makes room: what is least used goes. */
  #evict(nowUs: number): void {
    for (const [key, { expiresUs }] of this.#entries) {
      this.#entries.delete(key);
      if (expiresUs > nowUs) this.#stats.cacheEvictions++;
      return;
    }
  }
}
