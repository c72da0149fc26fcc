/** What every command does, as root and as an ordinary user alike. */
import { spawnSync } from 'node:child_process';
import { mkdtempSync, readdirSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { expect } from 'chai';
import { openPrivateTun } from '../../../lib/index.js';
import { Child, installed, run } from '../../support/child.js';
import { TestNamespace } from '../../support/netns.js';
import { skip } from '../../support/skip.js';
import { cli, cliJson, jsonLines, LIMIT_MS, NODE, start } from './cli.js';

/** Options that put a stack on a TUN of the test's namespace. */
const TUN = ['--tun', 'tun7', '--address', '10.7.0.2/24', '--host-address', '10.7.0.1/24'];

/** A server of the kernel's, inside the test's namespace, that says when it listens. */
const HTTP_SERVER = `
  const http = require('node:http');
  http.createServer((request, response) => {
    if (request.url === '/moved') response.writeHead(302, { location: '/there' }).end();
    else if (request.url === '/missing') response.writeHead(404).end('no such page');
    else if (request.url === '/half') {
      response.writeHead(200, { 'content-length': 100 });
      response.write('half', () => response.destroy());
    } else if (request.url === '/none') request.socket.destroy();
    else if (request.url === '/never') request.resume();
    else if (request.url === '/switch') response.writeHead(101, { connection: 'upgrade', upgrade: 'x' }).end();
    else if (request.url === '/twice') response.end(request.headersDistinct['x-a'].join());
    else if (request.url === '/long') response.end(Buffer.alloc(200_000));
    else if (request.method === 'POST') request.pipe(response);
    else response.end(request.method + ' ' + request.url + ' of ' + request.headers.host);
  }).listen(8080, '::', () => console.log('serving'));
`;
/** Reads to the end, then answers with how much that was, in capitals. */
const CAPITALS_SERVER = `
  require('node:net').createServer({ allowHalfOpen: true }, (socket) => {
    let text = '';
    socket.on('data', (piece) => { text += piece; }).on('end', () => socket.end(text.toUpperCase()));
  }).listen(7001, '::', () => console.log('serving'));
`;
/** Where only `::1` is listened on. */
const SIX_SERVER = `
  require('node:http').createServer((request, response) => response.end('six of ' + request.headers.host))
    .listen(7003, '::1', () => console.log('serving'));
`;
/** Sends whoever comes by TLS on to a server without, which tells the secrets it is given. */
const DOWNGRADE_SERVER = `
  const [key, cert] = process.argv.slice(1).map((name) => require('node:fs').readFileSync(name));
  require('node:https').createServer({ key, cert }, (request, response) => {
    response.writeHead(302, { location: 'http://localhost/' }).end();
  }).listen(443, '127.0.0.1');
  require('node:http').createServer((request, response) => response.end('told ' + request.headers.authorization))
    .listen(80, '127.0.0.1', () => console.log('serving'));
`;
const UDP_SERVER = `
  const socket = require('node:dgram').createSocket('udp6', (message, from) => {
    socket.send(String(message).toUpperCase(), from.port, from.address);
  }).bind(7002, () => console.log('serving'));
`;
const CLIENT = `
  const [port, host] = process.argv.slice(1);
  const socket = require('node:net').connect({ port, host, allowHalfOpen: true }, () => socket.end('from the kernel\\n'));
  socket.pipe(process.stdout);
`;

export function describeCommands(title: string): void {
  describe(title, function () {
    this.timeout(LIMIT_MS + 5000);
    this.slow(10_000);
    let namespace: TestNamespace;
    let folder: string;

    before(async function () {
      const { stdout } = await cli(['info', '--json']);
      const { privateNamespace } = JSON.parse(stdout) as {
        privateNamespace: { works: boolean; problem?: string };
      };
      if (!privateNamespace.works) skip(this, `no private TUN here: ${privateNamespace.problem}`);
      namespace = await TestNamespace.createOrSkip(this);
      folder = mkdtempSync(join(tmpdir(), 'tunstack-cli-'));
      for (const server of [HTTP_SERVER, CAPITALS_SERVER, UDP_SERVER, SIX_SERVER]) {
        const child = namespace.spawn(process.execPath, ['--eval', server], { limitMs: 15 * 60_000 });
        await child.output(/serving/);
      }
    });
    after(async () => {
      await namespace?.close();
      if (folder !== undefined) rmSync(folder, { recursive: true });
    });
    /** Nothing a command made in the namespace is still there. */
    afterEach(async () => {
      const names = (await namespace.shell('ip -brief link')).match(/^\S+/gm);
      expect(names?.filter((name) => name !== 'tun9')).to.deep.equal(['lo']);
    });

    describePing(
      () => namespace,
      () => folder,
    );
    describeTun(() => namespace);
    describeRun(() => folder);
    describeNc(() => namespace);
    describeHttp(
      () => namespace,
      () => folder,
    );
    describeCapture(() => folder);

    it('bench: measures between two stacks, and against the kernel', async () => {
      const args = ['bench', '-t', '0.2', '-P', '2'];
      const memory = await cliJson<{ other: string; rows: { perSecond?: number }[] }>([...args, '--memory']);
      expect(memory.other).to.equal('stack');
      expect(memory.rows).to.have.length(8);
      const kernel = await cliJson<typeof memory>([...args, '--test', 'bulk-in', '--test', 'round-trips']);
      expect(kernel.other).to.equal('kernel');
      expect(kernel.rows).to.have.length(4);
      for (const { perSecond } of kernel.rows.slice(2)) expect(perSecond).to.be.above(0);
    });

    it('info: says why it does not work, as the commands do', async () => {
      const env = { TUNSTACK_ADDON: '/nonexistent/tunstack.node' };
      const facts = await cliJson<{ addon: object; abilities: { works: boolean; because: string }[] }>(
        ['info'],
        {
          env,
        },
      );
      expect(facts.addon).to.include({ loads: false });
      expect(facts.abilities.map(({ works }) => works)).to.deep.equal([true, true, false, false]);
      const failed = await cli(['run', 'true'], { env });
      expect(failed.stderr).to.match(
        /^tunstack run: the network cannot be opened: The addon .*does not load: .*\.\n$/,
      );
      expect([failed.stdout, failed.status]).to.deep.equal(['', 1]);
    });

    it('info: says that it works, and how', async () => {
      const facts = await cliJson<{
        privateNamespace: { works: boolean; mode: string };
        user: { uid: number };
      }>(['info']);
      expect(facts.privateNamespace).to.include({
        works: true,
        mode: process.getuid?.() === 0 ? 'root' : 'user',
      });
      expect(facts.user.uid).to.equal(process.getuid?.());
    });
  });
}

function describePing(namespace: () => TestNamespace, folder: () => string): void {
  it('ping: hears the kernel of its own namespace, adds up, and records it', async () => {
    const file = join(folder(), 'ping.pcapng');
    const args = ['ping', '-c', '3', '-i', '0.05', '--private', '--capture', file, '10.0.0.2'];
    const { stdout, status } = await cli(args);
    expect(status).to.equal(0);
    expect(stdout).to.match(
      /^PING 10\.0\.0\.2: 56 data bytes\n64 bytes from 10\.0\.0\.2: icmp_seq=1 ttl=64 time=/,
    );
    expect(stdout).to.match(/\n3 packets transmitted, 3 received, 0% packet loss, time \d+ms\nrtt min\/avg/);
    if (!(await installed('tshark'))) return;
    const read = await run('tshark', ['-r', file, '-Y', 'icmp', '-T', 'fields', '-e', 'icmp.type']);
    expect(read.stdout).to.equal('8\n0\n'.repeat(3));
  });

  it('ping: takes as long as the network that is emulated, IPv6, in lines of JSON', async () => {
    const { stdout, status } = await cli([
      'ping',
      '-c',
      '2',
      '-i',
      '0',
      '--delay',
      '30ms',
      '--json',
      'fd00::2',
    ]);
    expect(status).to.equal(0);
    const lines = jsonLines(stdout);
    expect(lines.map(({ type }) => type)).to.deep.equal(['reply', 'reply', 'summary']);
    expect(lines[0].rttMs).to.be.above(60);
    expect(lines[2]).to.include({ transmitted: 2, received: 2, address: 'fd00::2' });
  });

  it('ping: ends with 1 without a reply, with 2 at a name that is not known', async () => {
    const [silent, some, unknown] = await Promise.all([
      cli(['ping', '-c', '1', '-W', '300ms', '10.0.0.77']),
      cli(['ping', '-c', '9', '-i', '1h', '-w', '500ms', '10.0.0.2']),
      cli(['ping', 'no-such-host.invalid']),
    ]);
    expect(silent.stdout).to.match(/1 packets transmitted, 0 received, 100% packet loss/);
    expect(some.stdout).to.match(/1 packets transmitted, 1 received/);
    expect([silent.status, some.status, unknown.status]).to.deep.equal([1, 1, 2]);
    expect(silent.stderr).to.match(/^nobody but 10\.0\.0\.2 and fd00::2 is in this namespace; see --tun/);
    expect(unknown.stderr).to.match(/^tunstack ping: no-such-host\.invalid is not known \(.*\)\.\n$/);
  });

  it('ping: shows ICMP errors, and what is too large to be sent', async () => {
    await namespace().shell('sysctl -qw net.ipv4.ip_forward=1');
    const host = ['-c', '1', '-W', '5', ...TUN];
    const lost = await cli(['ping', ...host, '192.0.2.1'], { namespace: namespace() });
    expect(lost.stdout).to.match(/\nFrom 10\.7\.0\.1 icmp_seq=1 Destination net unreachable\n/);
    expect(lost.status).to.equal(1);
    const large = await cli(['ping', '-s', '3000', '--df', ...host, '10.7.0.1'], { namespace: namespace() });
    expect(large.stdout).to.match(/icmp_seq=1 not sent: EMSGSIZE/);
    expect(large.status).to.equal(2);
  });

  it('ping: prints its statistics on SIGINT, with status 0, and takes its TUN away', async () => {
    const running = start(['ping', '-i', '0.1', ...TUN, '10.7.0.1'], { namespace: namespace() });
    await running.child.output(/icmp_seq=2/);
    process.kill(running.child.pid, 'SIGINT');
    const { stdout, status } = await running.ended();
    expect(stdout).to.match(/packets transmitted, \d+ received, .*\nrtt /);
    expect(status).to.equal(0);
  });
}

function describeTun(namespace: () => TestNamespace): void {
  describe('a TUN that is there', () => {
    before(() =>
      namespace().shell(
        'ip tuntap add tun9 mode tun; ip address add 10.9.0.1/24 dev tun9; ip link set tun9 up',
      ),
    );
    after(() => namespace().shell('ip tuntap delete tun9 mode tun'));
    const state = (): Promise<string> =>
      namespace().shell('ip -4 -oneline address show tun9; ip link show tun9');

    it('is taken as it is, and left as it was', async () => {
      const before = await state();
      const args = ['ping', '-c', '1', '--tun', 'tun9', '--address', '10.9.0.2/24'];
      const plain = await cli([...args, '10.9.0.1'], { namespace: namespace() });
      expect([plain.stderr, plain.status]).to.deep.equal(['', 0]);
      expect(await state()).to.equal(before);
      const changed = [...args, '--mtu', '1400', '--address', '10.8.0.2/24', '--host-address', '10.8.0.1/24'];
      const other = await cli([...changed, '10.8.0.1'], { namespace: namespace() });
      expect([other.stderr, other.status]).to.deep.equal(['', 0]);
      expect(await state()).to.equal(before);
    });

    it('is left as it was by SIGINT too', async () => {
      const before = await state();
      const options = ['--tun', 'tun9', '--address', '10.8.0.2/24', '--host-address', '10.8.0.1/24'];
      const running = start(['capture', ...options], { namespace: namespace() });
      await running.child.output(/capturing on tun9/);
      expect(await state()).to.include('10.8.0.1');
      process.kill(running.child.pid, 'SIGINT');
      expect((await running.ended()).status).to.equal(0);
      expect(await state()).to.equal(before);
    });

    it('is served by tun2socks, and left as it was', async () => {
      const before = await state();
      const args = ['tun2socks', '--tun', 'tun9', '--proxy', 'socks5://127.0.0.1'];
      const running = start(args, { namespace: namespace() });
      await running.child.output(/serving tun9/);
      process.kill(running.child.pid, 'SIGINT');
      expect((await running.ended()).status).to.equal(0);
      expect(await state()).to.equal(before);
    });

    it('is told from an interface that is no TUN', async () => {
      const args = ['ping', '--tun', 'lo', '--address', '10.9.0.2/24', '10.9.0.1'];
      const { stderr, status } = await cli(args, { namespace: namespace() });
      expect(stderr).to.match(/lo is no TUN that can be taken/);
      expect(status).to.equal(2);
    });
  });

  // Nobody else may enter the namespace of others.
  if (process.getuid?.() === 0) {
    it('ping: opens its TUN in the namespace it is told', async () => {
      const where = ['--netns', namespace().path];
      const { stderr, status } = await cli(['ping', '-c', '1', ...where, ...TUN, '10.7.0.1']);
      expect([stderr, status]).to.deep.equal(['', 0]);
    });
  }

  it('ping: takes a descriptor it inherits', async () => {
    const tun = await openPrivateTun({ address: '10.9.0.1/24' });
    try {
      const line = [
        ...NODE,
        'ping',
        '-c',
        '1',
        '--fd',
        '3',
        '--address',
        '10.9.0.2/24',
        '--json',
        '10.9.0.1',
      ];
      const stdio = ['ignore', 'pipe', 'inherit', tun.device.fd] as const;
      const { stdout, status } = spawnSync(process.execPath, line, { stdio: [...stdio], encoding: 'utf8' });
      expect(status).to.equal(0);
      expect(jsonLines(stdout).at(-1)).to.include({ transmitted: 1, received: 1 });
    } finally {
      await tun.close();
    }
  });
}

function describeRun(folder: () => string): void {
  it('run: serves files to curl, and ends with the status of the program', async function () {
    if (!(await installed('curl'))) skip(this, 'curl is not installed');
    writeFileSync(join(folder(), 'page.txt'), 'a page of the stack\n');
    const script =
      'curl -s --noproxy "*" "http://$TUNSTACK_IPV4/page.txt" "http://[$TUNSTACK_IPV6]/page.txt"; exit 5';
    const { stdout, status } = await cli(['run', '--http-root', folder(), '--', 'sh', '-c', script]);
    expect(stdout).to.equal('a page of the stack\n'.repeat(2));
    expect(status).to.equal(5);
  });

  it('run: has no network but the stack', async () => {
    const { stdout } = await cli(['run', 'ip', '-brief', 'link']);
    expect(stdout.match(/^\S+/gm)).to.deep.equal(['lo', 'tun0']);
  });

  it('run: ends as a shell does where there is no such program', async () => {
    const { stderr, status } = await cli(['run', 'no-such-program']);
    expect(stderr).to.match(/no-such-program/);
    // 126 where a directory of PATH may not be looked into.
    expect(status).to.be.oneOf([126, 127]);
  });

  it('run: hands SIGTERM on to the program, and leaves nothing', async () => {
    const script = 'trap "echo told; exit 9" TERM; echo ready; while :; do sleep 0.05; done';
    const running = start(['run', 'sh', '-c', script]);
    await running.child.output(/ready/);
    process.kill(running.child.pid, 'SIGTERM');
    const { stdout, status } = await running.ended();
    expect([stdout, status]).to.deep.equal(['ready\ntold\n', 9]);
  });

  it('run: leaves nothing, whenever it is interrupted', async () => {
    const delaysMs = [50, 150, 250, 350, 450, 600, 800, 1000];
    const outcomes = await Promise.all(
      delaysMs.map(async (delayMs) => {
        const running = start(['run', '--echo', '--', 'sleep', '30']);
        await new Promise((resolve) => setTimeout(resolve, delayMs));
        process.kill(running.child.pid, 'SIGINT');
        return running.ended();
      }),
    );
    // -1 where Node itself had not begun yet.
    for (const { status, stderr } of outcomes)
      expect([status, stderr]).to.be.deep.oneOf([
        [130, ''],
        [-1, ''],
      ]);
  });

  it('run: knows the stack by name, and refuses other names at once', async () => {
    const script =
      'getent ahosts stack; getent hosts "$(hostname)"; getent hosts web.invalid || echo unknown $?';
    const { stdout, stderr, status } = await cli(['run', '--', 'sh', '-c', script]);
    expect(stdout)
      .to.match(/^10\.0\.0\.1 +STREAM/m)
      .and.match(/^fd00::1 +STREAM/m);
    expect(stdout)
      .to.match(/^(127\.0\.0\.1|::1) +localhost/m)
      .and.match(/\nunknown 2\n$/);
    expect([stderr, status]).to.deep.equal(['', 0]);
  });

  it('run: is interrupted by a second signal where the program does not listen, and leaves nothing', async () => {
    const env = { TMPDIR: mkdtempSync(join(folder(), 'tmp-')) };
    const script = '(trap "" TERM; sleep 60) & trap "echo told" TERM; echo ready; while ! read x; do :; done';
    const running = start(['run', '--', 'sh', '-c', script], { env, openStdin: true });
    await running.child.output(/ready/);
    process.kill(running.child.pid, 'SIGTERM');
    await running.child.output(/told/);
    process.kill(running.child.pid, 'SIGTERM');
    expect((await running.ended()).status).to.equal(143);
    expect(readdirSync(env.TMPDIR)).to.deep.equal([]);
  });

  it('run: leaves Ctrl-C to what runs at its terminal', async function () {
    if (!(await installed('script'))) skip(this, 'script is not installed');
    const script = 'trap "echo heard" INT; echo ready; while ! read x; do :; done; echo "got $x"; exit 3';
    // `script` has the shell of $SHELL run it: one that stayed, as dash does, would hear Ctrl-C too and end with 130.
    const line = ['exec', process.execPath, ...NODE, 'run', '--', 'sh', '-c', `'${script}'`].join(' ');
    const terminal = new Child('script', ['-qec', line, '/dev/null'], { openStdin: true, limitMs: LIMIT_MS });
    await terminal.output(/ready/);
    terminal.stdin.write('\x03');
    await terminal.output(/heard/);
    terminal.stdin.write('\x03');
    await terminal.output(/heard[^]*heard/);
    terminal.stdin.write('a word\n');
    await terminal.output(/got a word/);
    expect((await terminal.ended).status).to.equal(3);
  });

  it('run: tells programs how to enter, as JSON', async () => {
    const running = start(['run', '--echo', '--json']);
    await running.child.output(/^\}$/m);
    process.kill(running.child.pid, 'SIGTERM');
    const { stdout, status } = await running.ended();
    const told = JSON.parse(stdout) as { pid: number; stack: string[]; services: object[]; enter: string };
    expect(told.enter)
      .to.match(/nsenter --target \d+ /)
      .and.include(String(told.pid));
    expect([told.stack, told.services]).to.deep.equal([['10.0.0.1', 'fd00::1'], [{ name: 'echo', port: 7 }]]);
    expect(status).to.equal(0);
  });

  it('run: without a program stays until it is interrupted', async () => {
    const running = start(['run', '--echo']);
    await running.child.output(/enter: +\S+nsenter .*[^]*It stays until it is interrupted/);
    process.kill(running.child.pid, 'SIGINT');
    const { status } = await running.ended();
    expect(status).to.equal(0);
  });
}

function describeNc(namespace: () => TestNamespace): void {
  for (const [network, place] of [
    ['across a TUN', [...TUN, '10.7.0.1']],
    ['through the sockets of the host', ['127.0.0.1']],
  ] as const) {
    it(`nc: sends to the end, then reads to the end, ${network}`, async () => {
      const text = 'half of a conversation\n'.repeat(5000);
      const outcome = await cli(['nc', ...place, '7001'], { namespace: namespace(), input: text });
      expect(outcome.stdout === text.toUpperCase()).to.equal(true);
      expect([outcome.stderr, outcome.status]).to.deep.equal(['', 0]);
    });
  }

  for (const [network, options, host] of [
    ['across a TUN', TUN, '10.7.0.2'],
    ['through the sockets of the host', [], '127.0.0.1'],
    ['on localhost', [], 'localhost'],
  ] as const) {
    it(`nc: listens, and each side hears the other to its end, ${network}`, async () => {
      const place = host === 'localhost' ? ['localhost', '7100'] : ['7100'];
      const running = start(['nc', ...options, '-l', ...place], {
        namespace: namespace(),
        input: 'from the stack\n',
      });
      await running.child.output(/listening on/);
      const client = await namespace().exec(process.execPath, ['--eval', CLIENT, '7100', host]);
      const { stdout, status } = await running.ended();
      expect([client.stdout, stdout, status]).to.deep.equal(['from the stack\n', 'from the kernel\n', 0]);
    });
  }

  it('nc: takes one after another with -k, whatever became of the one before', async () => {
    const args = ['nc', ...TUN, '-l', '-k', '-v', '7100'];
    const running = start(args, { namespace: namespace(), openStdin: true });
    await running.child.output(/listening on/);
    const reset = `
      const socket = require('node:net').connect(7100, '10.7.0.2', () => socket.write('broken off\\n'));
      process.stdin.resume().on('end', () => socket.resetAndDestroy());
    `;
    const client = namespace().spawn(process.execPath, ['--eval', reset], { openStdin: true });
    await running.child.output(/broken off/);
    const impatient = "const s = require('node:net').connect(7100, '10.7.0.2', () => s.resetAndDestroy())";
    await namespace().exec(process.execPath, ['--eval', impatient]);
    client.stdin.end();
    await client.ended;
    await running.child.output(/tunstack nc: .*ECONNRESET/);
    // It has nothing to say to those who come now.
    running.child.stdin.end();
    for (let i = 0; i < 2; i++) {
      await namespace().exec(process.execPath, ['--eval', CLIENT, '7100', '10.7.0.2']);
    }
    process.kill(running.child.pid, 'SIGTERM');
    const { stdout, status } = await running.ended();
    expect([stdout, status]).to.deep.equal([`broken off\n${'from the kernel\n'.repeat(2)}`, 143]);
  });

  it('nc, http: find the host by whichever of its addresses is listened on', async () => {
    const input = 'GET / HTTP/1.0\r\nHost: you\r\n\r\n';
    const asked = await cli(['nc', '-v', 'localhost', '7003'], { namespace: namespace(), input });
    expect(asked.stdout).to.match(/\r\n\r\nsix of you$/);
    expect(asked.stderr).to.match(
      /ECONNREFUSED 10\.0\.2\.2:7003; there is .*\nconnected to \[fd00::2\]:7003\n$/,
    );
    const fetched = await cli(['http', '-s', 'localhost:7003'], { namespace: namespace() });
    expect([fetched.stdout, fetched.status]).to.deep.equal(['six of localhost:7003', 0]);
    const four = await cli(['http', '-4', 'http://127.0.0.1:7003/'], { namespace: namespace() });
    expect(four.stderr).to.match(/^tunstack http: 127\.0\.0\.1:7003: connect ECONNREFUSED/);
    expect(four.status).to.equal(7);
  });

  it('nc: waits for a datagram, and answers who sent it', async () => {
    const args = ['nc', '-u', '-l', '7100'];
    const running = start(args, { namespace: namespace(), input: 'from the stack' });
    await running.child.output(/listening on/);
    const ask = `
      const socket = require('node:dgram').createSocket('udp4', (message) => {
        process.stdout.write(message);
        socket.close();
      });
      socket.send('from the kernel', 7100, '127.0.0.1');
    `;
    const asked = await namespace().exec(process.execPath, ['--eval', ask]);
    process.kill(running.child.pid, 'SIGTERM');
    const { stdout, status } = await running.ended();
    expect([asked.stdout, stdout, status]).to.deep.equal(['from the stack', 'from the kernel', 143]);
  });

  it('nc: asks over UDP, and ends when nothing more comes', async () => {
    const args = ['nc', '-u', '-w', '3', ...TUN, '10.7.0.1', '7002'];
    const { stdout, status } = await cli(args, { namespace: namespace(), input: 'datagram' });
    expect([stdout, status]).to.deep.equal(['DATAGRAM', 0]);
  });

  it('nc: ends with 1 where it is refused, with 124 where nobody answers', async () => {
    const refused = await cli(['nc', ...TUN, '10.7.0.1', '7999'], { namespace: namespace() });
    const silent = await cli(['nc', '-w', '0.3', ...TUN, '10.7.0.99', '7999'], { namespace: namespace() });
    expect(refused.stderr).to.match(/connect ECONNREFUSED 10\.7\.0\.1:7999/);
    expect([refused.status, silent.status]).to.deep.equal([1, 124]);
  });

  it('nc: says which ports are open', async () => {
    const args = ['nc', '-z', 'localhost', '7000-7001,8080'];
    const found = await cliJson<{ ports: object[] }>(args, { namespace: namespace() });
    expect(found.ports).to.deep.equal([
      { port: 7000, state: 'closed' },
      { port: 7001, state: 'open' },
      { port: 8080, state: 'open' },
    ]);
    const none = await cli(['nc', '-z', 'localhost', '7000'], { namespace: namespace() });
    expect([none.stdout, none.status]).to.deep.equal(['', 1]);
  });
}

function describeHttp(namespace: () => TestNamespace, folder: () => string): void {
  const fetchIn = (...args: string[]): ReturnType<typeof cli> =>
    cli(['http', '-s', ...args], { namespace: namespace() });

  it('http: fetches, posts and follows, with and without a TUN', async () => {
    const plain = await fetchIn('http://localhost:8080/page');
    expect([plain.stdout, plain.status]).to.deep.equal(['GET /page of localhost:8080', 0]);
    const twice = await fetchIn('-H', 'X-A: 1', '-H', 'x-a: 2', 'http://localhost:8080/twice');
    expect([twice.stdout, twice.status]).to.deep.equal(['1,2', 0]);
    const posted = await fetchIn('-d', 'a=1', '-d', 'b=2', ...TUN, 'http://10.7.0.1:8080/');
    expect([posted.stdout, posted.status]).to.deep.equal(['a=1&b=2', 0]);
    const followed = await fetchIn('-i', '-L', 'localhost:8080/moved');
    expect(followed.stdout).to.match(/^HTTP\/1\.1 200 OK\r\n[^]*\r\n\r\nGET \/there of localhost:8080$/);
  });

  it('http: takes a body from standard input, and shows heads', async () => {
    const args = ['http', '-s', '-d', '@-', '-H', 'content-type: text/plain', 'http://[::1]:8080/'];
    const posted = await cli(args, { namespace: namespace(), input: 'typed' });
    expect([posted.stdout, posted.status]).to.deep.equal(['typed', 0]);
    const head = await fetchIn('-I', 'http://127.0.0.1:8080/');
    expect(head.stdout).to.match(/^HTTP\/1\.1 200 OK\r\n([\w-]+: .*\r\n)+\r\n$/);
  });

  it('http: needs neither addon nor right', async () => {
    const env = { TUNSTACK_ADDON: '/nonexistent/tunstack.node' };
    const fetched = await cli(['http', '-s', 'http://localhost:8080/x'], { namespace: namespace(), env });
    expect([fetched.stdout, fetched.stderr, fetched.status]).to.deep.equal([
      'GET /x of localhost:8080',
      '',
      0,
    ]);
  });

  it('http: writes files, and tells its figures as JSON', async () => {
    const file = join(folder(), 'body');
    const args = ['http', '-o', file, '--delay', '20ms', 'http://localhost:8080/page'];
    const told = await cliJson<Record<string, unknown>>(args, { namespace: namespace() });
    expect(readFileSync(file, 'utf8')).to.equal('GET /page of localhost:8080');
    expect(told).to.include({ status: 200, bytes: 27, file, url: 'http://localhost:8080/page' });
    expect(told.connectMs).to.be.above(40);
  });

  it('http: shows on a terminal how far a long download is', async function () {
    if (!(await installed('script'))) skip(this, 'script is not installed');
    const file = join(folder(), 'long');
    const words = [...NODE, 'http', '-o', file, '--rate', '2mbit', 'http://localhost:8080/long'];
    const line = ['env', 'TERM=xterm', process.execPath, ...words].join(' ');
    const shown = await namespace().exec('script', ['-qec', line, '/dev/null'], { limitMs: LIMIT_MS });
    expect(readFileSync(file)).to.have.length(200_000);
    // The cursor goes, the bar moves, the cursor comes back.
    expect(shown.stdout).to.match(/\[\?25l[^]*body █*░* \d+% {2}[\d.]+ kB[^]*\[\?25h/);
  });

  it('http: ends as curl does', async () => {
    const cases: ReadonlyArray<readonly [status: number, args: readonly string[]]> = [
      [3, ['ftp://localhost/']],
      [6, ['http://no-such-host.invalid/']],
      [7, ['http://localhost:8081/']],
      [18, ['http://localhost:8080/half']],
      [22, ['-f', 'http://localhost:8080/missing']],
      [23, ['-o', '/nonexistent/file', 'http://localhost:8080/']],
      [26, ['-d', '@/nonexistent/file', 'http://localhost:8080/']],
      [28, ['-m', '0.5', 'http://localhost:8080/never']],
      [35, ['https://localhost:8080/']],
      [47, ['-L', '--max-redirects', '0', 'http://localhost:8080/moved']],
      [52, ['http://localhost:8080/none']],
      [52, ['http://localhost:8080/switch']],
      [77, ['--cacert', '/nonexistent/file', 'https://localhost:8080/']],
    ];
    const outcomes = await Promise.all(cases.map(([, args]) => fetchIn(...args)));
    for (const [i, { status, stderr }] of outcomes.entries()) {
      expect(status, cases[i][1].join(' ')).to.equal(cases[i][0]);
      expect(stderr, cases[i][1].join(' ')).to.match(/^tunstack http: .*\.\n$/);
    }
  });

  it('http: trusts only whom it should over TLS', async function () {
    if (!(await installed('openssl'))) skip(this, 'openssl is not installed');
    const [key, certificate] = ['key.pem', 'certificate.pem'].map((name) => join(folder(), name));
    const make = [
      'req',
      '-x509',
      '-newkey',
      'ec',
      '-pkeyopt',
      'ec_paramgen_curve:P-256',
      '-nodes',
      '-days',
      '2',
    ];
    const names = ['-subj', '/CN=localhost', '-addext', 'subjectAltName=DNS:localhost,IP:127.0.0.1'];
    await run('openssl', [...make, ...names, '-keyout', key, '-out', certificate]);
    const serve = ['s_server', '-accept', '8443', '-www', '-key', key, '-cert', certificate];
    const server = namespace().spawn('openssl', serve, { limitMs: LIMIT_MS, openStdin: true });
    await server.output(/ACCEPT/);
    try {
      const [unknown, any, known] = [
        await fetchIn('https://localhost:8443/'),
        await fetchIn('-k', 'https://localhost:8443/'),
        await fetchIn('--cacert', certificate, 'https://localhost:8443/'),
      ];
      expect([unknown.status, any.status, known.status]).to.deep.equal([60, 0, 0]);
      expect((await fetchIn('--cacert', certificate, 'https://127.0.0.1:8443/')).status).to.equal(0);
      expect(known.stdout).to.match(/Protocol +: TLSv1\.3/);
      const line = ['--eval', DOWNGRADE_SERVER, key, certificate];
      await namespace()
        .spawn(process.execPath, line, { limitMs: LIMIT_MS })
        .output(/serving/);
      const led = await fetchIn('-L', '-k', '-H', 'Authorization: secret', 'https://localhost/');
      expect(led.stdout).to.equal('told undefined');
    } finally {
      await server.kill();
    }
  });
}

function describeCapture(folder: () => string): void {
  it('capture: shows the segments of a connection, and records them', async function () {
    if (!(await installed('curl'))) skip(this, 'curl is not installed');
    const file = join(folder(), 'capture.pcapng');
    const client = ['curl', '-s', '--noproxy', '*', 'http://10.0.0.1/page.txt'];
    writeFileSync(join(folder(), 'page.txt'), 'a page\n');
    const args = ['capture', '-p', 'tcp', '-w', file, '--http-root', folder(), '--', ...client];
    const { stdout, stderr, status } = await cli(args);
    expect(status).to.equal(0);
    const lines = stdout
      .trimEnd()
      .split('\n')
      .map((line) => line.replace(/^\d\d:\d\d:\d\d\.\d{6} /, ''));
    expect(lines[0]).to.match(/^In {2}IP 10\.0\.0\.2\.\d+ > 10\.0\.0\.1\.80: S 0:0\(0\) win \d+ <mss 1460,/);
    expect(lines[1]).to.match(/^Out IP 10\.0\.0\.1\.80 > 10\.0\.0\.2\.\d+: S\. 0:0\(0\) ack 1 win /);
    expect(stderr).to.match(/^a page\n\d+ of \d+ packets captured, .* in .*capture\.pcapng\n$/);
    if (!(await installed('tshark'))) return;
    const { stdout: read } = await run('tshark', ['-r', file, '-T', 'fields', '-e', 'tcp.flags.str']);
    expect(read.trimEnd().split('\n')).to.have.length(lines.length);
  });

  it('capture: stops after as many packets as are wanted, in lines of JSON', async () => {
    const args = [
      'capture',
      '-c',
      '2',
      '-p',
      'icmp',
      '--host',
      '10.0.0.1',
      '--json',
      '--',
      'ping',
      '10.0.0.1',
    ];
    const { stdout, status } = await cli(args);
    expect(status).to.equal(0);
    expect(
      jsonLines(stdout).map(({ direction, text }) => [direction, String(text).replace(/, id.*/, '')]),
    ).to.deep.equal([
      ['in', 'IP 10.0.0.2 > 10.0.0.1: ICMP echo request'],
      ['out', 'IP 10.0.0.1 > 10.0.0.2: ICMP echo reply'],
    ]);
  });

  it('capture: ends when nobody reads it any more', async () => {
    const line = [process.execPath, ...NODE, 'capture', '--', 'ping', '-i', '0.2', '10.0.0.1'].join(' ');
    const script = `set -o pipefail; ${line} | head -1`;
    const outcome = await new Child('bash', ['-c', script], { limitMs: LIMIT_MS }).ended;
    expect(outcome.stdout).to.match(/^[^\n]+\n$/);
    expect(outcome.status).to.equal(128 + 13);
  });

  it('capture: ends in order on SIGINT, its file complete', async () => {
    const file = join(folder(), 'interrupted.pcapng');
    const running = start(['capture', '-w', file]);
    await running.child.output(/capturing on tun0/);
    process.kill(running.child.pid, 'SIGINT');
    const { stderr, status } = await running.ended();
    expect(status).to.equal(0);
    expect(stderr).to.match(/packets captured/);
    expect(readFileSync(file).readUInt32LE(0)).to.equal(0x0a0d0d0a);
    expect(readdirSync(folder())).to.include('interrupted.pcapng');
  });
}
