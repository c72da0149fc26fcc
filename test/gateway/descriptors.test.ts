/** A gateway in a process that has no descriptors left: each flow ends, a counter tells, and later ones are served. */
import { expect } from 'chai';
import { run } from '../support/child.js';

const SCRIPT = 'test/gateway/support/few-descriptors.ts';

describe('gateway: descriptors that run out', function () {
  this.timeout(60_000);

  it('refuses, tells, keeps what there is, and goes on', async () => {
    const line = ['-c', 'ulimit -n 1024; exec "$@"', 'sh', process.execPath, '--import=tsx', SCRIPT];
    const { stdout } = await run('sh', line, { limitMs: 50_000 });
    expect(JSON.parse(stdout)).to.deep.equal({
      before: ['word'],
      // A connection, a flow of datagrams, a name; and the connection that was there before.
      without: ['ECONNREFUSED', 'refused', 'SERVFAIL', 'word'],
      // By libuv, which keeps a descriptor to do so.
      knocked: 'closed',
      tcpFull: 1,
      tcpUnreachable: 0,
      udpFull: 1,
      dnsDropped: 1,
      after: ['word', 'word', 'inside'],
    });
  });
});
