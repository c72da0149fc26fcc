/** `tunstack gateway` as an ordinary user: the same programs, and once with this host itself on the outside. */
import { once } from 'node:events';
import { createServer } from 'node:http';
import type { AddressInfo } from 'node:net';
import { expect } from 'chai';
import { NODE } from '../cli/support/cli.js';
import { programsBehindGateway } from '../gateway/support/programs.js';
import { run } from '../support/child.js';
import { needsTun } from '../support/needs-tun.js';

describe('a gateway of an ordinary user', function () {
  this.timeout(180_000);

  describe('in a namespace of its own', () => programsBehindGateway());

  describe('on this host', () => {
    before(needsTun);

    it('reaches a port of its loopback, and nothing else of it', async () => {
      const server = createServer((_request, response) => response.end('of the host'));
      server.listen(0, '127.0.0.1');
      await once(server, 'listening');
      const { port } = server.address() as AddressInfo;
      try {
        const cli = [...NODE, 'gateway', '--no-dns', '--deny', '0.0.0.0/0'];
        const get = `curl -sS --max-time 20 http://10.0.2.2`;
        const script = `${get}:80/; ${get}:${port}/ || echo closed`;
        const args = [...cli, '--reach', `80:127.0.0.1:${port}`, '--', 'sh', '-c', script];
        const { stdout } = await run(process.execPath, args, { limitMs: 60_000 });
        expect(stdout).to.equal('of the hostclosed\n');
      } finally {
        server.closeAllConnections();
        server.close();
      }
    });
  });
});
