/** `@grpc/grpc-js`, whose servers take connections from elsewhere; its clients are tried in `register.test.ts`. */
import { once } from 'node:events';
import type { AddressInfo } from 'node:net';
import { fileURLToPath } from 'node:url';
import { ServerCredentials } from '@grpc/grpc-js';
import { expect } from 'chai';
import { FAMILIES, type InteropBed, STACK } from '../support/interop.js';
import { EXPECTED, grpcServer } from './clients/grpc.js';
import { type Identity, identity } from './support/certificates.js';
import { bedWith, dataDirectory } from './support/server.js';

const PROGRAM = fileURLToPath(new URL('./clients/program.ts', import.meta.url));

describe('@grpc/grpc-js, server', function () {
  this.timeout(40_000);
  this.slow(10_000);
  let bed: InteropBed;
  let authority: Identity;
  before(async function () {
    bed = await bedWith(this, {});
    authority = await identity(dataDirectory(bed));
  });
  after(() => bed?.close());
  afterEach(() => bed?.isIdle());

  for (const family of FAMILIES) {
    for (const secured of [false, true]) {
      it(`answers calls of all kinds from a client of Node’s, IPv${family}${secured ? ', TLS' : ''}`, async () => {
        const { ca, key, cert, caFile, servername } = authority;
        const server = grpcServer();
        const credentials = secured
          ? ServerCredentials.createSsl(ca, [{ private_key: key, cert_chain: cert }])
          : ServerCredentials.createInsecure();
        const injector = server.createConnectionInjector(credentials);
        const listener = bed.net.createServer({ noDelay: true }, (socket) =>
          injector.injectConnection(socket),
        );
        listener.listen(0, STACK[family]);
        await once(listener, 'listening');
        try {
          const place = [STACK[family], String((listener.address() as AddressInfo).port)];
          const args = ['--import=tsx', PROGRAM, 'grpc', ...place, ...(secured ? [caFile, servername] : [])];
          const { stdout } = await bed.namespace.exec(process.execPath, args, { limitMs: 35_000 });
          expect(JSON.parse(stdout)).to.deep.equal(EXPECTED);
        } finally {
          listener.close();
          server.forceShutdown();
        }
      });
    }
  }
});
