/** scp, 100 MB a time: `ssh2` over a stack to OpenSSH, and OpenSSH's `scp` to a server of `ssh2` on the stack. */
import { createHash } from 'node:crypto';
import { once } from 'node:events';
import { createReadStream, existsSync, readFileSync, statSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { pipeline } from 'node:stream/promises';
import { expect } from 'chai';
import type { ServerChannel, Session } from 'ssh2';
import type { Child } from '../support/child.js';
import { FAMILIES, type InteropBed, inUrl, KERNEL, STACK } from '../support/interop.js';
import { eventually } from '../support/interop-wait.js';
import { skip } from '../support/skip.js';
import { execute, sshConnected } from './clients/ssh.js';
import { content, sha256 } from './support/content.js';
import { ScpError, type ScpFile, scpRefuse, scpSend, scpTake } from './support/scp.js';
import { bedWith, dataDirectory } from './support/server.js';
import { serveFiles } from './support/sftp.js';
import { type SshServing, serveSsh, sshOptions } from './support/ssh-server.js';
import { SSH_PORT, type SshKeys, sshKeys, startSshd } from './support/sshd.js';

const BYTES = 100_000_000;

async function hashOfFile(path: string): Promise<string> {
  const hash = createHash('sha256');
  await pipeline(createReadStream(path), hash);
  return hash.digest('hex');
}

/** Waits until a file has begun to fill. */
const grown = (path: string): Promise<number> =>
  eventually(
    `text in ${path}`,
    () => (existsSync(path) ? statSync(path).size : 0),
    (bytes) => bytes > 0,
  );

describe('scp', function () {
  this.timeout(60_000);
  this.slow(15_000);
  let bed: InteropBed;
  let directory: string;
  let keys: SshKeys;
  let file: string;
  let expected: ScpFile;
  before(async function () {
    if (process.getuid?.() !== 0) skip(this, 'sshd lets others log in only when root runs it');
    const client = 'openssh-client';
    bed = await bedWith(this, { '/usr/sbin/sshd': 'openssh-server', scp: client, 'ssh-keygen': client });
    directory = dataDirectory(bed);
    keys = await sshKeys(directory);
    const whole = content(BYTES);
    file = join(directory, 'file');
    writeFileSync(file, whole, { mode: 0o644 });
    expected = { name: 'file', mode: '0644', bytes: BYTES, sha256: sha256(whole) };
  });
  after(() => bed?.close());
  afterEach(() => bed?.isIdle());

  describe('a client of ssh2, and OpenSSH’s server', () => {
    let server: Child;
    before(async () => {
      server = await startSshd(bed, directory, keys);
    });
    after(() => server?.kill());

    const connected = (host: string) =>
      sshConnected(bed.net, { host, port: SSH_PORT }, { privateKey: keys.user });

    for (const family of FAMILIES) {
      it(`takes 100 MB and gives them back, IPv${family}`, async () => {
        const client = await connected(KERNEL[family]);
        const source = await execute(client, `scp -f ${file}`);
        const status = once(source, 'exit');
        expect(await scpTake(source)).to.deep.equal(expected);
        source.end();
        expect((await status)[0]).to.equal(0);
        const copy = join(directory, `copy${family}`);
        const sink = await execute(client, `scp -t ${copy}`);
        const sunk = once(sink, 'exit');
        await scpSend(sink, file, BYTES);
        sink.end();
        expect((await sunk)[0]).to.equal(0);
        expect(await hashOfFile(copy)).to.equal(expected.sha256);
        client.end();
        await once(client, 'close');
      });
    }

    it('is told of files and directories that are not there', async () => {
      const client = await connected(KERNEL[4]);
      const failureOf = async (command: string, use: (stream: ServerChannel) => Promise<unknown>) => {
        const channel = await execute(client, command);
        const status = once(channel, 'exit');
        const failure = await use(channel as unknown as ServerChannel).catch((error: unknown) => error);
        channel.end();
        return [failure, (await status)[0]] as const;
      };
      const missing = await failureOf(`scp -f ${directory}/missing`, (stream) => scpTake(stream));
      expect(missing[0])
        .to.be.instanceOf(ScpError)
        .with.property('message')
        .that.matches(/No such file/);
      expect(missing[1]).to.equal(1);
      const nowhere = await failureOf(`scp -t ${directory}/no/where`, (stream) =>
        scpSend(stream, file, BYTES),
      );
      expect(nowhere[0])
        .to.be.instanceOf(ScpError)
        .with.property('message')
        .that.matches(/No such file/);
      expect(nowhere[1]).to.equal(1);
      client.end();
      await once(client, 'close');
    });

    it('fails when its connection is cut in the middle, either way', async () => {
      for (const way of ['taking', 'giving']) {
        const client = await connected(KERNEL[4]);
        const failed = new Promise((resolve) => client.once('error', resolve));
        const closed = new Promise<void>((resolve) => client.once('close', () => resolve()));
        let isCut = false;
        const cut = (): void => {
          if (isCut) return;
          isCut = true;
          void bed.exec('ss', '-K', 'sport', '=', String(SSH_PORT));
        };
        const half = join(directory, 'half');
        const channel = await execute(client, way === 'taking' ? `scp -f ${file}` : `scp -t ${half}`);
        const copying =
          way === 'taking'
            ? scpTake(channel, (bytes) => bytes > BYTES / 10 && cut())
            : Promise.all([scpSend(channel, file, BYTES), grown(half).then(cut)]);
        expect(
          await copying.then(
            () => 'copied',
            () => 'failed',
          ),
        ).to.equal('failed');
        expect(await failed, way).to.include({ code: 'ECONNRESET', level: 'client-socket' });
        await closed;
      }
    });
  });

  describe('OpenSSH’s scp, and a server of ssh2', () => {
    let serving: SshServing;
    /** What became of each file that was taken or given, oldest first. */
    let outcomes: (ScpFile | string)[];
    before(async () => {
      serving = await serveSsh(bed, keys, serve);
    });
    beforeEach(() => {
      outcomes = [];
      serving.sockets.length = 0;
    });

    function serve(session: Session): void {
      session.on('sftp', (accept) => serveFiles(accept(), directory));
      session.on('exec', (accept, _reject, { command }) => {
        const channel = accept();
        // It is an error to write to one whose client has gone.
        channel.on('error', () => {});
        const [, mode, path] = /^scp(?: -v)? -([ft]) (\S+)$/.exec(command) ?? [];
        copy(channel, mode, path).then(
          (outcome) => {
            outcomes.push(outcome);
            channel.exit(outcome === 'refused' ? 1 : 0);
            channel.end();
          },
          () => {
            outcomes.push('broken off');
            channel.end();
          },
        );
      });
    }

    async function copy(channel: ServerChannel, mode: string, path: string): Promise<ScpFile | string> {
      if (mode === 't') return scpTake(channel);
      if (existsSync(path)) {
        await scpSend(channel, path, statSync(path).size);
        return 'given';
      }
      scpRefuse(channel, path);
      return 'refused';
    }

    const scp = (from: string, to: string, ...flags: string[]): Child => {
      const args = [...sshOptions(keys), '-P', String(serving.port), ...flags, from, to];
      return bed.namespace.spawn('scp', args, { limitMs: 50_000 });
    };

    for (const family of FAMILIES) {
      const host = `tester@${inUrl(STACK[family])}`;

      for (const [how, flags] of [
        ['records', ['-O']],
        ['sftp', []],
      ] as const) {
        it(`gives 100 MB and takes them, by ${how}, IPv${family}`, async () => {
          const back = join(directory, `back-${how}${family}`);
          await scp(`${host}:${file}`, back, ...flags).succeeded();
          expect(await hashOfFile(back)).to.equal(expected.sha256);
          const there = join(directory, `there-${how}${family}`);
          await scp(file, `${host}:${there}`, ...flags).succeeded();
          if (how === 'sftp') expect(await hashOfFile(there)).to.equal(expected.sha256);
          else expect(outcomes).to.deep.equal(['given', expected]);
        });
      }
    }

    it('is told of a file that is not there', async () => {
      for (const flags of [['-O'], []]) {
        const remote = `tester@${STACK[4]}:${directory}/missing`;
        const { status, stderr } = await scp(remote, join(directory, 'none'), ...flags).ended;
        expect(status).to.equal(1);
        expect(stderr).to.match(/No such file/i);
      }
      expect(outcomes).to.deep.equal(['refused']);
    });

    it('fails when the server resets the connection in the middle', async () => {
      for (const flags of [['-O'], []]) {
        const half = join(directory, `reset${flags.length}`);
        const copying = scp(`tester@${STACK[4]}:${file}`, half, '-l', '80000', ...flags);
        await grown(half);
        for (const socket of serving.sockets.splice(0)) socket.resetAndDestroy();
        expect((await copying.ended).status).to.not.equal(0);
        expect(readFileSync(half).length).to.be.lessThan(BYTES);
      }
    });

    it('leaves the server well when it is killed in the middle', async () => {
      const there = join(directory, 'killed');
      const copying = scp(file, `tester@${STACK[4]}:${there}`, '-O', '-l', '80000');
      await eventually(
        'a beginning',
        () => serving.sockets.at(0)?.bytesRead ?? 0,
        (bytes) => bytes > 100_000,
      );
      await copying.kill();
      await eventually(
        'its end',
        () => outcomes,
        ({ length }) => length > 0,
      );
      expect(outcomes).to.deep.equal(['broken off']);
    });
  });
});
