/** `node --import tunstack/register`: programs that know nothing of it, over a stack of their process. */
import { getServers } from 'node:dns';
import { existsSync, mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { pathToFileURL } from 'node:url';
import { expect } from 'chai';
import { NODE_MAJOR } from '../../lib/net/node-version.js';
import { certificate } from '../net/support/certificate.js';
import { Child, run } from '../support/child.js';

const PACKAGE = pathToFileURL('dist/index.js').href;

describe('tunstack/register', () => {
  let directory = '';

  before(function () {
    this.timeout(60_000);
    expect(existsSync('dist/register/register.js'), 'dist, which npm test builds').to.equal(true);
    directory = mkdtempSync(join(tmpdir(), 'tunstack-register-'));
  });
  after(() => rmSync(directory, { recursive: true, force: true }));

  type Environment = Readonly<Record<string, string>>;
  const LOOPBACK: Environment = { TUNSTACK_LOOPBACK: '1' };

  const write = (name: string, text: string): string => {
    const path = join(directory, name);
    writeFileSync(path, text);
    return path;
  };
  const flags = ['--import', 'tunstack/register'];
  const start = (path: string, env: Environment): Child =>
    new Child(process.execPath, [...flags, path], { env });
  /** What a program prints, as JSON. */
  const play = async (name: string, text: string, env: Environment = LOOPBACK): Promise<unknown> => {
    const { stdout } = await start(write(name, text), env).succeeded();
    return JSON.parse(stdout);
  };
  /** What Node says when it does not even start. */
  const complaint = async (env: Environment): Promise<string> => {
    const { status, stderr } = await start(write('nothing.cjs', ''), env).ended;
    expect(status).to.equal(1);
    return /^Error: tunstack\/register: (.*)/m.exec(stderr)?.[1] ?? stderr;
  };

  /** Whether the kernel knows of a port: /proc/net/tcp lists it in hexadecimal. */
  const IN_KERNEL = `
const inKernel = (port) => ['tcp', 'tcp6'].some((name) => require('node:fs')
  .readFileSync('/proc/net/' + name, 'utf8').includes(':' + port.toString(16).toUpperCase().padStart(4, '0') + ' '));`;

  it('gives require and import alike, and servers made of either are not in the kernel', async () => {
    const outcome = await play(
      'both.mjs',
      `import { createRequire } from 'node:module';
       import net, { connect, Server, Socket } from 'node:net';
       const require = createRequire(import.meta.url);
       const required = require('net');
       ${IN_KERNEL}
       const same = [net === required, connect === required.connect, Socket === required.Socket];
       const server = new Server((socket) => socket.pipe(socket)).listen(0, () => {
         const { port } = server.address();
         const socket = connect(port, 'localhost');
         socket.end('echo').once('data', (data) => {
           const kinds = [socket instanceof Socket, socket instanceof net.Stream, server instanceof Server,
             class extends Socket {}.prototype instanceof Socket, socket instanceof class extends Socket {}];
           server.close(() => console.log(JSON.stringify([same, kinds, String(data), inKernel(port)])));
         });
       });`,
    );
    expect(outcome).to.deep.equal([[true, true, true], [true, true, true, true, false], 'echo', false]);
  });

  it('takes ports for servers and sockets to come, where Node can', async function () {
    if (NODE_MAJOR < 24) {
      const known = await play('bound.cjs', `console.log(JSON.stringify('BoundSocket' in require('net')))`);
      expect(known).to.equal(false);
      return;
    }
    const path = join(directory, 'bound.sock');
    const outcome = await play(
      'bound.cjs',
      `const net = require('net');
       const { once } = require('events');
       ${IN_KERNEL}
       (async () => {
         const bound = new net.BoundSocket({ host: '127.0.0.1' });
         const server = net.createServer((socket) => socket.end('over the stack')).listen({ handle: bound });
         const { port } = server.address();
         const local = new net.BoundSocket();
         const from = local.address().port;
         const socket = new net.Socket({ handle: local }).connect(port, '127.0.0.1');
         const [text] = await once(socket, 'data');
         const seen = [String(text), socket.localPort === from, inKernel(port), inKernel(from)];
         const pipe = new net.BoundSocket({ path: ${JSON.stringify(path)} });
         const onHost = net.createServer((socket) => socket.end('over the host')).listen(pipe);
         await once(onHost, 'listening');
         const [answer] = await once(net.connect(${JSON.stringify(path)}), 'data');
         seen.push(pipe instanceof net.BoundSocket && bound instanceof net.BoundSocket, String(answer));
         server.close();
         onHost.close(() => console.log(JSON.stringify(seen)));
       })();`,
    );
    expect(outcome).to.deep.equal(['over the stack', true, false, false, true, 'over the host']);
  });

  it('serves and asks http, fetch, https, tls and http2', async () => {
    const { key, cert, servername } = certificate();
    const secrets = JSON.stringify({ key: String(key), cert: String(cert) });
    const outcome = await play(
      'family.cjs',
      `const http = require('http'), https = require('https'), http2 = require('http2'), tls = require('tls');
       const { once } = require('events');
       ${IN_KERNEL}
       const secrets = ${secrets}, ca = secrets.cert, servername = '${servername}';
       const listen = async (server) => { await once(server.listen(0), 'listening'); return server.address().port; };
       const text = async (stream) => { let all = ''; for await (const part of stream) all += part; return all; };
       const answer = (request, response) => response.end(request.url);
       (async () => {
         const seen = [];
         const plain = http.createServer(answer);
         const port = await listen(plain);
         const agent = new http.Agent({ keepAlive: true });
         for (const path of ['/a', '/b']) {
           const [response] = await once(http.get({ port, path, agent }), 'response');
           seen.push(await text(response));
         }
         seen.push(await (await fetch('http://localhost:' + port + '/fetched')).text(), inKernel(port));
         agent.destroy();
         const secure = https.createServer(secrets, answer);
         const [secured] = await once(https.get({ port: await listen(secure), path: '/s', ca, servername }), 'response');
         seen.push(await text(secured));
         const raw = tls.createServer(secrets, (socket) => socket.end('over tls'));
         const socket = tls.connect(await listen(raw), 'localhost', { ca, servername });
         seen.push(await text(socket));
         const second = http2.createSecureServer(secrets, answer);
         const session = http2.connect('https://localhost:' + await listen(second), { ca, servername });
         seen.push(await text(session.request({ ':path': '/two' })));
         session.close();
         for (const server of [plain, secure, raw, second]) server.close();
         plain.closeAllConnections();
         console.log(JSON.stringify(seen));
       })();`,
    );
    expect(outcome).to.deep.equal(['/a', '/b', '/fetched', false, '/s', 'over tls', '/two']);
  });

  it("leaves to the host what only the host has: paths, standard streams, children's pipes", async () => {
    const outcome = await play(
      'host.cjs',
      `const net = require('net'), { execFileSync, spawn, fork } = require('child_process');
       const path = ${JSON.stringify(join(directory, 'socket'))};
       if (process.argv[2] === 'child') process.once('message', () => process.disconnect());
       else {
         const piped = spawn(process.execPath, ['-e', 'process.stdin.pipe(process.stdout)']);
         let echoed = '';
         piped.stdout.on('data', (data) => { echoed += data; });
         piped.stdin.end('through a child');
         const child = fork(__filename, ['child']);
         const server = net.createServer((socket) => socket.end('by path')).listen(path, () => {
           const address = server.address();
           let code;
           try { child.send('server', net.createServer().listen(0).unref()); } catch (error) { code = error.code; }
           child.send('done');
           net.connect(path).once('data', (data) => server.close(() => {
             piped.on('close', () => console.log(JSON.stringify([address, String(data), echoed, code])));
           }));
         });
       }`,
    );
    expect(outcome).to.deep.equal([
      join(directory, 'socket'),
      'by path',
      'through a child',
      'ERR_INVALID_HANDLE_TYPE',
    ]);
  });

  it('takes the stack of a module, of either kind, by path', async () => {
    const made = `const stack = new Stack({ clock: new SystemClock(), random: new SystemRandom() });
      stack.addLink(createPipe({ clock: new SystemClock() })[0], { addresses: ['10.7.0.1/24'] });`;
    const names = '{ createPipe, Stack, SystemClock, SystemRandom }';
    const modules = [
      write('named.mjs', `import ${names} from '${PACKAGE}'; ${made} export { stack };`),
      write('default.mjs', `import ${names} from '${PACKAGE}'; ${made} export default stack;`),
      write(
        'common.cjs',
        `const ${names} = require(${JSON.stringify(join(process.cwd(), 'dist/index.js'))}); ${made} module.exports = stack;`,
      ),
    ];
    for (const path of modules) {
      const outcome = await play(
        'module.cjs',
        `const server = require('net').createServer().listen(0, '10.7.0.1', () => {
           console.log(JSON.stringify(server.address().address)); server.close();
         });`,
        { TUNSTACK_STACK: path },
      );
      expect(outcome, path).to.equal('10.7.0.1');
    }
  }).timeout(30_000);

  /** A stack that is its own name server, at 127.0.0.1, and `ask`: what a program finds out by `dns`, however it takes it. */
  const withNames = (name: string, dns: string): string =>
    write(
      name,
      `const { Stack, SystemClock, SystemRandom } = require(${JSON.stringify(join(process.cwd(), 'dist/index.js'))});
       const packet = require(${JSON.stringify(join(process.cwd(), 'node_modules/dns-packet'))});
       const stack = new Stack({ clock: new SystemClock(), random: new SystemRandom(), dns: ${dns} });
       const server = stack.dgram.createSocket('udp4', (message, { port, address }) => {
         const { id, questions } = packet.decode(message);
         const [{ name, type }] = questions;
         const answers = type === 'A' ? [{ name, type, ttl: 5, data: '10.7.0.9' }] : [];
         server.send(packet.encode({ type: 'response', id, questions, answers, flags: 0x180 }), port, address);
       }).bind(53, '127.0.0.1').unref();
       exports.stack = stack;`,
    );
  const ASK = `import { createRequire } from 'node:module';
    import dns, { lookup, resolve4 } from 'node:dns';
    import promises, { lookup as promised } from 'node:dns/promises';
    import { promisify } from 'node:util';
    const require = createRequire(import.meta.url);
    const same = [require('dns') === dns, require('dns').lookup === lookup, dns.promises === promises,
      require('dns/promises').lookup === promised, dns.promises.lookup === promised];
    const call = (ask, ...args) => ask(...args).then((found) => found.address ?? found, ({ code }) => code);
    const ask = (name) => Promise.all([call(promisify(lookup), name), call(promised, name),
      call(dns.promises.resolve4, name), call(promisify(resolve4), name)]);`;

  it('gives dns and dns/promises of a stack with name servers', async () => {
    const module = withNames('servers.cjs', `{ servers: ['127.0.0.1'], hosts: { db: '10.7.0.5' } }`);
    const outcome = await play(
      'names.mjs',
      `${ASK}
       const resolver = new dns.Resolver();
       const more = await promisify(resolver.resolve4.bind(resolver))('more.test');
       console.log(JSON.stringify([same, await ask('x.test'), await call(promised, 'db'), more, dns.getServers()]));`,
      { TUNSTACK_STACK: module },
    );
    const found = '10.7.0.9';
    expect(outcome).to.deep.equal([
      [true, true, true, true, true],
      [found, found, [found], [found]],
      '10.7.0.5',
      [found],
      ['127.0.0.1'],
    ]);
  });

  it('gives lookup of a stack that has a hosts table alone, and leaves other names to the host', async () => {
    // Stands for the host: it knows every name.
    const host = write(
      'host-names.cjs',
      `const dns = require('dns');
       dns.lookup = (name, options, done = options) =>
         process.nextTick(done, null, ...(options.all ? [[{ address: '10.8.0.1', family: 4 }]] : ['10.8.0.1', 4]));
       dns.promises.lookup = async () => ({ address: '10.8.0.2', family: 4 });`,
    );
    const outcome = await play(
      'hosts.mjs',
      `${ASK}
       import net from 'node:net';
       const found = [];
       for (const name of ['db', 'localhost', 'other.test']) {
         const four = (name) => promisify(lookup)(name, { family: 4 });
         found.push([await call(four, name), await call((name) => promised(name, { family: 4 }), name)]);
       }
       const called = await new Promise((resolve) => lookup('other.test', (error, address) => resolve(address)));
       const failed = await new Promise((resolve) => net.connect(80, 'other.test').on('error', resolve));
       console.log(JSON.stringify([same, found, called, failed.address, dns.getServers()]));`,
      {
        TUNSTACK_STACK: withNames('hosts.cjs', `{ hosts: { db: '10.7.0.5' } }`),
        NODE_OPTIONS: `--require ${host}`,
      },
    );
    expect(outcome).to.deep.equal([
      [true, true, true, true, true],
      [
        ['10.7.0.5', '10.7.0.5'],
        ['127.0.0.1', '127.0.0.1'],
        ['10.8.0.2', '10.8.0.2'],
      ],
      '10.8.0.1',
      '10.8.0.1',
      getServers(),
    ]);
  });

  it("leaves dns the host's where the stack knows no names", async () => {
    const host = write(
      'marked.cjs',
      `const dns = require('dns');
       for (const key of ['lookup', 'resolve4', 'Resolver']) dns[key].isOfHost = dns.promises[key].isOfHost = true;`,
    );
    const outcome = await play(
      'no-names.cjs',
      `const dns = require('dns');
       console.log(JSON.stringify([dns, dns.promises].flatMap((module) =>
         ['lookup', 'resolve4', 'Resolver'].map((key) => module[key].isOfHost))));`,
      { ...LOOPBACK, NODE_OPTIONS: `--require ${host}` },
    );
    expect(outcome).to.deep.equal([true, true, true, true, true, true]);
  });

  it('says what is wrong with its environment', async () => {
    const said = await Promise.all([
      complaint({}),
      complaint({ TUNSTACK_LOOPBACK: 'yes' }),
      complaint({ TUNSTACK_LOOPBACK: '1', TUNSTACK_TUN: 'tun0' }),
      complaint({ TUNSTACK_TUN: 'tun0' }),
      complaint({ TUNSTACK_STACK: './missing.cjs' }),
      complaint({ TUNSTACK_STACK: write('empty.cjs', 'exports.other = 1;') }),
      complaint({ TUNSTACK_STACK: write('foreign.cjs', 'class Stack {} exports.stack = new Stack();') }),
      complaint({ TUNSTACK_STACK: write('waiting.mjs', 'await 1; export default 1;') }),
    ]);
    const expected = [
      /no stack is described: set TUNSTACK_STACK/,
      /TUNSTACK_LOOPBACK is 0 or 1, not yes/,
      /TUNSTACK_TUN and TUNSTACK_LOOPBACK exclude one another/,
      /TUNSTACK_TUN needs TUNSTACK_ADDRESSES/,
      /TUNSTACK_STACK, \.\/missing\.cjs, cannot be loaded: Cannot find module/,
      /exports no Stack/,
      /exports a Stack of another copy of tunstack/,
      /cannot be loaded: it awaits at its top/,
    ];
    for (const [at, pattern] of expected.entries()) expect(said[at]).to.match(pattern);
  }).timeout(30_000);

  it('gives each thread a stack of its own', async () => {
    const outcome = await play(
      'threads.cjs',
      `const { Worker, isMainThread, parentPort } = require('worker_threads'), net = require('net');
       const server = net.createServer().listen(4000, () => {
         const { port } = server.address();
         server.close();
         if (!isMainThread) return parentPort.postMessage(port);
         new Worker(__filename).once('message', (other) => console.log(JSON.stringify([port, other])));
       });`,
    );
    expect(outcome).to.deep.equal([4000, 4000]);
  });

  it('may be loaded with --require too', async () => {
    const path = write(
      'required.cjs',
      `console.log(require('net').connect === require('net').createConnection)`,
    );
    const { stdout } = await run(process.execPath, ['--require', 'tunstack/register', path], {
      env: LOOPBACK,
    });
    expect(stdout).to.equal('true\n');
  });
});
