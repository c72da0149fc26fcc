/** 100 MB up and down between curl, or the kernel's sockets, and `stack.net`: every byte compared. */
import { createHash, randomBytes } from 'node:crypto';
import { once } from 'node:events';
import { createServer, type IncomingMessage, type ServerResponse } from 'node:http';
import type { Socket } from 'node:net';
import { expect } from 'chai';
import { FAMILIES, InteropBed, inUrl, KERNEL, STACK } from '../support/interop.js';
import { within } from '../support/interop-wait.js';

const BYTES = 100_000_000;
const PIECE = 1 << 20;
/** A stalled transfer must fail here and not at the end of the run. */
const LIMIT_S = '20';

const data = randomBytes(BYTES);
const sha256 = createHash('sha256').update(data).digest('hex');

/** Writes all of it, no faster than it is taken. */
async function pour(target: NodeJS.WritableStream): Promise<void> {
  for (let at = 0; at < BYTES; at += PIECE) {
    if (!target.write(data.subarray(at, at + PIECE))) await once(target, 'drain');
  }
  target.end();
}

async function hashOf(source: AsyncIterable<Uint8Array>): Promise<{ bytes: number; sha256: string }> {
  const hash = createHash('sha256');
  let bytes = 0;
  for await (const piece of source) {
    bytes += piece.length;
    hash.update(piece);
  }
  return { bytes, sha256: hash.digest('hex') };
}

/** GET sends the data, PUT answers with the hash of what was sent. */
async function answer(request: IncomingMessage, response: ServerResponse): Promise<void> {
  if (request.method === 'GET') {
    response.setHeader('Content-Length', BYTES);
    await pour(response);
  } else {
    response.end(JSON.stringify(await hashOf(request)));
  }
}

for (const offload of [true, false]) {
  for (const family of FAMILIES) {
    describe(`100 MB, IPv${family}, ${offload ? 'with' : 'without'} offloads`, function () {
      this.timeout(40_000);
      this.slow(10_000);
      let bed: InteropBed;
      let url: string;
      before(async function () {
        bed = await InteropBed.createOrSkip(this, { offload });
        const http = createServer((request, response) => {
          answer(request, response).catch((error: Error) => response.destroy(error));
        });
        bed.stack.serve(http, 80, STACK[family]);
        await once(http, 'listening');
        bed.onClose(() => {
          http.closeAllConnections();
          http.close();
        });
        url = `http://${inUrl(STACK[family])}/`;
      });
      after(() => bed?.close());
      afterEach(() => bed?.isIdle());

      it('down to curl', async () => {
        const text = await bed.shell(`curl -sS --fail --max-time ${LIMIT_S} ${url} | sha256sum`);
        expect(text.split(' ')[0]).to.equal(sha256);
      });

      it('up from curl', async () => {
        const command = `curl -sS --fail --max-time ${LIMIT_S} -T - -H 'Transfer-Encoding:' -H 'Content-Length: ${BYTES}' ${url}`;
        const { stdout } = await bed.namespace.exec('sh', ['-ec', command], { input: data });
        expect(JSON.parse(stdout)).to.deep.equal({ bytes: BYTES, sha256 });
      });

      if (!offload) return;

      it('up to a socket of the kernel', async () => {
        const kernel = await bed.kernel();
        const listener = await kernel.listen({ address: KERNEL[family] });
        const socket = bed.net.connect({ host: KERNEL[family], port: listener.local.port });
        try {
          const theirs = await listener.accept();
          const received = theirs.receiveToEnd();
          await within(pour(socket), () => 'the kernel to take it');
          expect(await received).to.deep.equal({ bytes: BYTES, sha256 });
          await theirs.close();
          await closed(socket);
        } finally {
          socket.destroy();
          await listener.close();
        }
      });

      it('down from a socket of the kernel', async () => {
        const kernel = await bed.kernel();
        const listener = await kernel.listen({ address: KERNEL[family] });
        const socket = bed.net.connect({ host: KERNEL[family], port: listener.local.port });
        try {
          const theirs = await listener.accept();
          const received = hashOf(socket);
          const sent = await theirs.sendBulk(BYTES);
          await theirs.shutdown();
          expect(await received).to.deep.equal({ bytes: BYTES, sha256: sent });
          await theirs.close();
          await closed(socket);
        } finally {
          socket.destroy();
          await listener.close();
        }
      });
    });
  }
}

/** The socket's end, which must be a good one. */
const closed = (socket: Socket): Promise<unknown> =>
  socket.closed ? Promise.resolve() : within(once(socket, 'close'), () => 'the socket to close');
