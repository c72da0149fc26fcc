/** `ssh2` over a stack: with OpenSSH's server on the other side, and as a server for its clients. */
import { createHash } from 'node:crypto';
import { once } from 'node:events';
import { createReadStream, createWriteStream, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { buffer, text } from 'node:stream/consumers';
import { pipeline } from 'node:stream/promises';
import { expect } from 'chai';
import type { SFTPWrapper } from 'ssh2';
import type { Child } from '../support/child.js';
import { FAMILIES, type InteropBed, KERNEL, STACK } from '../support/interop.js';
import { skip } from '../support/skip.js';
import { execute, lostServer, sshConnected } from './clients/ssh.js';
import { content, sha256 } from './support/content.js';
import { bedWith, dataDirectory } from './support/server.js';
import { serveSsh, sshOptions } from './support/ssh-server.js';
import { SSH_PORT, type SshKeys, sshKeys, startSshd } from './support/sshd.js';
import { toldAlike } from './support/story.js';

const BYTES = 100_000_000;

const hashOfFile = async (path: string): Promise<string> => {
  const hash = createHash('sha256');
  await pipeline(createReadStream(path), hash);
  return hash.digest('hex');
};

describe('ssh2 and OpenSSH', function () {
  this.timeout(60_000);
  this.slow(15_000);
  let bed: InteropBed;
  let server: Child;
  let directory: string;
  let keys: SshKeys;
  let file: string;
  let hash: string;
  before(async function () {
    if (process.getuid?.() !== 0) skip(this, 'sshd lets others log in only when root runs it');
    const client = 'openssh-client';
    bed = await bedWith(this, {
      '/usr/sbin/sshd': 'openssh-server',
      ssh: client,
      'ssh-keygen': client,
    });
    directory = dataDirectory(bed);
    keys = await sshKeys(directory);
    process.env.SSH_USER_KEY = keys.userFile;
    server = await startSshd(bed, directory, keys);
    const whole = content(BYTES);
    hash = sha256(whole);
    file = join(directory, 'file');
    writeFileSync(file, whole);
  });
  after(() => {
    delete process.env.SSH_USER_KEY;
    return bed?.close();
  });
  afterEach(() => bed?.isIdle());

  const login = () => ({ privateKey: keys.user });

  for (const family of FAMILIES) {
    const place = { host: KERNEL[family], port: SSH_PORT };

    it(`runs commands: output, input to its end, status, IPv${family}`, async () => {
      const client = await sshConnected(bed.net, place, login());
      const greeting = await execute(client, 'echo out; echo err >&2; exit 7');
      const status = once(greeting, 'exit');
      expect(await Promise.all([text(greeting), text(greeting.stderr)])).to.deep.equal(['out\n', 'err\n']);
      expect((await status)[0]).to.equal(7);
      // The end of our side is told apart from the end of the connection.
      const counting = await execute(client, 'sha256sum; echo done');
      counting.end(content(3_000_000));
      expect(await text(counting)).to.equal(`${sha256(content(3_000_000))}  -\ndone\n`);
      const many = await Promise.all(
        Array.from({ length: 8 }, async (_, i) =>
          buffer(await execute(client, `head -c 500000 ${file} | tail -c ${i + 1}`)),
        ),
      );
      expect(many.map(({ length }) => length)).to.deep.equal([1, 2, 3, 4, 5, 6, 7, 8]);
      client.end();
      await once(client, 'close');
    });
  }

  it('takes 100 MB by sftp and gives them back', async () => {
    const client = await sshConnected(bed.net, { host: KERNEL[4], port: SSH_PORT }, login());
    const sftp = await new Promise<SFTPWrapper>((resolve, reject) => {
      client.sftp((error, wrapper) => (error === undefined ? resolve(wrapper) : reject(error)));
    });
    const done = (resolve: () => void, reject: (error: Error) => void) => (error?: Error | null) =>
      error ? reject(error) : resolve();
    const [there, back] = [join(directory, 'there'), join(directory, 'back')];
    await new Promise<void>((resolve, reject) => sftp.fastPut(file, there, done(resolve, reject)));
    expect(await hashOfFile(there)).to.equal(hash);
    await new Promise<void>((resolve, reject) => sftp.fastGet(there, back, done(resolve, reject)));
    expect(await hashOfFile(back)).to.equal(hash);
    client.end();
    await once(client, 'close');
  });

  it('streams 100 MB through cat, both ways at once', async () => {
    const client = await sshConnected(bed.net, { host: KERNEL[6], port: SSH_PORT }, login());
    const cat = await execute(client, 'cat');
    const echoed = join(directory, 'echoed');
    await Promise.all([
      pipeline(createReadStream(file), cat, { end: true }).catch(() => {}),
      pipeline(cat, createWriteStream(echoed)),
    ]);
    expect(await hashOfFile(echoed)).to.equal(hash);
    client.end();
    await once(client, 'close');
  });

  it('reports a wrong key, and a connection that was reset', async () => {
    const place = { host: KERNEL[4], port: SSH_PORT };
    const wrong = await sshConnected(bed.net, place, { privateKey: keys.host }).catch(
      (error: unknown) => error,
    );
    expect(wrong).to.include({ level: 'client-authentication' });
    const client = await sshConnected(bed.net, place, login());
    const failed = once(client, 'error').catch(([error]) => [error]);
    await bed.exec('ss', '-K', 'sport', '=', String(SSH_PORT));
    expect((await failed)[0]).to.include({ code: 'ECONNRESET', level: 'client-socket' });
  });

  it('reports a lost server and a refused connection as over node:net', async () => {
    await server.kill();
    const module = new URL('./clients/ssh.ts', import.meta.url).href;
    const tale = { story: lostServer, module, name: 'lostServer' };
    const told = await toldAlike(bed, tale, () => startSshd(bed, directory, keys));
    expect(JSON.stringify(told)).to.include('connect ECONNREFUSED 10.9.0.1:22');
  });

  describe('a server of ssh2', () => {
    let port: number;
    before(async () => {
      ({ port } = await serveSsh(bed, keys, (session) => {
        session.on('exec', (accept, _reject, { command: asked }) => {
          const channel = accept();
          const end = (status: number): void => {
            channel.exit(status);
            channel.end();
          };
          if (asked === 'get') {
            createReadStream(file)
              .once('end', () => end(0))
              .pipe(channel, { end: false });
          } else if (asked === 'put') {
            const sum = createHash('sha256');
            channel.on('data', (data: Buffer) => sum.update(data));
            channel.once('end', () => {
              channel.write(`${sum.digest('hex')}\n`);
              end(3);
            });
          } else end(127);
        });
      }));
    });

    const command = (host: string): string => `ssh ${sshOptions(keys).join(' ')} -p ${port} tester@${host}`;

    for (const family of FAMILIES) {
      it(`gives OpenSSH’s client 100 MB and takes them, IPv${family}`, async () => {
        const to = command(STACK[family]);
        const got = await bed.namespace.shell(`${to} get | sha256sum`, { limitMs: 50_000 });
        expect(got.split(' ')[0]).to.equal(hash);
        const put = await bed.namespace.shell(`${to} put < ${file} || echo status $?`, { limitMs: 50_000 });
        expect(put).to.equal(`${hash}\nstatus 3\n`);
      });
    }
  });
});
