/**
 * The walls of the house, which no review should have to hold: who may import whom, where the host's time
 * and randomness may be used, how long things may get, and how names and citations are spelled.
 */
import { readFileSync } from 'node:fs';
import { basename } from 'node:path';
import { expect } from 'chai';
import {
  filesBelow,
  functionsOf,
  globalsUsed,
  insideFunction,
  linesOf,
  type Node,
  Source,
  walk,
} from './support/source.js';

/** Which rooms of `lib/` each room may import, besides itself. */
const ROOMS: Readonly<Record<string, readonly string[]>> = {
  base: [],
  wire: ['base'],
  buffer: ['base'],
  link: ['base', 'wire'],
  udp: ['base', 'wire'],
  // Frames around packets: ARP, neighbour and router discovery; it meets the stack as any link does.
  ethernet: ['base', 'wire', 'link'],
  // Speaks over an Ethernet link before there are addresses.
  dhcp: ['base', 'wire', 'link', 'ethernet'],
  ip: ['base', 'wire'],
  'tcp/congestion': ['base'],
  'tcp/ecn': ['base', 'wire'],
  'tcp/recovery': ['base'],
  tcp: ['base', 'wire', 'buffer', 'tcp/recovery', 'tcp/congestion', 'tcp/ecn'],
  stack: ['base', 'wire', 'buffer', 'link', 'ip', 'tcp', 'udp', 'tcp/recovery', 'tcp/congestion', 'tcp/ecn'],
  net: ['base', 'wire/ip-address', 'stack', 'dns/names', 'dns/stack-dns'],
  // The manners of Node's API are written once.
  dgram: [
    'base',
    'wire/ip-address',
    'stack',
    'net/arguments',
    'net/callable',
    'net/node-errors',
    'net/node-version',
    'net/resolve',
    'net/show-as-node',
    'net/zones',
  ],
  // The time and randomness of a page, and what takes the place of Node's names.
  browser: [
    'base',
    'stack',
    'streams',
    'dns/channel',
    'dns/host',
    'dns/lookup',
    'dns/plain-codec',
    'dns/query',
  ],
  // Needs nothing of Node's but names.
  streams: ['base', 'wire/ip-address', 'stack', 'net/resolve'],
  dns: [
    'base',
    'wire/ip-address',
    'stack',
    'net/arguments',
    'net/node-errors',
    'net/node-version',
    'net/show-as-node',
  ],
  // A whole process is given a stack: where it comes from, and what is put in its place.
  register: ['net', 'dns', 'stack', 'link'],
  sim: ['base', 'wire', 'link', 'stack'],
  // A stack in a thread, and the endpoints of `net` that speak to it from another.
  remote: ['base', 'wire/ip-address', 'link/tun-device', 'stack', 'net', 'index'],
  // Any two streams of Node's are joined here.
  relay: ['base'],
  // Works within IP, by what IP offers to whoever rewrites packets.
  nat: [
    'base',
    'wire',
    'stack/stack',
    'ip/extension-headers',
    'ip/forward-hook',
    'ip/icmp-quote',
    'ip/prefix-mask',
  ],
  // A stack on one side, the host's sockets on the other.
  socks: ['base', 'wire', 'stack', 'net', 'udp', 'relay', 'gateway/dns-question', 'gateway/stack-namespace'],
  gateway: ['base', 'wire', 'link/tun-private', 'stack', 'udp', 'relay'],
  // Stacks side by side in threads, and what the layers of each ask their neighbours.
  shard: ['base', 'wire', 'link', 'stack', 'tcp/neighbours', 'udp/neighbours', 'index'],
};
/** These meet everything: the command line, and the list of what is public. */
const OPEN_ROOMS = ['cli', ''];

/** Files that may use Node: its modules, its globals, its time and randomness. */
const HOST_FILES =
  /^lib\/(stack\/system-[^/]+|link\/tun-[^/]+|(shard|remote)\/(sharded-stack|worker[^/]*)|(net|dgram|dns|register|relay|gateway|socks|browser|cli)\/.+)\.ts$/;

/** Packages `lib/` may import, and where. */
const PACKAGES: Readonly<Record<string, RegExp>> = {
  bindings: /^lib\/link\/tun-/,
  'dns-packet': /^lib\/dns\//,
  commander: /^lib\/cli\//,
  'cli-progress': /^lib\/cli\//,
};

const HOST_GLOBALS: ReadonlySet<string> = new Set(
  (
    'Date performance setTimeout setInterval setImmediate clearTimeout clearInterval clearImmediate ' +
    'queueMicrotask process Buffer crypto console fetch globalThis require WeakRef FinalizationRegistry'
  ).split(' '),
);

const MAX_FILE_LINES = 400;
const MAX_FUNCTION_LINES = 60;
const MAX_PARAMETERS = 4;

/** What may be larger, each with its reason. A place that no longer needs its line here fails too. */
const LONGER_FILES: Readonly<Record<string, string>> = {};
const LONGER_FUNCTIONS: Readonly<Record<string, string>> = {};
const MORE_PARAMETERS: Readonly<Record<string, string>> = {
  'lib/wire/ip-address.ts IpAddress.constructor': 'a family and four words are one value, on the packet path',
  'lib/base/copy.ts copyWords': 'as copyBytes',
  'lib/base/copy.ts copyBytes': 'from where, to where and how much: any object made for it would be garbage',
};

const library = filesBelow('lib', '.ts').map((path) => new Source(path));

const nativeFiles = (): string[] => ['.cc', '.h'].flatMap((ending) => filesBelow('native', ending));

/** The innermost room a file is in: `tcp/recovery` before `tcp`. */
function roomOf(path: string): string {
  const parts = path.split('/').slice(1, -1);
  const inner = parts.slice(0, 2).join('/');
  return inner in ROOMS ? inner : (parts[0] ?? '');
}

function mayImport(from: string, file: string): boolean {
  const room = roomOf(from);
  const target = roomOf(file);
  if (room === target || OPEN_ROOMS.includes(room)) return true;
  return ROOMS[room].some((allowed) => allowed === target || file === `lib/${allowed}.ts`);
}

/** Exceptions that nothing needs any more. */
const unneeded = (exceptions: Readonly<Record<string, string>>, needed: ReadonlySet<string>): string[] =>
  Object.keys(exceptions).filter((place) => !needed.has(place));

describe('architecture: imports', () => {
  it('stand only in known rooms', () => {
    expect(library).to.not.be.empty;
    const rooms = new Set(library.map((source) => roomOf(source.path)));
    expect([...rooms].filter((room) => !(room in ROOMS) && !OPEN_ROOMS.includes(room))).to.deep.equal([]);
  });

  it('respect the walls between rooms', () => {
    const broken = library.flatMap((source) =>
      source.imports
        .filter(({ file }) => file !== undefined && !mayImport(source.path, file))
        .map(({ specifier }) => `${source.path} imports ${specifier}`),
    );
    expect(broken).to.deep.equal([]);
  });

  it('name files of the project by relative path with .js, and stay inside lib', () => {
    const broken = library.flatMap((source) =>
      source.imports
        .filter(
          ({ specifier, file }) =>
            file !== undefined && !(specifier.endsWith('.js') && file.startsWith('lib/')),
        )
        .map(({ specifier }) => `${source.path} imports ${specifier}`),
    );
    expect(broken).to.deep.equal([]);
  });

  it("take Node's modules and packages only where they belong", () => {
    const broken = library.flatMap((source) =>
      source.imports
        .filter(({ specifier, file }) => {
          if (file !== undefined) return false;
          if (specifier.startsWith('node:')) return !HOST_FILES.test(source.path);
          return !PACKAGES[specifier]?.test(source.path);
        })
        .map(({ specifier }) => `${source.path} imports ${specifier}`),
    );
    expect(broken).to.deep.equal([]);
  });
});

describe('architecture: the host', () => {
  it('gives time, randomness and its globals only to the rooms at its door', () => {
    const broken = library
      .filter((source) => !HOST_FILES.test(source.path))
      .flatMap((source) =>
        globalsUsed(source, HOST_GLOBALS).map(({ name, place }) => `${place} uses ${name}`),
      );
    expect(broken).to.deep.equal([]);
  });

  it('gives no randomness of its own to anybody: Math.random is nowhere', () => {
    const broken = library.filter((source) => /\bMath\s*\.\s*random\b/.test(source.text));
    expect(broken.map((source) => source.path)).to.deep.equal([]);
  });

  it('can load the package with require(): no module awaits while it loads', () => {
    const broken: string[] = [];
    for (const source of library) {
      walk(source.program, (node, above) => {
        const awaits =
          node.type === 'AwaitExpression' || (node.type === 'ForOfStatement' && node.await === true);
        if (awaits && !insideFunction(above)) broken.push(source.placeOf(node));
      });
    }
    expect(broken).to.deep.equal([]);
  });

  it('is not waited for by tests of the protocol: they run in virtual time', () => {
    const timers = new Set(['setTimeout', 'setInterval', 'setImmediate']);
    const broken = filesBelow('test', '.ts')
      .filter((path) => /^test\/(scenario|sim|model)\//.test(path))
      .flatMap((path) => globalsUsed(new Source(path), timers))
      .map(({ name, place }) => `${place} uses ${name}`);
    expect(broken).to.deep.equal([]);
  });
});

describe('architecture: sizes', () => {
  it(`files have at most ${MAX_FILE_LINES} lines`, () => {
    const native = nativeFiles().map((path) => ({ path, lines: linesOf(readFileSync(path, 'utf8')) }));
    const sources = [...library.map(({ path, text }) => ({ path, lines: linesOf(text) })), ...native];
    const long = sources.filter(({ lines }) => lines > MAX_FILE_LINES);
    const broken = long.filter(({ path }) => !(path in LONGER_FILES));
    expect(broken.map(({ path, lines }) => `${path}: ${lines} lines`)).to.deep.equal([]);
    expect(unneeded(LONGER_FILES, new Set(long.map(({ path }) => path)))).to.deep.equal([]);
  });

  const functions = library.flatMap((source) =>
    functionsOf(source).map((found) => ({ ...found, key: `${source.path} ${found.name}` })),
  );

  it(`functions have at most ${MAX_FUNCTION_LINES} lines`, () => {
    const long = functions.filter(({ lines }) => lines > MAX_FUNCTION_LINES);
    const broken = long.filter(({ key }) => !(key in LONGER_FUNCTIONS));
    expect(broken.map(({ place, name, lines }) => `${place} ${name}: ${lines} lines`)).to.deep.equal([]);
    expect(unneeded(LONGER_FUNCTIONS, new Set(long.map(({ key }) => key)))).to.deep.equal([]);
  });

  it(`functions have at most ${MAX_PARAMETERS} parameters`, () => {
    const wide = functions.filter(({ parameters }) => parameters > MAX_PARAMETERS);
    const broken = wide.filter(({ key }) => !(key in MORE_PARAMETERS));
    expect(
      broken.map(({ place, name, parameters }) => `${place} ${name}: ${parameters} parameters`),
    ).to.deep.equal([]);
    expect(unneeded(MORE_PARAMETERS, new Set(wide.map(({ key }) => key)))).to.deep.equal([]);
  });
});

describe('architecture: names', () => {
  it('files are kebab-case', () => {
    const paths = ['lib', 'test', 'bench', 'examples'].flatMap((directory) => filesBelow(directory, '.ts'));
    const broken = paths.filter((path) => !/^[a-z0-9]+(-[a-z0-9]+)*(\.test|\.d)?\.ts$/.test(basename(path)));
    expect(broken).to.deep.equal([]);
  });

  it('types are PascalCase', () => {
    const kinds = ['ClassDeclaration', 'TSInterfaceDeclaration', 'TSTypeAliasDeclaration'];
    const broken: string[] = [];
    for (const source of library) {
      walk(source.program, (node) => {
        const name = kinds.includes(node.type) ? (node.id as Node | null)?.name : undefined;
        if (typeof name === 'string' && !/^[A-Z][A-Za-z0-9]*$/.test(name)) {
          broken.push(`${source.placeOf(node)} ${name}`);
        }
      });
    }
    expect(broken).to.deep.equal([]);
  });

  it('private members are #private, which the language keeps', () => {
    const broken: string[] = [];
    for (const source of library) {
      walk(source.program, (node) => {
        // A constructor has no other way to be private.
        if (node.accessibility === undefined || node.accessibility === null || node.kind === 'constructor')
          return;
        broken.push(source.placeOf(node));
      });
    }
    expect(broken).to.deep.equal([]);
  });

  it('index.ts only exports', () => {
    for (const source of library.filter(({ path }) => /(^|\/)index\.ts$/.test(path))) {
      const others = (source.program.body as Node[]).filter((node) => !node.type.startsWith('Export'));
      expect(others.map((node) => source.placeOf(node))).to.deep.equal([]);
    }
  });
});

describe('architecture: citations', () => {
  /** A citation as somebody may write it: RFC, a number, and what follows closely. */
  const CITATION = /\b(?:RFC[-_ ]?|[Rr]fc[-_ ])\d+(?:,? *(?:§+ *|sections? *|sec\.? *)[\w.]*)?/g;
  const PROPER = /^RFC \d{3,5}(?: §[\dA-Z](?:[\d.]*\w)?)?\.?$/;

  it('are spelled "RFC n" or "RFC n §s", so that a script can find them', () => {
    const typescript = ['lib', 'test', 'bench', 'examples'].flatMap((directory) =>
      filesBelow(directory, '.ts'),
    );
    const broken: string[] = [];
    for (const path of [...typescript, ...nativeFiles()]) {
      for (const [at, line] of readFileSync(path, 'utf8').split('\n').entries()) {
        for (const [citation] of line.matchAll(CITATION)) {
          if (!PROPER.test(citation)) broken.push(`${path}:${at + 1} "${citation}"`);
        }
      }
    }
    expect(broken).to.deep.equal([]);
  });
});
