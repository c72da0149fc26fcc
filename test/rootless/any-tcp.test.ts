/** An ordinary user's transparent proxy: programs in a namespace of his reach any address, and he answers. */
import http from 'node:http';
import { expect } from 'chai';
import { installed } from '../support/child.js';
import { FAMILIES, InteropBed, inUrl } from '../support/interop.js';
import { skip } from '../support/skip.js';

describe('connections to any address without root', function () {
  this.timeout(30_000);
  let bed: InteropBed;

  before(async function () {
    if (!(await installed('curl'))) skip(this, 'curl is not installed');
    bed = await InteropBed.createOrSkip(this, {
      setUp: 'ip route add default dev tun0; ip -6 route add default dev tun0',
    });
  });
  after(() => bed?.close());

  for (const family of FAMILIES) {
    it(`are answered, IPv${family}`, async () => {
      const server = http.createServer((request, response) => response.end(request.socket.localAddress));
      const listener = bed.stack.listenAny({ protocol: 'tcp', ports: [80] }, (request) => {
        server.emit('connection', request.accept({ allowHalfOpen: true }));
      });
      for (const host of family === 4 ? ['192.0.2.1', '203.0.113.9'] : ['2001:db8::1', '2001:db8::2']) {
        expect(await bed.exec('curl', '-sS', '-m', '10', `http://${inUrl(host)}/`)).to.equal(host);
      }
      server.closeAllConnections();
      listener.close();
      await bed.isIdle();
    });
  }
});
