/** The browser's CSPRNG, drawn in pools so that a word costs no call. */
import type { Random } from '../base/random.js';
import { WordPool } from '../base/word-pool.js';

/** The CSPRNG of the browser (`crypto.getRandomValues`), drawn in pools so that a word costs no call. */
export class BrowserRandom implements Random {
  readonly #pool = new WordPool((words) => crypto.getRandomValues(words));

  uint32(): number {
    return this.#pool.uint32();
  }
}
