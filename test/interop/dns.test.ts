/** DNS with dnsmasq, of the kernel's side of a TUN, over UDP and TCP of both families. */
import { mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { expect } from 'chai';
import '../../lib/dns/stack-dns.js';
import { type Child, installed } from '../support/child.js';
import { FAMILIES, InteropBed, KERNEL } from '../support/interop.js';
import { skip } from '../support/skip.js';

/** So many that no packet holds them. */
const MANY = 150;

const CONFIGURATION = `
no-resolv
no-hosts
no-daemon
no-ping
user=root
bind-interfaces
local-ttl=60
local=/test/
host-record=a.test,192.0.2.1,2001:db8::1
address=/wild.test/192.0.2.2
cname=www.test,a.test
cname=long.test,www.test
mx-host=test,mail1.test,10
mx-host=test,mail2.test,20
srv-host=_http._tcp.test,a.test,8080,1,2
txt-record=text.test,one,"two words"
ptr-record=_services.test,printer.test
naptr-record=sip.test,1,2,s,SIP+D2U,!x!y!,r.test
caa-record=test,0,issue,ca.test
`;

describe('DNS with dnsmasq', function () {
  this.timeout(20_000);
  let bed: InteropBed | undefined;
  let server: Child | undefined;
  let directory: string | undefined;

  before(async function () {
    if (!(await installed('dnsmasq'))) skip(this, 'dnsmasq is not installed (dnsmasq-base)');
    bed = await InteropBed.createOrSkip(this);
    directory = mkdtempSync(join(tmpdir(), 'tunstack-dns-'));
    const hosts = Array.from({ length: MANY }, (_, i) => `192.0.2.${i + 1} many.test\n`).join('');
    writeFileSync(join(directory, 'hosts'), hosts);
    const file = join(directory, 'dnsmasq.conf');
    const listening = FAMILIES.map((family) => `listen-address=${KERNEL[family]}\n`).join('');
    const addition = `addn-hosts=${join(directory, 'hosts')}\nhost-record=peer.test,${KERNEL[4]},${KERNEL[6]}\n`;
    writeFileSync(file, CONFIGURATION + listening + addition);
    server = bed.namespace.spawn(
      'dnsmasq',
      ['--keep-in-foreground', `--conf-file=${file}`, '--log-facility=-'],
      {
        limitMs: 60_000,
      },
    );
    await server.output(/read .*hosts/);
  });
  after(async () => {
    await server?.kill();
    await bed?.close();
    if (directory !== undefined) rmSync(directory, { recursive: true, force: true });
  });

  for (const family of FAMILIES) {
    describe(`over IPv${family}`, () => {
      const resolver = () => {
        const made = new (bed as InteropBed).stack.dns.promises.Resolver();
        made.setServers([KERNEL[family]]);
        return made;
      };

      it('finds addresses, also behind aliases', async () => {
        const ask = resolver();
        expect(await ask.resolve4('a.test', { ttl: true })).to.deep.equal([
          { address: '192.0.2.1', ttl: 60 },
        ]);
        expect(await ask.resolve6('a.test')).to.deep.equal(['2001:db8::1']);
        expect(await ask.resolve4('x.y.wild.test')).to.deep.equal(['192.0.2.2']);
        expect(await ask.resolve4('long.test')).to.deep.equal(['192.0.2.1']);
        expect(await ask.resolveCname('www.test')).to.deep.equal(['a.test']);
      });

      it('finds records of other types', async () => {
        const ask = resolver();
        const mail = await ask.resolveMx('test');
        expect(mail.sort((a, b) => a.priority - b.priority)).to.deep.equal([
          { exchange: 'mail1.test', priority: 10 },
          { exchange: 'mail2.test', priority: 20 },
        ]);
        expect(await ask.resolveSrv('_http._tcp.test')).to.deep.equal([
          { name: 'a.test', port: 8080, priority: 1, weight: 2 },
        ]);
        expect(await ask.resolveTxt('text.test')).to.deep.equal([['one', 'two words']]);
        expect(await ask.resolvePtr('_services.test')).to.deep.equal(['printer.test']);
        expect(await ask.resolveNaptr('sip.test')).to.deep.equal([
          { order: 1, preference: 2, flags: 's', service: 'SIP+D2U', regexp: '!x!y!', replacement: 'r.test' },
        ]);
        expect(await ask.resolveCaa('test')).to.deep.equal([{ critical: 0, issue: 'ca.test' }]);
        expect(await ask.reverse('2001:db8::1')).to.deep.equal(['a.test']);
      });

      it('tells what is not there', async () => {
        const ask = resolver();
        const codeOf = (error: NodeJS.ErrnoException): string | undefined => error.code;
        expect(await ask.resolve4('none.test').catch(codeOf)).to.equal('ENOTFOUND');
        expect(await ask.resolveTxt('a.test').catch(codeOf)).to.equal('ENODATA');
        // It is to ask nobody else.
        expect(await ask.resolve4('elsewhere.example').catch(codeOf)).to.equal('EREFUSED');
      });

      it('gets over TCP what no packet holds', async () => {
        const { stats } = (bed as InteropBed).stack;
        const before = stats.dns.queriesTcp;
        const found = await resolver().resolve4('many.test');
        expect(new Set(found).size).to.equal(MANY);
        expect(stats.dns.queriesTcp).to.equal(before + 1);
      });
    });
  }

  it('connects to the kernel by name', async () => {
    const { stack } = bed as InteropBed;
    const kernel = await (bed as InteropBed).kernel();
    const listener = await kernel.listen({ address: KERNEL[6] });
    stack.dns.setServers([KERNEL[4]]);
    const socket = stack.net.connect({ host: 'peer.test', port: listener.local.port });
    await new Promise((resolve, reject) => socket.once('connect', resolve).once('error', reject));
    expect(socket.remoteAddress).to.equal(KERNEL[6]);
    expect(socket.autoSelectFamilyAttemptedAddresses).to.have.length(2);
    socket.destroy();
  });
});
