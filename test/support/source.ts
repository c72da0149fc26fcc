/** Source files as syntax trees, for the tests that look at the code itself. */
import { existsSync, readdirSync, readFileSync } from 'node:fs';
import { posix } from 'node:path';
import { type Comment, parseSync } from 'oxc-parser';

/** Any node of an ESTree. */
export interface Node {
  readonly type: string;
  readonly start: number;
  readonly end: number;
  readonly [key: string]: unknown;
}

export interface SourceImport {
  /** As written. */
  readonly specifier: string;
  /** The project's file it names, or `undefined` for a package or a module of Node. */
  readonly file: string | undefined;
}

export class Source {
  /** Relative to the project. */
  readonly path: string;
  readonly text: string;
  readonly program: Node;
  readonly comments: readonly Comment[];
  readonly imports: readonly SourceImport[];

  constructor(path: string, text = readFileSync(path, 'utf8')) {
    this.path = path;
    this.text = text;
    const parsed = parseSync(path, text);
    if (parsed.errors.length > 0) throw new Error(`${path}: ${parsed.errors[0].message}`);
    this.program = parsed.program as unknown as Node;
    this.comments = parsed.comments;
    const specifiers = [
      ...parsed.module.staticImports.map((found) => found.moduleRequest.value),
      ...parsed.module.staticExports.flatMap((found) =>
        found.entries.flatMap((entry) => entry.moduleRequest?.value ?? []),
      ),
      // A module that only a value names is the user's.
      ...parsed.module.dynamicImports
        .filter(({ moduleRequest: { start } }) => /['"`]/.test(text[start]))
        .map(({ moduleRequest: { start, end } }) => text.slice(start + 1, end - 1)),
    ];
    this.imports = [...new Set(specifiers)].map((specifier) => ({
      specifier,
      file: resolve(path, specifier),
    }));
  }

  /** 1 for the first. */
  lineOf(offset: number): number {
    return this.text.slice(0, offset).split('\n').length;
  }

  /** `lib/tcp/sender.ts:12`. */
  placeOf(node: Node): string {
    return `${this.path}:${this.lineOf(node.start)}`;
  }
}

const resolve = (from: string, specifier: string): string | undefined =>
  specifier.startsWith('.') ? posix.join(posix.dirname(from), specifier).replace(/\.js$/, '.ts') : undefined;

/** Lines of a text, its last one with or without an end. */
export const linesOf = (text: string): number => text.split('\n').length - (text.endsWith('\n') ? 1 : 0);

/** Paths of files below a directory whose name ends so, sorted; none where there is no such directory. */
export function filesBelow(directory: string, ending: string): string[] {
  if (!existsSync(directory)) return [];
  return readdirSync(directory, { recursive: true, encoding: 'utf8' })
    .filter((path) => path.endsWith(ending))
    .map((path) => posix.join(directory, path))
    .sort();
}

const isNode = (value: unknown): value is Node =>
  typeof value === 'object' && value !== null && typeof (value as Node).type === 'string';

/** Calls `visit` for a node and all below it, parents first, with the nodes above, nearest last. */
export function walk(
  node: Node,
  visit: (node: Node, above: readonly Node[]) => void,
  above: Node[] = [],
): void {
  visit(node, above);
  above.push(node);
  for (const value of Object.values(node)) {
    for (const child of Array.isArray(value) ? (value as unknown[]) : [value]) {
      if (isNode(child)) walk(child, visit, above);
    }
  }
  above.pop();
}

/** Node types of functions that have a body of their own. */
const FUNCTIONS: ReadonlySet<string> = new Set([
  'FunctionDeclaration',
  'FunctionExpression',
  'ArrowFunctionExpression',
]);

export interface SourceFunction {
  /** `Sender.transmit`, `parseV4`, or `(anonymous)`. */
  readonly name: string;
  readonly place: string;
  readonly lines: number;
  readonly parameters: number;
}

/** Every function of a file, nested ones too. */
export function functionsOf(source: Source): SourceFunction[] {
  const functions: SourceFunction[] = [];
  walk(source.program, (node, above) => {
    if (!FUNCTIONS.has(node.type) || !isNode(node.body)) return;
    functions.push({
      name: nameOf(node, above),
      place: source.placeOf(node),
      lines: source.lineOf(node.end) - source.lineOf(node.start) + 1,
      // TypeScript's `this` parameter is none.
      parameters: (node.params as Node[]).filter((parameter) => parameter.name !== 'this').length,
    });
  });
  return functions;
}

const isFunction = (node: Node): boolean => FUNCTIONS.has(node.type);

/** Whether the innermost thing around a node that runs later than the module is a function. */
export const insideFunction = (above: readonly Node[]): boolean => above.some(isFunction);

function nameOf(node: Node, above: readonly Node[]): string {
  const own = (node.id as Node | null)?.name;
  if (typeof own === 'string') return own;
  const parent = above[above.length - 1];
  if (parent?.type === 'VariableDeclarator') return String((parent.id as Node).name);
  if (parent?.type !== 'MethodDefinition' && parent?.type !== 'PropertyDefinition') return '(anonymous)';
  const key = parent.key as Node;
  const member = key.type === 'PrivateIdentifier' ? `#${String(key.name)}` : String(key.name);
  const owner = above[above.length - 3]?.id as Node | null | undefined;
  return owner ? `${String(owner.name)}.${member}` : member;
}

/** Names a file reads that it takes from nowhere but the global object, as far as syntax tells. */
export function globalsUsed(source: Source, names: ReadonlySet<string>): { name: string; place: string }[] {
  const used: { name: string; place: string }[] = [];
  walk(source.program, (node, above) => {
    if (node.type !== 'Identifier' || !names.has(String(node.name))) return;
    const parent = above[above.length - 1];
    // A property's name, after a dot or before a colon, is not the global of that name.
    if (parent.computed !== true && (parent.property === node || parent.key === node)) return;
    used.push({ name: String(node.name), place: source.placeOf(node) });
  });
  return used;
}
