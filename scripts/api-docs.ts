/**
 * `npm run docs:api`: writes `docs/api.md`, the reference of everything the package exports, from the doc
 * comments; with `-- --check` it only looks whether the page is what would be written. It fails where something
 * public has no comment, or speaks of a type that is not public.
 *
 * TypeDoc reads the sources by TypeScript 6, and takes no later one: so neither is a dependency of this project, which is
 * checked by TypeScript 7, and npx fetches both in the versions named here.
 */
import { spawnSync } from 'node:child_process';
import { mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { Command } from 'commander';
import type { Project } from './api-docs/model.js';
import { renderReference } from './api-docs/render.js';

const TOOLS = ['typescript@6.0.3', 'typedoc@0.28.20'];
const OPTIONS = 'scripts/api-docs/typedoc.json';
const PAGE = 'docs/api.md';

const HEAD = `# Reference

Everything \`tunstack\` exports, made from the doc comments by \`npm run docs:api\`: change those, not this page.
[README](../README.md) shows how it is used, [architecture](architecture.md) why it is so.

Times are microseconds (\`Us\`), milliseconds (\`Ms\`) or nanoseconds (\`Ns\`), sizes bytes, rates (\`Bps\`) bytes per second
but for links, which count bits. What is wrong with an argument is thrown at once, as a \`TypeError\` or \`RangeError\` with
Node's codes; what the world does to a call is a \`StackError\`.
`;

/** The sources of what \`package.json\` exports. */
function entryPoints(): string[] {
  const { exports } = JSON.parse(readFileSync('package.json', 'utf8')) as {
    exports: Record<string, string | { default: string }>;
  };
  return Object.values(exports)
    .map((entry) => (typeof entry === 'string' ? entry : entry.default))
    .filter((path) => path.endsWith('.js'))
    .map((path) => path.replace(/^\.\/dist\//, 'lib/').replace(/\.js$/, '.ts'));
}

function readSources(): Project {
  const directory = mkdtempSync(join(tmpdir(), 'api-docs-'));
  const json = join(directory, 'api.json');
  try {
    const packages = TOOLS.flatMap((tool) => ['-p', tool]);
    const args = [...packages, 'typedoc', '--options', OPTIONS, '--json', json];
    const entries = entryPoints().flatMap((entry) => ['--entryPoints', entry]);
    const { status, stdout, stderr } = spawnSync('npx', ['-y', ...args, ...entries], { encoding: 'utf8' });
    if (status !== 0) {
      process.stderr.write(`${stdout}${stderr}`);
      throw new Error(`typedoc ended with ${status}`);
    }
    return JSON.parse(readFileSync(json, 'utf8')) as Project;
  } finally {
    rmSync(directory, { recursive: true, force: true });
  }
}

const { check } = new Command('api-docs')
  .option('--check', 'write nothing; fail when the page is not what would be written', false)
  .parse()
  .opts<{ check: boolean }>();
const page = renderReference(readSources(), HEAD);
if (!check) {
  writeFileSync(PAGE, page);
} else if (readFileSync(PAGE, 'utf8') !== page) {
  console.error(`${PAGE} is not what the doc comments say: run npm run docs:api`);
  process.exitCode = 1;
}
