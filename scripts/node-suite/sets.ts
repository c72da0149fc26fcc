/** The sets Node's own tests are run in, by the module they are of. */
import { basename } from 'node:path';

/** By the beginning of their names, `test-net-…`. */
export const SETS = ['net', 'dgram', 'tls', 'https', 'http', 'http2'] as const;

type SetName = (typeof SETS)[number];

/** The set of a test, by its file or its name; nothing for tests of other modules. */
export function setOf(test: string): SetName | undefined {
  const [, module] = /^test-([a-z0-9]+)[-.]/.exec(basename(test)) ?? [];
  return SETS.find((set) => set === module);
}
