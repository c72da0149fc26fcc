/** iperf3, nginx, OpenSSL and curl over the stack: as servers behind it, and as servers it reaches. */
import { createHash, randomBytes } from 'node:crypto';
import { once } from 'node:events';
import { readFileSync, writeFileSync } from 'node:fs';
import { get } from 'node:http';
import { createSecureServer } from 'node:http2';
import { join } from 'node:path';
import { expect } from 'chai';
import { Child, installed, run } from '../support/child.js';
import { FAMILIES, InteropBed, inUrl, KERNEL, STACK } from '../support/interop.js';
import {
  accepts,
  behindStack,
  certificate,
  directory,
  freePort,
  nginxArguments,
  throughStack,
} from '../support/interop-programs.js';
import { eventually } from '../support/interop-wait.js';
import { skip } from '../support/skip.js';

const sha256 = (data: Uint8Array): string => createHash('sha256').update(data).digest('hex');
const BYTES = 20_000_000;

interface IperfEnd {
  readonly sum_sent: { readonly bytes: number };
  readonly sum_received: { readonly bytes: number };
  readonly sum_sent_bidir_reverse?: { readonly bytes: number };
  readonly sum_received_bidir_reverse?: { readonly bytes: number };
}

interface IperfReport {
  readonly error?: string;
  readonly end: IperfEnd;
}

const receivedBytes = ({ sum_received, sum_received_bidir_reverse: back }: IperfEnd): number =>
  sum_received.bytes + (back?.bytes ?? 0);

for (const family of FAMILIES) {
  describe(`real programs, IPv${family}`, function () {
    this.timeout(30_000);
    this.slow(5000);
    let bed: InteropBed;
    let path: string;
    /** A file of random bytes in `path`. */
    const content = randomBytes(BYTES);
    before(async function () {
      for (const program of ['iperf3', 'nginx', 'openssl', 'curl']) {
        if (!(await installed(program))) skip(this, `${program} is not installed`);
      }
      bed = await InteropBed.createOrSkip(this);
      path = directory(bed);
      writeFileSync(join(path, 'file'), content, { mode: 0o644 });
    });
    after(() => bed?.close());
    afterEach(() => bed?.isIdle());

    describe('iperf3', () => {
      const IPERF_BYTES = 100_000_000;
      const SERVE = ['-s', '-1', '--forceflush'];
      const DIRECTIONS = { up: [], down: ['-R'], 'both ways': ['--bidir'], 'up with 8': ['-P', '8'] };

      /** What the client says, when nothing went wrong and it sent all that was asked for. */
      const checked = (stdout: string): IperfReport => {
        const report = JSON.parse(stdout) as IperfReport;
        expect(report.error).to.equal(undefined);
        const { sum_sent, sum_sent_bidir_reverse: back } = report.end;
        expect(sum_sent.bytes + (back?.bytes ?? 0)).to.be.at.least(IPERF_BYTES);
        // Its end comes over another connection, and what is under way then is not waited for.
        expect(receivedBytes(report.end)).to.be.at.least(0.25 * IPERF_BYTES);
        return report;
      };
      const client = (port: number, flags: readonly string[]): string[] => {
        return ['-p', String(port), '-n', String(IPERF_BYTES), '-J', ...flags];
      };

      for (const [way, flags] of Object.entries(DIRECTIONS)) {
        it(`behind the stack, ${way}`, async () => {
          const port = await freePort();
          const server = new Child('iperf3', [...SERVE, '-B', '127.0.0.1', '-p', String(port)]);
          try {
            await server.output(/listening/i);
            const counts = await behindStack(bed, port);
            const args = ['-c', STACK[family], ...client(counts.port, flags)];
            const { end } = checked((await bed.namespace.exec('iperf3', args)).stdout);
            await server.succeeded();
            const passed = counts.forwardBytes + counts.backwardBytes;
            expect(passed).to.be.at.least(receivedBytes(end));
          } finally {
            await server.kill();
          }
        });

        it(`as a client through the stack, ${way}`, async () => {
          const server = bed.namespace.spawn('iperf3', [...SERVE, '-p', '5201']);
          try {
            await server.output(/listening/i);
            const counts = await throughStack(bed, family, 5201);
            const args = ['-c', '127.0.0.1', ...client(counts.port, flags)];
            const { end } = checked((await run('iperf3', args)).stdout);
            await server.succeeded();
            const passed = counts.forwardBytes + counts.backwardBytes;
            expect(passed).to.be.at.least(receivedBytes(end));
          } finally {
            await server.kill();
          }
        });
      }
    });

    describe('nginx', () => {
      it('behind the stack serves curl files and many small requests', async () => {
        const port = await freePort();
        const listen = [`127.0.0.1:${port}`];
        const server = new Child('nginx', nginxArguments(path, { root: path, listen }));
        try {
          await accepts(port);
          const counts = await behindStack(bed, port);
          const url = `http://${inUrl(STACK[family])}:${counts.port}/file`;
          const sum = await bed.shell(`curl -sS --fail --max-time 20 ${url} | sha256sum`);
          expect(sum.split(' ')[0]).to.equal(sha256(content));
          // Ranges of the file, on connections that are used again and again, and some at once.
          const ranges = Array.from({ length: 40 }, (_, i) => [i * 1000, i * 1000 + 999]);
          const requests = ranges.flatMap(([from, to], i) => [
            'next',
            'silent',
            'show-error',
            'fail',
            `range = "${from}-${to}"`,
            `url = "${url}"`,
            `output = "${path}/part${i}"`,
          ]);
          const config = join(path, 'curl.conf');
          writeFileSync(config, requests.slice(1).join('\n'));
          await bed.exec(
            'curl',
            '--parallel',
            '--parallel-max',
            '8',
            '-sS',
            '--max-time',
            '20',
            '-K',
            config,
          );
          for (const [i, [from, to]] of ranges.entries()) {
            const part = readFileSync(join(path, `part${i}`));
            expect(sha256(part), `part ${i}`).to.equal(sha256(content.subarray(from, to + 1)));
          }
          expect(counts.errors).to.deep.equal([]);
        } finally {
          await server.kill('SIGTERM');
        }
      });

      it('serves the stack’s own HTTP client', async () => {
        const listen = [`${inUrl(KERNEL[family])}:8080`];
        const server = bed.namespace.spawn('nginx', nginxArguments(path, { root: path, listen }));
        const agent = bed.stack.agent({ keepAlive: true, maxSockets: 2 });
        const fetched = (): Promise<string> =>
          new Promise((resolve, reject) => {
            const request = get({ agent, host: KERNEL[family], port: 8080, path: '/file' }, (response) => {
              const hash = createHash('sha256');
              response.on('data', (piece: Buffer) => hash.update(piece));
              response.once('end', () => resolve(hash.digest('hex')));
            });
            request.once('error', reject);
          });
        try {
          const hash = await eventually(
            'nginx',
            () => fetched().catch(({ code }: { code: string }) => code),
            (outcome) => outcome !== 'ECONNREFUSED',
          );
          expect(hash).to.equal(sha256(content));
          const hashes = await Promise.all(Array.from({ length: 6 }, fetched));
          expect(new Set(hashes)).to.deep.equal(new Set([hash]));
        } finally {
          agent.destroy();
          await server.kill('SIGTERM');
        }
      });
    });

    describe('OpenSSL', () => {
      let key: string;
      let cert: string;
      before(async () => {
        ({ key, cert } = await certificate(path));
      });

      it('s_server behind the stack takes a file from s_client', async () => {
        const port = await freePort();
        const output = join(path, 'taken');
        const serve = `exec openssl s_server -quiet -naccept 1 -accept 127.0.0.1:${port} -key ${key} -cert ${cert} > ${output}`;
        const server = new Child('sh', ['-c', serve], { openStdin: true });
        try {
          await listensOn(port);
          const counts = await behindStack(bed, port);
          const connect = `openssl s_client -quiet -nocommands -no_ign_eof -verify_return_error -CAfile ${cert}`;
          await bed.shell(`${connect} -connect ${inUrl(STACK[family])}:${counts.port} < ${path}/file 2>&1`);
          await eventually(
            'the file',
            () => readFileSync(output).length,
            (bytes) => bytes >= BYTES,
          );
          expect(sha256(readFileSync(output))).to.equal(sha256(content));
        } finally {
          await server.kill();
        }
      });

      it('s_client through the stack fetches a file from s_server', async () => {
        const args = ['-WWW', '-accept', `${inUrl(KERNEL[family])}:4433`, '-key', key, '-cert', cert];
        const server = bed.namespace.spawn('openssl', ['s_server', ...args], { cwd: path, openStdin: true });
        try {
          await server.output(/ACCEPT/);
          const counts = await throughStack(bed, family, 4433);
          const url = `https://tunstack.test:${counts.port}/file`;
          const resolve = ['--resolve', `tunstack.test:${counts.port}:127.0.0.1`];
          const output = join(path, 'fetched');
          const fetch = [
            '-sS',
            '-k',
            '--fail',
            '--http1.0',
            '--max-time',
            '20',
            ...resolve,
            '-o',
            output,
            url,
          ];
          await run('curl', fetch);
          expect(sha256(readFileSync(output))).to.equal(sha256(content));
          expect(counts.backwardBytes).to.be.above(BYTES);
        } finally {
          await server.kill();
        }
      });

      it('s_client talks to a TLS server of Node’s over the stack’s sockets, and curl HTTP/2', async () => {
        const http2 = createSecureServer(
          { key: readFileSync(key), cert: readFileSync(cert), allowHTTP1: true },
          (request, response) => {
            request.resume();
            response.end(request.httpVersion === '2.0' ? content : 'not HTTP/2');
          },
        );
        bed.stack.serve(http2, 443, STACK[family]);
        await once(http2, 'listening');
        try {
          const url = `https://${inUrl(STACK[family])}/`;
          const sum = await bed.shell(
            `curl -sS --fail --http2 --cacert ${cert} --max-time 20 ${url} | sha256sum`,
          );
          expect(sum.split(' ')[0]).to.equal(sha256(content));
          const said = await bed.shell(
            `printf 'GET / HTTP/1.0\\r\\n\\r\\n' | openssl s_client -quiet -CAfile ${cert} -verify_return_error \
              -connect ${inUrl(STACK[family])}:443 2>/dev/null`,
          );
          expect(said).to.match(/^HTTP\/1.1 200 OK\r\n[^]*\r\n\r\nnot HTTP\/2$/);
        } finally {
          http2.close();
        }
      });
    });
  });
}

/** Waits for a server that must not be connected to only to see whether it is there. */
const listensOn = (port: number): Promise<string> =>
  eventually(
    'a listener',
    async () => (await run('ss', ['-Hltn', `sport = :${port}`])).stdout,
    (text) => text.includes(`:${port}`),
  );
