/**
 * Writes `lib/browser.ts`, the entry for browsers: everything `lib/index.ts` exports from files that lead to nothing of
 * Node's, and what takes the place of those that do. Run it when index.ts exports something new; a test says when.
 *
 *     npx tsx scripts/browser-entry.ts
 */
import { spawnSync } from 'node:child_process';
import { existsSync, readFileSync, writeFileSync } from 'node:fs';
import { fileURLToPath } from 'node:url';
import { Source } from '../test/support/source.js';

const ENTRY = 'lib/browser.ts';

const HEAD = `/**
 * What \`tunstack/browser\` offers: everything of \`tunstack\` that needs no Node. Names that do not stand here are not
 * public there. Written by \`scripts/browser-entry.ts\`.
 */
// Connections can be disposed of, which not every set of types for browsers knows.
/// <reference lib="esnext.disposable" preserve="true" />
`;

/** What only pages have. */
const OWN = `export { BrowserClock } from './browser/browser-clock.js';
export { BrowserRandom } from './browser/browser-random.js';
// Gives every stack \`streams\`.
export { createStreams } from './browser/stack-streams.js';
`;

/** What is of no use without Node, though its files need none of it: the clock of the system, networks of the host. */
const NOT_FOR_PAGES = /^\.\/(stack\/system-|link\/host-|gateway\/)/;
/** Rooms that may use Node anywhere, and files that give stacks what a page has otherwise. */
const OF_NODE = /^lib\/((net|dgram|dns|register|cli|shard|remote|gateway)\/|streams\/stack-streams)/;

interface ExportStatement {
  readonly type: string;
  readonly start: number;
  readonly end: number;
  readonly source: { readonly value: string } | null;
}

/** A file, and where its imports of more than types lead. */
interface Linked {
  readonly path: string;
  readonly needsNode: boolean;
  readonly files: readonly string[];
}

const known = new Map<string, Linked>();

function linkedOf(path: string): Linked {
  let linked = known.get(path);
  if (linked === undefined) {
    linked = readLinked(path);
    known.set(path, linked);
  }
  return linked;
}

function readLinked(path: string): Linked {
  const source = new Source(path);
  const types = new Set<string>();
  type Statement = ExportStatement & { readonly importKind?: string; readonly exportKind?: string };
  for (const { importKind, exportKind, source: from } of source.program.body as Statement[]) {
    if ((importKind ?? exportKind) === 'type' && from !== null) types.add(from.value);
  }
  const imports = source.imports.filter(({ specifier }) => !types.has(specifier));
  return {
    path,
    needsNode: OF_NODE.test(path) || imports.some(({ file }) => file === undefined),
    files: imports.flatMap(({ file }) => (file !== undefined && existsSync(file) ? [file] : [])),
  };
}

function leadsToNode(entry: string): boolean {
  const seen = new Set<string>();
  const ahead = [entry];
  for (let path = ahead.pop(); path !== undefined; path = ahead.pop()) {
    if (seen.has(path)) continue;
    seen.add(path);
    const { needsNode, files } = linkedOf(path);
    if (needsNode) return true;
    ahead.push(...files);
  }
  return false;
}

/** What the entry has to be. */
export function browserEntry(): string {
  const text = readFileSync('lib/index.ts', 'utf8');
  const statements = (new Source('lib/index.ts', text).program.body as ExportStatement[]).flatMap(
    ({ source, start, end }) => {
      const specifier = source?.value ?? '';
      const isForPages = !NOT_FOR_PAGES.test(specifier);
      const path = `lib/${specifier.slice(2).replace(/\.js$/, '.ts')}`;
      return isForPages && !leadsToNode(path) ? [`${text.slice(start, end)}\n`] : [];
    },
  );
  const formatted = spawnSync(
    process.execPath,
    ['node_modules/@biomejs/biome/bin/biome', 'check', '--write', `--stdin-file-path=${ENTRY}`],
    { input: HEAD + statements.join('') + OWN, encoding: 'utf8' },
  );
  if (formatted.status !== 0) throw new Error(formatted.stderr);
  return formatted.stdout;
}

if (process.argv[1] === fileURLToPath(import.meta.url)) writeFileSync(ENTRY, browserEntry());
