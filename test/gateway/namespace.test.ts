/** Namespaces with a gateway or a tunnel: what is found before one is made, and that nothing of one stays. */
import { once } from 'node:events';
import { mkdirSync, mkdtempSync, readdirSync, rmSync } from 'node:fs';
import { type AddressInfo, createServer } from 'node:net';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { env } from 'node:process';
import { expect } from 'chai';
import { openNamespaceGateway, openNamespaceTunnel } from '../../lib/index.js';
import { needsTun } from '../support/needs-tun.js';

/** Where no namespace can be joined: whoever gets so far fails with something else. */
const NOWHERE = { within: '/nonexistent' } as const;
const proxy = 'socks5://127.0.0.1:1080';

async function codeOf(opening: Promise<unknown>): Promise<string | undefined> {
  try {
    await opening;
    return undefined;
  } catch (error) {
    return (error as NodeJS.ErrnoException).code;
  }
}

const gateway = (options: object | null): Promise<string | undefined> =>
  codeOf(openNamespaceGateway(options as object));
const tunnel = (options: object | null): Promise<string | undefined> =>
  codeOf(openNamespaceTunnel(options as { proxy: string }));

describe('a namespace that is served', () => {
  it('is not made with options that are wrong', async () => {
    expect(await gateway(null)).to.equal('ERR_INVALID_ARG_TYPE');
    expect(await gateway({ ...NOWHERE, maxTcp: 0 })).to.equal('ERR_OUT_OF_RANGE');
    expect(await gateway({ ...NOWHERE, stack: 1 })).to.equal('ERR_INVALID_ARG_VALUE');
    expect(await gateway({ ...NOWHERE, inside: [] })).to.equal('ERR_INVALID_ARG_VALUE');
    expect(await gateway({ ...NOWHERE, mtv: 1500 })).to.equal('ERR_INVALID_ARG_VALUE');
    expect(await gateway({ ...NOWHERE, dns: [] })).to.equal('ERR_INVALID_ARG_VALUE');
    expect(await gateway({ ...NOWHERE, deny: '10.0.0.0/8' })).to.equal('ERR_INVALID_ARG_TYPE');
    expect(await gateway({ ...NOWHERE, deny: ['10.0.0.0/80'] })).to.equal('ERR_INVALID_ARG_VALUE');
    expect(await gateway({ ...NOWHERE, reach: ['80:x:80'] })).to.equal('ERR_INVALID_ARG_VALUE');
    expect(await tunnel(null)).to.equal('ERR_INVALID_ARG_TYPE');
    expect(await tunnel({ ...NOWHERE, proxy, maxTcp: 0 })).to.equal('ERR_OUT_OF_RANGE');
    expect(await tunnel({ ...NOWHERE, proxy, stack: 1 })).to.equal('ERR_INVALID_ARG_VALUE');
    expect(await tunnel({ ...NOWHERE, proxy, mtv: 1500 })).to.equal('ERR_INVALID_ARG_VALUE');
  });

  describe('with a TUN', function () {
    this.timeout(60_000);
    before(needsTun);
    const { TMPDIR } = env;
    let directory: string;

    beforeEach(() => {
      directory = mkdtempSync(join(tmpdir(), 'tunstack-test-'));
      env.TMPDIR = directory;
    });
    afterEach(() => {
      if (TMPDIR === undefined) delete env.TMPDIR;
      else env.TMPDIR = TMPDIR;
      rmSync(directory, { recursive: true, force: true });
    });

    it('has what it says, and leaves nothing when it is closed twice', async () => {
      const servers = ['127.0.0.1'];
      const wishes = { ipv6: false, mtu: 9000 };
      for (const open of [
        () => openNamespaceGateway({ ...wishes, dns: servers }),
        () => openNamespaceTunnel({ ...wishes, proxy, nameServer: '192.0.2.1' }),
      ]) {
        const space = await open();
        expect([space.inside, space.resolvers]).to.deep.equal([['10.0.2.100'], ['10.0.2.3']]);
        expect(space.tun.device.mtu).to.equal(9000);
        expect(readdirSync(directory)).to.have.length(1);
        const child = space.run('cat', ['/etc/resolv.conf'], { stdio: ['ignore', 'pipe', 'inherit'] });
        const [bytes] = (await once(child.stdout as NodeJS.ReadableStream, 'data')) as [Buffer];
        expect(String(bytes)).to.equal('nameserver 10.0.2.3\n');
        await Promise.all([space.close(), space.close()]);
        expect(readdirSync(directory)).to.deep.equal([]);
        expect(space.stack.isClosed).to.equal(true);
      }
    });

    it('leaves nothing where it cannot be opened', async () => {
      const taken = createServer().listen(0, '127.0.0.1');
      await once(taken, 'listening');
      const { port } = taken.address() as AddressInfo;
      try {
        expect(await gateway({ publish: [`${port}:80`] })).to.equal('EADDRINUSE');
        expect(readdirSync(directory)).to.deep.equal([]);
        env.TMPDIR = join(directory, 'missing');
        expect(await gateway({})).to.equal('ENOENT');
        mkdirSync(env.TMPDIR);
        expect(await gateway({ publish: [`${port}:80`] })).to.equal('EADDRINUSE');
      } finally {
        taken.close();
      }
    });
  });
});
