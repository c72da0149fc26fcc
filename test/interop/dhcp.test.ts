/** DHCP and router discovery against programs nobody here wrote: udhcpc, dhclient, dnsmasq, radvd, rdisc6, the kernel. */
import { mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { expect } from 'chai';
import { DhcpClient } from '../../lib/dhcp/client.js';
import { DhcpServer } from '../../lib/dhcp/server.js';
import type { DhcpServerOptions } from '../../lib/dhcp/server-options.js';
import type { AdvertisedDns } from '../../lib/ethernet/router-discovery-options.js';
import { installed } from '../support/child.js';
import { eventually } from '../support/interop-wait.js';
import { skip } from '../support/skip.js';
import { TapBed } from '../support/tap.js';

const QUICK = { ipv6Probes: 0 };

/** What a client is told, put into the namespace. */
const SCRIPT = `#!/bin/sh
case "$1$reason" in
  bound|renew|BOUND|RENEW)
    ip addr replace \${ip:-$new_ip_address}/24 dev tap0
    ip route replace default via \${router:-$new_routers}
    echo "got \${ip:-$new_ip_address} dns \${dns:-$new_domain_name_servers} domain \${domain:-$new_domain_name}" ;;
esac
exit 0
`;

describe('DHCP server and programs of Debian', function () {
  this.timeout(40_000);
  let bed: TapBed;
  let server: DhcpServer;
  let folder: string;

  beforeEach(async function () {
    bed = await TapBed.open(this, { addresses: ['10.9.0.1/24'], ethernet: { detection: QUICK } });
    folder = mkdtempSync(join(tmpdir(), 'tunstack-dhcp-'));
    writeFileSync(join(folder, 'script'), SCRIPT, { mode: 0o755 });
  });

  afterEach(async () => {
    server?.close();
    await bed?.close();
    if (folder !== undefined) rmSync(folder, { recursive: true, force: true });
  });

  const serve = (options: Partial<DhcpServerOptions> = {}): void => {
    const { link, clock } = bed;
    const pool = ['10.9.0.100', '10.9.0.110'] as const;
    const told = { dnsServers: ['10.9.0.53'], domain: 'lan.test' };
    server = new DhcpServer({ link, clock, address: '10.9.0.1/24', pool, probeMs: 200, ...told, ...options });
  };

  it('configures udhcpc, which then reaches the stack', async function () {
    if (!(await installed('udhcpc'))) skip(this, 'no udhcpc');
    serve({ statics: [{ address: '10.9.0.42', mac: '52:54:00:00:00:42' }] });
    await bed.namespace.shell(
      'ip link set tap0 down; ip link set tap0 address 52:54:00:00:00:42; ip link set tap0 up',
    );
    const args = ['-f', '-q', '-n', '-i', 'tap0', '-s', join(folder, 'script'), '-x', 'hostname:machine'];
    const { stdout } = await bed.namespace.exec('udhcpc', args);
    expect(stdout).to.match(/got 10\.9\.0\.42 dns 10\.9\.0\.53 domain lan\.test/);
    expect(server.leases()[0]).to.include({ address: '10.9.0.42', hostname: 'machine' });
    await bed.namespace.shell('ping -nc 1 10.9.0.1');
  });

  it('configures dhclient, and takes back what it releases', async function () {
    if (!(await installed('dhclient'))) skip(this, 'no dhclient');
    serve();
    const files = ['-lf', join(folder, 'leases'), '-pf', join(folder, 'pid'), '-cf', '/dev/null'];
    const args = ['-v', '-1', ...files, '-sf', join(folder, 'script'), 'tap0'];
    const { stdout, stderr } = await bed.namespace.exec('dhclient', args);
    expect(stdout + stderr).to.match(/bound to 10\.9\.0\.100/);
    expect(server.leases()).to.have.length(1);
    await bed.namespace.shell('ping -nc 1 10.9.0.1');
    await bed.namespace.exec('dhclient', ['-r', ...files, '-sf', join(folder, 'script'), 'tap0']);
    await eventually(
      'the release',
      () => server.leases(),
      (leases) => leases.length === 0,
    );
  });

  it('gets an address, routes and name servers from dnsmasq, renews, and gives back', async function () {
    if (!(await installed('dnsmasq'))) skip(this, 'no dnsmasq');
    const client = await clientOfDnsmasq();
    expect(client.lease).to.include({ address: '10.9.0.150/24', server: '10.9.0.7', domain: 'lan.test' });
    expect(client.lease?.dnsServers).to.deep.equal(['10.9.0.53']);
    expect(client.lease?.routes).to.deep.equal([
      { destination: '192.168.7.0/24', gateway: '10.9.0.8' },
      { destination: '0.0.0.0/0', gateway: '10.9.0.7' },
    ]);
    expect(client.lease?.searchDomains).to.deep.equal(['a.test', 'b.a.test']);
    client.renew();
    await eventually(
      'a renewal',
      () => client.stats.renewals,
      (renewals) => renewals === 1,
    );
    client.close();
    const others = bed.stack.ip.addresses(bed.index).filter(({ family }) => family === 4);
    expect(others.map(({ address }) => address)).to.deep.equal(['10.9.0.1/24']);
  });

  const clientOfDnsmasq = async (): Promise<DhcpClient> => {
    await bed.namespace.shell('ip addr add 10.9.0.7/24 dev tap0');
    const dnsmasq = bed.namespace.spawn('dnsmasq', [
      '--no-daemon',
      '--conf-file=/dev/null',
      '--port=0',
      '--interface=tap0',
      '--bind-interfaces',
      `--dhcp-leasefile=${join(folder, 'leases')}`,
      '--dhcp-range=10.9.0.150,10.9.0.150,255.255.255.0,10m',
      '--dhcp-option=option:dns-server,10.9.0.53',
      '--dhcp-option=option:domain-name,lan.test',
      '--dhcp-option=option:domain-search,a.test,b.a.test',
      '--dhcp-option=option:classless-static-route,192.168.7.0/24,10.9.0.8,0.0.0.0/0,10.9.0.7',
      '--user=root',
    ]);
    await dnsmasq.output(/DHCP, (sockets|IP range)/);
    const { link, clock, random } = bed;
    return new Promise((done) => {
      const client: DhcpClient = new DhcpClient({
        link,
        clock,
        random,
        probeMs: 100,
        onLease: () => done(client),
      });
    });
  };
});

describe('Router discovery, the kernel, radvd and rdisc6', function () {
  this.timeout(40_000);
  let bed: TapBed;
  let folder: string;

  beforeEach(() => {
    folder = mkdtempSync(join(tmpdir(), 'tunstack-ra-'));
  });

  afterEach(async () => {
    await bed?.close();
    rmSync(folder, { recursive: true, force: true });
  });

  it('gives the kernel addresses and routes, and is read by rdisc6', async function () {
    bed = await TapBed.open(this, {
      addresses: ['2001:db8:9::1/64'],
      ethernet: { detection: QUICK },
      setUp: 'sysctl -qw net.ipv6.conf.tap0.accept_ra=2 net.ipv6.conf.tap0.accept_ra_rt_info_max_plen=64',
    });
    bed.link.advertise({
      prefixes: [{ prefix: '2001:db8:9::/64' }],
      routes: [{ prefix: '2001:db8:77::/48', preference: 'high' }],
      dnsServers: ['2001:db8:9::53'],
      searchDomains: ['lan.test'],
      preference: 'high',
      mtu: 1400,
    });
    await eventually(
      'an address of the kernel',
      async () => (await bed.namespace.exec('ip', ['-6', 'addr', 'show', 'dev', 'tap0'])).stdout,
      (text) => text.includes('2001:db8:9:'),
    );
    const { stdout: routes } = await bed.namespace.exec('ip', ['-6', 'route']);
    expect(routes).to.match(/default via fe80::5054:ff:fe00:1 dev tap0 proto ra .*mtu 1400.* pref high/);
    await bed.namespace.shell('ping -nc 1 -W 5 2001:db8:9::1');
    if (!(await installed('rdisc6'))) skip(this, 'no rdisc6');
    const { stdout } = await bed.namespace.exec('rdisc6', ['-1', 'tap0']);
    expect(stdout).to.match(/Router preference +: +high/);
    expect(stdout).to.match(/Prefix +: 2001:db8:9::\/64/);
    expect(stdout).to.match(/Recursive DNS server +: 2001:db8:9::53/);
    expect(stdout).to.match(/DNS search list +: lan\.test/);
    expect(stdout).to.match(/Route +: 2001:db8:77::\/48/);
  });

  it('takes addresses, routes and name servers from radvd [IC6-15]', async function () {
    if (!(await installed('radvd'))) skip(this, 'no radvd');
    const said: AdvertisedDns[] = [];
    const config = `interface tap0 {
      AdvSendAdvert on; MinRtrAdvInterval 3; MaxRtrAdvInterval 4; AdvDefaultPreference high; AdvLinkMTU 1400;
      prefix 2001:db8:5::/64 { AdvOnLink on; AdvAutonomous on; };
      route 2001:db8:55::/48 { };
      RDNSS 2001:db8:5::53 { };
      DNSSL lan.test { };
    };`;
    writeFileSync(join(folder, 'radvd.conf'), config, { mode: 0o600 });
    bed = await TapBed.open(this, {
      ethernet: { detection: QUICK, routerDiscovery: { onDns: (dns) => void said.push(dns) } },
      setUp: 'sysctl -qw net.ipv6.conf.all.forwarding=1; ip addr add 2001:db8:5::1/64 dev tap0',
    });
    const pid = join(folder, 'radvd.pid');
    bed.namespace.spawn('radvd', ['-n', '-C', join(folder, 'radvd.conf'), '-p', pid, '-m', 'stderr']);
    const addresses = await eventually(
      'an address',
      () => bed.stack.ip.addresses(bed.index).map(({ address }) => address),
      (list) => list.some((a) => a.startsWith('2001:db8:5:')),
    );
    expect(addresses).to.include('2001:db8:5:0:5054:ff:fe00:1/64');
    expect(said).to.deep.equal([{ servers: ['2001:db8:5::53'], domains: ['lan.test'] }]);
    expect(bed.link.routers()[0]).to.include({ preference: 'high', isDefault: true });
    const { routes } = bed.stack.routing;
    expect(JSON.stringify(routes.get('2001:db8:55::1'))).to.include('fe80');
    await bed.namespace.shell('ping -nc 1 -W 5 2001:db8:5:0:5054:ff:fe00:1');
  });
});
