/** An ordinary user's translator between two namespaces of his, of which one does not know the other. */
import { expect } from 'chai';
import { Nat } from '../../lib/nat/nat.js';
import { installed } from '../support/child.js';
import { FAMILIES, inUrl } from '../support/interop.js';
import { HOSTS, ROUTER, RouterBed } from '../support/interop-router.js';
import { skip } from '../support/skip.js';

describe('NAT without root', function () {
  this.timeout(60_000);
  let bed: RouterBed;
  let nat: Nat;

  before(async function () {
    for (const program of ['curl', 'python3', 'traceroute']) {
      if (!(await installed(program))) skip(this, `${program} is not installed`);
    }
    bed = await RouterBed.createOrSkip(this);
    await bed.far.shell('ip route del default; ip -6 route del default');
    nat = new Nat({ stack: bed.stack, outside: 2, families: [4, 6] });
  });
  after(async () => {
    nat?.close();
    await bed?.close();
  });

  for (const family of FAMILIES) {
    it(`hides one network from another, IPv${family}`, async () => {
      const host = HOSTS.far[family];
      const hops = (await bed.near.shell(`traceroute -U -n -q 1 -w 5 -m 4 ${host}`)).split('\n').slice(1, 3);
      expect(hops.map((hop) => hop.trim().split(/\s+/)[1])).to.deep.equal([ROUTER.near[family], host]);
      const args = ['-u', '-m', 'http.server', '--bind', host, '--directory', 'docs', '8000'];
      const server = bed.far.spawn('python3', args);
      await server.output(/Serving HTTP/);
      const page = await bed.near.shell(`curl -sS --retry-connrefused --retry 5 http://${inUrl(host)}:8000/`);
      expect(page).to.include('architecture.md');
      expect(server.stderr + server.stdout).to.include(`${ROUTER.far[family]} `);
      await server.kill();
    });
  }
});
