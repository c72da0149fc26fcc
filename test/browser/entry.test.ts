/** `tunstack/browser` as it is built: nothing in it needs Node, and nothing is missing that does not. */
import { existsSync } from 'node:fs';
import { relative } from 'node:path';
import { createContext, runInContext } from 'node:vm';
import { expect } from 'chai';
import { globalsUsed, Source } from '../support/source.js';
import { bundle, ENTRY } from './bundle.js';

/** What Node has, and a page does not, or not by this name. */
const OF_NODE: ReadonlySet<string> = new Set(
  'process Buffer global require module __dirname __filename setImmediate clearImmediate'.split(' '),
);

/** All files that a file leads to by what it imports, itself included. Types lead nowhere. */
function graphOf(entry: string): Source[] {
  const found = new Map<string, Source>();
  const visit = (path: string): void => {
    if (found.has(path)) return;
    const source = new Source(path);
    found.set(path, source);
    for (const { file } of source.imports) if (file !== undefined) visit(file.replace(/\.ts$/, '.js'));
  };
  visit(entry);
  return [...found.values()];
}

/** Exported names of a file of ours by the file they come from, those of types left out. */
function exportsOf(path: string): Map<string, string[]> {
  const found = new Map<string, string[]>();
  for (const statement of new Source(path).program.body as Statement[]) {
    if (statement.type !== 'ExportNamedDeclaration' || statement.source === null) continue;
    const names = statement.specifiers.map(({ exported }) => exported.name);
    found.set(statement.source.value, [...(found.get(statement.source.value) ?? []), ...names]);
  }
  return found;
}

interface Statement {
  readonly type: string;
  readonly source: { readonly value: string } | null;
  readonly specifiers: readonly { readonly exported: { readonly name: string } }[];
}

/** What needs no Node, and is of no use without what does: the clock of the system, networks of the host. */
const NOT_FOR_PAGES = /^\.\/(stack\/system-|link\/host-|gateway\/)/;

const entry = relative('.', ENTRY);

describe('tunstack/browser', () => {
  before(() => {
    expect(existsSync(ENTRY), `${entry}, which npm test builds`).to.equal(true);
  });

  it('imports nothing but files of its own', () => {
    const graph = graphOf(entry);
    const foreign = graph.flatMap(({ path, imports }) =>
      imports.filter(({ file }) => file === undefined).map(({ specifier }) => `${path}: ${specifier}`),
    );
    expect(foreign).to.deep.equal([]);
    expect(graph.length).to.be.above(100);
    expect(
      graph.map(({ path }) => path).filter((path) => /tun-|netlink|host-|system-/.test(path)),
    ).to.deep.equal([]);
  });

  it("uses no global of Node's", () => {
    const used = graphOf(entry).flatMap((source) => globalsUsed(source, OF_NODE));
    expect(used.map(({ name, place }) => `${place} uses ${name}`)).to.deep.equal([]);
  });

  it('is bundled for a browser without a word', async function () {
    this.timeout(30_000);
    const { metafile, warnings } = await bundle(ENTRY);
    expect(warnings).to.deep.equal([]);
    const external = Object.values(metafile.inputs).flatMap(({ imports }) =>
      imports.filter((imported) => imported.external === true).map(({ path }) => path),
    );
    expect(external).to.deep.equal([]);
  });

  it('offers all that tunstack offers and no Node is needed for', () => {
    const ours = exportsOf('lib/browser.ts');
    const offered = new Set([...ours.values()].flat());
    const missing: string[] = [];
    for (const [specifier, names] of exportsOf('lib/index.ts')) {
      if (NOT_FOR_PAGES.test(specifier)) continue;
      const graph = graphOfSource(`lib/${specifier.slice(2).replace(/\.js$/, '.ts')}`);
      if (graph.some(needsNode)) continue;
      for (const name of names) if (!offered.has(name)) missing.push(`${name} from ${specifier}`);
    }
    expect(missing, 'add these to lib/browser.ts, or say in this test why not').to.deep.equal([]);
  });

  it('runs where there is nothing but what pages have', async function () {
    this.timeout(30_000);
    const { outputFiles } = await bundle(ENTRY, { globalName: 'tunstack' });
    const program = `${outputFiles[0].text};
      const simulation = new tunstack.Simulation({ seed: 5 });
      const bytes = simulation.transfer({ bytes: 100_000 });
      simulation.close();
      bytes + new tunstack.BrowserRandom().uint32() * 0;`;
    const names = ['performance', 'crypto', 'ReadableStream', 'WritableStream', 'TextEncoder', 'TextDecoder'];
    const page = Object.fromEntries(names.map((name) => [name, globalThis[name as keyof typeof globalThis]]));
    // Pages that are not isolated have none; every new context has.
    const context = createContext(page);
    runInContext('delete globalThis.SharedArrayBuffer', context);
    expect(runInContext(program, context)).to.equal(100_000);
  });
});

/** A file and where it leads. */
type Linked = Pick<Source, 'path' | 'imports'>;

/** Whether a source itself takes something of Node's. What it takes only the types of does not count. */
const needsNode = ({ path, imports }: Linked): boolean =>
  imports.some(({ specifier, file }) => file === undefined && !specifier.startsWith('.')) ||
  /^lib\/(net|dgram|dns|register|cli|shard|remote)\//.test(path);

/** As `graphOf`, of sources, in which imports of types are seen, and are not followed. */
function graphOfSource(entry: string): Linked[] {
  const found = new Map<string, Linked>();
  const visit = (path: string): void => {
    if (found.has(path) || !existsSync(path)) return;
    const source = sources.get(path) ?? withValueImports(new Source(path));
    sources.set(path, source);
    found.set(path, source);
    for (const { file } of source.imports) if (file !== undefined) visit(file);
  };
  visit(entry);
  return [...found.values()];
}

/** Read once, for all names that lead there. */
const sources = new Map<string, Linked>();

/** A source with those of its imports that are more than types. */
function withValueImports(source: Source): Linked {
  const onlyTypes = new Set<string>();
  for (const node of source.program.body as (Statement & { importKind?: string; exportKind?: string })[]) {
    const kind = node.importKind ?? node.exportKind;
    if (kind === 'type' && node.source !== null) onlyTypes.add(node.source.value);
  }
  const imports = source.imports.filter(({ specifier }) => !onlyTypes.has(specifier));
  return { path: source.path, imports };
}
