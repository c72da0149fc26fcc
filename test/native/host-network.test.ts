import { expect } from 'chai';
import { HostNetwork } from '../../lib/link/host-network.js';
import type { HostRoute } from '../../lib/link/host-route.js';
import type { HostRule } from '../../lib/link/host-rule.js';
import { TunDevice } from '../../lib/link/tun-device.js';
import { needsTun } from '../support/needs-tun.js';
import { TestNamespace } from '../support/netns.js';

describe('HostNetwork', function () {
  before(needsTun);

  this.timeout(20_000);
  let netns: TestNamespace;
  let host: HostNetwork;
  let device: TunDevice;

  before(async function () {
    netns = await TestNamespace.createOrSkip(this);
    host = HostNetwork.open({ netns: netns.path });
    const address = ['10.0.0.1/24', 'fd00::1/64'];
    device = TunDevice.create({ netns: netns.path, name: 'tun0', address });
  });
  after(async () => {
    device?.close();
    host?.close();
    await netns?.close();
  });

  /** What iproute2 says. */
  const ip = (...args: string[]): Promise<string> =>
    netns.exec('ip', args).then(({ stdout }) => stdout.replace(/\s+/g, ' ').trim());

  it('lists links, and changes them', async () => {
    const names = host.listLinks().map(({ name }) => name);
    expect(names).to.include.members(['lo', 'tun0']);
    host.setLink('tun0', { mtu: 1300, txQueueLength: 123 });
    expect(host.link('tun0')).to.deep.include({ mtu: 1300, txQueueLength: 123, up: true, running: true });
    expect(await ip('link', 'show', 'tun0')).to.match(/mtu 1300 .* qlen 123 /);
    host.setLink('tun0', { up: false });
    expect(host.link('tun0')).to.deep.include({ up: false, mtu: 1300 });
    host.setLink('tun0', { name: 'other' });
    expect(host.link('tun0')).to.equal(undefined);
    host.setLink('other', { name: 'tun0', mtu: 1500 });
    host.setLink('tun0', { up: true });
    // The kernel forgets the IPv6 addresses of a link that goes down.
    host.addAddress('tun0', 'fd00::1/64', { replace: true });
    expect(() => host.setLink('none', { up: true })).to.throw('netlink ENODEV none');
    expect(() => host.setLink('tun0', { mtu: 1_000_000 }))
      .to.throw()
      .with.property('code', 'EINVAL');
  });

  it('adds, lists and removes addresses of both families', async () => {
    for (const address of ['10.7.0.1/16', 'fd07::1/48', '10.8.0.1/32']) {
      host.addAddress('tun0', address);
      expect(host.listAddresses('tun0').map((entry) => entry.address)).to.include(address);
      expect(await ip('addr', 'show', 'tun0')).to.include(address);
      expect(() => host.addAddress('tun0', address))
        .to.throw()
        .with.property('code', 'EEXIST');
      host.addAddress('tun0', address, { replace: true });
      host.removeAddress('tun0', address);
      expect(host.listAddresses('tun0').map((entry) => entry.address)).not.to.include(address);
      expect(() => host.removeAddress('tun0', address))
        .to.throw()
        .with.property('code', 'EADDRNOTAVAIL');
    }
    expect(await ip('addr', 'show', 'tun0')).to.include('inet 10.0.0.1/24 brd 10.0.0.255');
  });

  it('knows point-to-point addresses', async () => {
    host.addAddress('tun0', '10.9.0.1', { peer: '10.9.0.2' });
    const found = host.listAddresses().find(({ address }) => address === '10.9.0.1/32');
    expect(found).to.deep.include({ link: 'tun0', family: 4, peer: '10.9.0.2', scope: 'global' });
    expect(await ip('addr', 'show', 'tun0')).to.include('inet 10.9.0.1 peer 10.9.0.2/32');
    expect(() => host.removeAddress('tun0', '10.9.0.1'))
      .to.throw()
      .with.property('code', 'EADDRNOTAVAIL');
    host.removeAddress('tun0', '10.9.0.1', { peer: '10.9.0.2' });
  });

  it('adds, lists and removes routes of both families', async () => {
    const routes: HostRoute[] = [
      { destination: '10.20.0.0/16', link: 'tun0' },
      { destination: '10.21.0.0/16', gateway: '10.0.0.9', metric: 77, mtu: 1400 },
      { destination: '10.22.0.7/32', gateway: '10.0.0.9', table: 100, source: '10.0.0.1' },
      { destination: '10.23.0.0/16', gateway: 'fd00::9', link: 'tun0' },
      { destination: 'default', gateway: '10.0.0.9', table: 7000 },
      { destination: '10.24.0.0/16', type: 'unreachable', table: 101 },
      { destination: 'fd20::/32', link: 'tun0', metric: 5 },
      { destination: 'fd21::/32', gateway: 'fd00::9', table: 300, mtu: 1280 },
      { destination: 'default', gateway: 'fd00::9', table: 301 },
      { destination: 'fd22::/32', type: 'blackhole', table: 302 },
    ];
    for (const route of routes) {
      host.addRoute(route);
      const listed = host
        .listRoutes({ table: route.table ?? 254 })
        .filter(({ destination }) => destination === route.destination);
      expect(listed, route.destination).to.have.length(1);
      expect(listed[0]).to.deep.include(route);
      expect(() => host.addRoute(route), route.destination)
        .to.throw()
        .with.property('code', 'EEXIST');
    }
    expect(await ip('route', 'show', '10.21.0.0/16')).to.equal(
      '10.21.0.0/16 via 10.0.0.9 dev tun0 proto static metric 77 mtu 1400',
    );
    expect(await ip('-6', 'route', 'show', 'table', '300')).to.match(
      /^fd21::\/32 via fd00::9 dev tun0 proto static metric 1024 mtu 1280 pref medium$/,
    );
    expect(host.listRoutes({ table: 'all', family: 6 }).every(({ family }) => family === 6)).to.equal(true);
    for (const route of routes) {
      host.removeRoute(route);
      expect(() => host.removeRoute(route), route.destination)
        .to.throw()
        .with.property('code', 'ESRCH');
    }
    const tables = new Set(host.listRoutes({ table: 'all' }).map(({ table }) => table));
    expect([...tables].filter((table) => table !== 254 && table !== 255)).to.deep.equal([]);
  });

  it('sets the congestion control of a route', async () => {
    const route: HostRoute = { destination: '10.30.0.0/16', link: 'tun0', congestionControl: 'reno' };
    host.addRoute(route);
    expect(host.listRoutes().find(({ destination }) => destination === route.destination)).to.deep.include(
      route,
    );
    expect(await ip('route', 'show', '10.30.0.0/16')).to.include('congctl reno');
    host.removeRoute({ destination: '10.30.0.0/16' });
  });

  it('adds, lists and removes rules of both families', async () => {
    const rules: HostRule[] = [
      { priority: 100, from: '10.0.0.0/24', table: 100 },
      { priority: 101, to: '10.5.0.0/16', from: '10.0.0.1/32', table: 7000 },
      { priority: 102, family: 4, mark: 0x10, mask: 0xf0, table: 101 },
      { priority: 103, family: 4, mark: 7, iif: 'tun0', table: 102 },
      { priority: 104, family: 4, oif: 'tun0', action: 'prohibit' },
      { priority: 200, from: 'fd00::/64', table: 300 },
      { priority: 201, family: 6, iif: 'lo', to: 'fd09::/16', action: 'unreachable' },
    ];
    for (const rule of rules) {
      host.addRule(rule);
      const listed = host.listRules().filter(({ priority }) => priority === rule.priority);
      expect(listed, String(rule.priority)).to.have.length(1);
      expect(listed[0]).to.deep.include(rule);
      expect(() => host.addRule(rule))
        .to.throw()
        .with.property('code', 'EEXIST');
    }
    expect(await ip('rule', 'show', 'priority', '102')).to.equal('102: from all fwmark 0x10/0xf0 lookup 101');
    expect(await ip('-6', 'rule', 'show', 'priority', '200')).to.match(/^200: from fd00::\/64 lookup 300/);
    for (const rule of rules) {
      host.removeRule(rule);
      expect(() => host.removeRule(rule))
        .to.throw()
        .with.property('code', 'ENOENT');
    }
    expect(host.listRules({ family: 4 }).map(({ priority }) => priority)).to.deep.equal([0, 32766, 32767]);
  });

  it('refuses what cannot be', () => {
    expect(() => host.addRoute({ destination: 'nonsense' })).to.throw(TypeError);
    expect(() => host.addRoute({ destination: '10.0.0.0/8', type: 'odd' as 'local' })).to.throw(
      TypeError,
      'odd',
    );
    expect(() => host.addRule({ from: '10.0.0.0/8', to: 'fd00::/8' })).to.throw(TypeError);
    expect(() => host.addAddress('tun0', '10.0.0.1', { peer: 'fd00::1' })).to.throw(TypeError);
    expect(() => host.addRoute({ destination: '10.77.0.0/16', gateway: '192.0.2.1' }))
      .to.throw()
      .with.property('code', 'ENETUNREACH');
  });

  it('reads lists longer than one answer', () => {
    for (let i = 0; i < 1000; i++) {
      host.addRoute({ destination: `10.${100 + (i >> 8)}.${i & 255}.0/24`, link: 'tun0', table: 500 });
    }
    expect(host.listRoutes({ table: 500 })).to.have.length(1000);
    host.setLink('tun0', { up: false });
    expect(host.listRoutes({ table: 500 })).to.have.length(0);
    host.setLink('tun0', { up: true });
  });

  it('throws once it is closed', () => {
    const other = HostNetwork.open({ netns: netns.path });
    other.close();
    other.close();
    expect(() => other.listLinks())
      .to.throw()
      .with.property('code', 'EBADF');
  });

  it('works on its own namespace by default', () => {
    const here = HostNetwork.open();
    expect(here.link('lo')).to.deep.include({ name: 'lo', index: 1 });
    here.close();
  });
});
