/** An ordinary user's router between two namespaces of his. */
import { expect } from 'chai';
import { installed, run } from '../support/child.js';
import { FAMILIES, inUrl } from '../support/interop.js';
import { HOSTS, ROUTER, RouterBed } from '../support/interop-router.js';
import { skip } from '../support/skip.js';

describe('a router without root', function () {
  this.timeout(60_000);
  let bed: RouterBed;

  before(async function () {
    for (const program of ['curl', 'python3', 'traceroute']) {
      if (!(await installed(program))) skip(this, `${program} is not installed`);
    }
    bed = await RouterBed.createOrSkip(this);
  });
  after(() => bed?.close());

  for (const family of FAMILIES) {
    it(`joins two networks, IPv${family}`, async () => {
      const host = HOSTS.far[family];
      const hops = (await bed.near.shell(`traceroute -U -n -q 1 -w 5 -m 4 ${host}`)).split('\n').slice(1, 3);
      expect(hops.map((hop) => hop.trim().split(/\s+/)[1])).to.deep.equal([ROUTER.near[family], host]);
      const args = ['-u', '-m', 'http.server', '--bind', host, '--directory', 'docs', '8000'];
      const server = bed.far.spawn('python3', args);
      await server.output(/Serving HTTP/);
      const page = await bed.near.shell(`curl -sS --retry-connrefused --retry 5 http://${inUrl(host)}:8000/`);
      expect(page).to.include('architecture.md');
      await server.kill();
    });
  }

  it('is what the example shows', async () => {
    const args = ['--import', 'tsx', 'examples/router.ts'];
    const { stdout } = await run(process.execPath, args, { limitMs: 50_000 });
    expect(stdout).to.match(
      /^allowed: {3}::ffff:10\.9\.0\.1 asked for \/page\nclosed: {4}connect EHOSTUNREACH /,
    );
  });
});
