/** The examples of `--help`, each as it stands, as root and as an ordinary user. */
import { chmodSync, mkdirSync, mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { expect } from 'chai';
import { loadCommands } from '../../../lib/cli/registry.js';
import type { Child } from '../../support/child.js';
import { needsTun } from '../../support/needs-tun.js';
import { TestNamespace } from '../../support/netns.js';
import { LIMIT_MS, NODE } from './cli.js';

/** How an example ends. */
interface Ending {
  readonly status: number;
  /** What it prints by then. */
  readonly prints?: RegExp;
  /** It goes on until it is interrupted, which it is once it has printed this. */
  readonly until?: RegExp;
}

const OK: Ending = { status: 0 };
/** Names of the Internet are not known in the namespace of the test: curl says so, and so do we. */
const UNKNOWN_NAME: Ending = { status: 6 };
/** A program that is none of ours says what it was started with. */
const STARTED: Ending = { status: 0, prints: /started with/ };

/** By a piece of the command line. */
const ENDINGS: Readonly<Record<string, Ending>> = {
  '--http-root ./site -- curl -s http://stack/': { status: 0, prints: /^a page$/m },
  'timeout 5 nc 10.0.0.1 19 | wc -c': { status: 0, prints: /^\d{6,}$/m },
  '--capture out.pcapng -- sh': OK,
  'gateway -- curl -sS https://example.org/': UNKNOWN_NAME,
  'nginx -g "daemon off;"': STARTED,
  'psql -h 10.0.2.2': STARTED,
  '1080 -- curl -sS https://example.org/': UNKNOWN_NAME,
  'secret@proxy.example tunstack tun2socks -- sh': OK,
  '--udp reject -- firefox': STARTED,
  'tunstack nc localhost 8080': { status: 0, prints: /^HTTP\/1\.1 200 OK/ },
  'nc -l 7000': { status: 130, until: /listening on / },
  'nc -z localhost 1-1024': { status: 1 },
  '10.7.0.1/24 -l 7000': { status: 130, until: /listening on 10\.7\.0\.2:7000/ },
  'http https://example.com/': UNKNOWN_NAME,
  '-o page.html http://localhost:8080/': OK,
  '10.7.0.1/24 http://10.7.0.1:8080/': { status: 0, prints: /^a page/ },
  'ping -c 3 10.0.0.2': { status: 0, prints: /3 received/ },
  '--loss 5% fd00::2': { status: 0, prints: /\n20 packets transmitted/ },
  '10.7.0.1/24 10.7.0.1': { status: 0, until: /icmp_seq=1/ },
  'capture -p tcp --http-root . -- curl -s': { status: 0, prints: /S 0:0\(0\)/ },
  'wireshark -k -i -': STARTED,
  '10.7.0.1/24 -c 10': { status: 0, until: /capturing on tun7/ },
  'tunstack info': { status: 0, prints: /^yes /m },
  "jq '.privateNamespace.works'": { status: 0, prints: /started with/ },
  'completions bash > ~/': OK,
  'completions fish | source': STARTED,
};

/** Those that other tests run, since they take long or need more than a command line. */
const ELSEWHERE = [
  'tunstack demo',
  'tunstack bench',
  'npx tunstack build-addon',
  'tunstack gateway --netns "$(cat container.pid)"',
];

/** Programs of others that examples name. */
const STAND_INS = ['nginx', 'psql', 'firefox', 'wireshark', 'ssh', 'jq', 'source'];
/** Enough of nc, which a system may lack: joins standard input and output to the place its last arguments name. */
const NETCAT = `
  const [host, port] = process.argv.slice(-2);
  const socket = require('node:net').connect(Number(port), host);
  process.stdin.pipe(socket).pipe(process.stdout);
`;
const SERVER = `
  require('node:http').createServer((request, response) => response.end('a page\\n'))
    .listen(8080, '::', () => console.log('serving'));
`;

export function describeHelpExamples(title: string): void {
  describe(title, function () {
    this.timeout(LIMIT_MS + 5000);
    this.slow(10_000);
    let namespace: TestNamespace;
    let folder: string;

    before(needsTun);
    before(async function () {
      namespace = await TestNamespace.createOrSkip(this);
      folder = mkdtempSync(join(tmpdir(), 'tunstack-examples-'));
      furnish(folder);
      await namespace.spawn(process.execPath, ['--eval', SERVER], { limitMs: 10 * 60_000 }).output(/serving/);
    });
    after(async () => {
      await namespace?.close();
      if (folder !== undefined) rmSync(folder, { recursive: true });
    });

    it('are all known here', async () => {
      const examples = (await loadCommands()).flatMap((spec) => spec.examples.map(({ command }) => command));
      const unknown = examples.filter(
        (command) =>
          endingOf(command) === undefined && !ELSEWHERE.some((beginning) => command.startsWith(beginning)),
      );
      expect(unknown).to.deep.equal([]);
    });

    for (const [piece, ending] of Object.entries(ENDINGS)) {
      it(piece, async () => {
        const examples = (await loadCommands()).flatMap((spec) => spec.examples);
        const example = examples.find(
          ({ command }) => endingOf(command) === ending && command.includes(piece),
        );
        expect(example).to.not.equal(undefined);
        const options = {
          cwd: folder,
          limitMs: LIMIT_MS,
          env: { HOME: folder, NO_COLOR: '1', PATH: `${folder}/bin:${process.env.PATH}` },
        };
        // A signal is for the command, not for the shell around it.
        const line = `${ending.until === undefined ? '' : 'exec '}${example?.command}`;
        const child = namespace.spawn('sh', ['-c', line], options);
        await expectEnding(child, ending);
      });
    }
  });
}

/** The ending under the longest piece that is in the command line. */
function endingOf(command: string): Ending | undefined {
  const pieces = Object.keys(ENDINGS).filter((piece) => command.includes(piece));
  const [longest = ''] = pieces.sort((one, other) => other.length - one.length);
  return ENDINGS[longest];
}

async function expectEnding(child: Child, { status, prints, until }: Ending): Promise<void> {
  if (until !== undefined) {
    await child.output(until);
    process.kill(child.pid, 'SIGINT');
  }
  const outcome = await child.ended;
  expect(outcome.status, outcome.stderr).to.equal(status);
  if (prints !== undefined) expect(outcome.stdout).to.match(prints);
}

/** What the examples find where they are run. */
function furnish(folder: string): void {
  const program = (name: string, lines: string): void => {
    const file = join(folder, 'bin', name);
    writeFileSync(file, `#!/bin/sh\n${lines}\n`);
    chmodSync(file, 0o755);
  };
  mkdirSync(join(folder, 'bin'));
  mkdirSync(join(folder, 'site'));
  mkdirSync(join(folder, '.local/share/bash-completion/completions'), { recursive: true });
  for (const directory of ['site', '.']) writeFileSync(join(folder, directory, 'index.html'), 'a page\n');
  program('tunstack', `exec ${[process.execPath, ...NODE].map((word) => `'${word}'`).join(' ')} "$@"`);
  program('sudo', 'exec "$@"');
  writeFileSync(join(folder, 'netcat.cjs'), NETCAT);
  program('nc', `exec '${process.execPath}' '${folder}/netcat.cjs' "$@"`);
  // What is piped into them is read, as they would.
  for (const name of STAND_INS)
    program(name, `test -p /dev/stdin && cat > /dev/null; echo "started with $*"`);
}
