/** `tunstack/browser` as it is built: nothing in it needs Node, and nothing is missing that does not. */
import { existsSync, mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join, relative } from 'node:path';
import { createContext, runInContext } from 'node:vm';
import { expect } from 'chai';
import type * as Browser from '../../lib/browser.js';
import { browserEntry } from '../../scripts/browser-entry.js';
import { run } from '../support/child.js';
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

/** Written for a page. */
const TYPED = `
import { BrowserClock, BrowserRandom, messagePortLink, packetStreamLink, Stack, webSocketLink } from 'tunstack/browser';

const clock = new BrowserClock();
const stack = new Stack({ clock, random: new BrowserRandom() });
stack.addLink(webSocketLink(new WebSocket('wss://example.org'), { clock, mtu: 1400 }), { addresses: ['10.0.0.1/24'] });
stack.addLink(messagePortLink(new MessageChannel().port1, { clock, mtu: 1400 }));
const { readable, writable } = new TransformStream<Uint8Array, Uint8Array>();
stack.addLink(packetStreamLink({ readable, writable }, { clock, mtu: 1400 }));
declare const transport: WebTransport;
stack.addLink(packetStreamLink(transport.datagrams, { clock, mtu: 1200 }));
const connection = stack.streams.connect({ host: '10.8.0.1', port: 80 });
await connection.writable.getWriter().write(new TextEncoder().encode('hello'));
console.log(await new Response(connection.readable).text());
export {};
`;

/** An address by DHCP, over an Ethernet in memory: of that it needs names, numbers and bytes of every kind. */
function leaseOverEthernet(tunstack: typeof Browser): string | undefined {
  const clock = new tunstack.VirtualClock();
  const random = new tunstack.SeededRandom(5);
  const links = tunstack.createPipe({ clock, mtu: 1514 }).map((frames, i) => {
    const link = new tunstack.EthernetLink({ frames, clock, random });
    const addresses = i === 0 ? ['10.0.0.1/24'] : [];
    new tunstack.Stack({ clock, random }).addLink(link, { addresses });
    return link;
  });
  const [link, other] = links;
  const told = { hostname: 'page', clientId: Uint8Array.of(1, 2, 3) };
  const server = new tunstack.DhcpServer({
    link,
    clock,
    address: '10.0.0.1/24',
    pool: ['10.0.0.9', '10.0.0.9'],
    domain: 'page.test',
  });
  const client = new tunstack.DhcpClient({ link: other, clock, random, ...told });
  clock.advanceBy(10e6);
  const { lease } = client;
  client.close();
  server.close();
  return lease?.address;
}

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

  it('offers all that tunstack offers and no Node is needed for', function () {
    this.timeout(30_000);
    const entry = readFileSync('lib/browser.ts', 'utf8');
    expect(entry, 'run npx tsx scripts/browser-entry.ts').to.equal(browserEntry());
    for (const name of ['Stack', 'createPipe', 'runPacketdrill', 'Simulation', 'webSocketLink']) {
      expect(entry).to.match(new RegExp(`\\b${name}\\b`));
    }
    expect(entry).to.not.match(/\b(TunDevice|SystemClock|HostNetwork|createNet|createShardedStack)\b/);
  });

  it("is typed for pages: with the types of browsers, and none of Node's", async function () {
    this.timeout(100_000);
    const directory = mkdtempSync(join(tmpdir(), 'tunstack-types-'));
    try {
      const program = join(directory, 'program.ts');
      writeFileSync(program, TYPED.replace('tunstack/browser', ENTRY));
      const flags =
        '--noEmit --strict --skipLibCheck false --target es2022 --module esnext --moduleResolution bundler --ignoreConfig';
      // The fewest that anybody would name, and those of a program that names them all.
      for (const lib of ['es2022,dom', 'es2023,esnext.disposable,dom,dom.iterable,dom.asynciterable']) {
        const outcome = await run(
          'node_modules/.bin/tsc',
          [...flags.split(' '), '--lib', lib, '--types', '', program],
          { limitMs: 50_000 },
        );
        expect(outcome.stdout, lib).to.equal('');
      }
    } finally {
      rmSync(directory, { recursive: true });
    }
  });

  it('runs where there is nothing but what pages have', async function () {
    this.timeout(30_000);
    const { outputFiles } = await bundle(ENTRY, { globalName: 'tunstack' });
    const program = `${outputFiles[0].text};
      const simulation = new tunstack.Simulation({ seed: 5 });
      const bytes = simulation.transfer({ bytes: 100_000 });
      simulation.close();
      (${leaseOverEthernet.toString()})(tunstack) + ' ' + bytes + ' ' + (new tunstack.BrowserRandom().uint32() >= 0);`;
    const names = ['performance', 'crypto', 'ReadableStream', 'WritableStream', 'TextEncoder', 'TextDecoder'];
    const page = Object.fromEntries(names.map((name) => [name, globalThis[name as keyof typeof globalThis]]));
    // Pages that are not isolated have none; every new context has.
    const context = createContext(page);
    runInContext('delete globalThis.SharedArrayBuffer', context);
    expect(runInContext(program, context)).to.equal('10.0.0.9/24 100000 true');
  });
});
