/** Each example and each command is run by tests as root, and once more by tests as an ordinary user. */
import { existsSync, readdirSync, readFileSync } from 'node:fs';
import { dirname, join, resolve } from 'node:path';
import { expect } from 'chai';
import { COMMAND_NAMES } from '../../lib/cli/registry.js';

const TESTS = resolve('test');

const filesIn = (folder: string): string[] =>
  readdirSync(folder, { recursive: true, encoding: 'utf8' }).map((name) => join(folder, name));

/** The text of test files, and of everything of `test/` that they import. */
function textOf(files: readonly string[]): string {
  const texts = new Map<string, string>();
  const visit = (file: string): void => {
    if (texts.has(file) || !file.startsWith(TESTS) || !existsSync(file)) return;
    const text = readFileSync(file, 'utf8');
    texts.set(file, text);
    for (const [, path] of text.matchAll(/(?:from|import) '(\.[^']+)\.js'/g)) {
      visit(resolve(dirname(file), `${path}.ts`));
    }
  };
  for (const file of files) visit(file);
  return [...texts.values()].join('\n');
}

/** Files that say how they are started; others are parts of these. */
const examples = (): string[] =>
  filesIn('examples')
    .filter((file) => file.endsWith('.ts') && readFileSync(file, 'utf8').includes(`npx tsx ${file}`))
    .map((file) => file.slice('examples/'.length));

describe('examples and commands', () => {
  const tests = filesIn(TESTS).filter(
    (file) => file.endsWith('.test.ts') && !file.endsWith('both-users.test.ts'),
  );
  const isRootless = (file: string): boolean => file.startsWith(join(TESTS, 'rootless/'));
  const users = {
    root: textOf(tests.filter((file) => !isRootless(file))),
    'an ordinary user': textOf(tests.filter(isRootless)),
  };

  for (const [user, text] of Object.entries(users)) {
    it(`are all run as ${user}`, () => {
      const names = examples();
      expect(names).to.include.members(['router.ts', 'vm-network/machine.ts', 'encrypted-link/main.ts']);
      expect(names.filter((name) => !text.includes(`${name}'`))).to.deep.equal([]);
      expect(COMMAND_NAMES.filter((name) => !text.includes(`'${name}'`))).to.deep.equal([]);
    });
  }

  it('have a line in the list of examples each', () => {
    const list = readFileSync('examples/README.md', 'utf8');
    expect(examples().filter((name) => !list.includes(`](${name})`))).to.deep.equal([]);
    for (const [, target] of list.matchAll(/\]\(([^):]+)\)/g)) {
      expect(() => readFileSync(join('examples', target)), target).to.not.throw();
    }
  });
});
