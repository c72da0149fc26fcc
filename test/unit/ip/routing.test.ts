/** Routing tables, rules and selection as `ip route` and `ip rule` have them. */
import { expect } from 'chai';
import { StackError } from '../../../lib/base/errors.js';
import { Begin } from '../../../lib/ip/ip-output.js';
import type { RouteSpec } from '../../../lib/ip/route.js';
import type { RuleSpec } from '../../../lib/ip/rules.js';
import { IpAddress } from '../../../lib/wire/ip-address.js';
import { IpPeer, type PeerOptions } from '../../support/ip-peer.js';
import { pattern, udp, v4, v6 } from '../../support/ip-wire.js';

/** A host with three links: 10.0.0.1/24 and 2001:db8::1/64 on tun0, 10.N.0.1/24 and 2001:db8:N::1/64 on tunN. */
function host(given: PeerOptions = {}): IpPeer {
  const peer = new IpPeer(given);
  peer.addPort('tun1', ['10.1.0.1/24', '2001:db8:1::1/64']);
  peer.addPort('tun2', ['10.2.0.1/24', '2001:db8:2::1/64']);
  return peer;
}

const add = (peer: IpPeer, ...specs: RouteSpec[]): void => {
  for (const spec of specs) peer.ip.routing.routes.add(spec);
};
const rule = (peer: IpPeer, ...specs: RuleSpec[]): void => {
  for (const spec of specs) peer.ip.routing.rules.add(spec);
};

/** Port a packet of ours leaves through, or the error. */
const way = (peer: IpPeer, to: string, given: Parameters<IpPeer['resolve']>[1] = {}): string => {
  const path = peer.resolve(to, given);
  return path.unusable || path.port.name;
};

const codeOf = (act: () => void): string => {
  try {
    act();
  } catch (error) {
    if (error instanceof StackError) return error.code;
    throw error;
  }
  return '';
};

describe('routing: rules', () => {
  it('begins with the rules every host has, which a flush leaves local [RT-1]', () => {
    const { rules } = new IpPeer().ip.routing;
    const seen = (): string[] =>
      rules.list().map(({ priority, action, table }) => `${priority} ${action} ${table}`);
    expect(seen()).to.deep.equal(['0 lookup 255', '32766 lookup 254', '32767 lookup 253']);
    const peer = host();
    peer.ip.routing.rules.flush();
    expect(peer.ip.routing.rules.list().map(({ priority }) => priority)).to.deep.equal([0]);
    expect(way(peer, '10.0.0.1')).to.equal('lo');
    expect(way(peer, '10.0.0.9')).to.equal('ENETUNREACH');
    // Who names it can delete it.
    peer.ip.routing.rules.delete({ priority: 0 });
    expect(way(peer, '10.0.0.1')).to.equal('ENETUNREACH');
    peer.receive(v4({ payload: udp('10.0.0.2', '10.0.0.1') }));
    expect(peer.udp.packets, 'nor is it ours when it comes in').to.deep.equal([]);
    expect(codeOf(() => peer.ip.routing.rules.delete({ priority: 0 }))).to.equal('ENOENT');
    rule(peer, { table: 'local' });
    expect(peer.ip.routing.rules.list().map(({ priority }) => priority)).to.deep.equal([0]);
    peer.receive(v4({ payload: udp('10.0.0.2', '10.0.0.1') }));
    expect(peer.udp.packets).to.have.length(1);
  });

  it('evaluates rules by ascending priority, equals in the order they came [RT-2]', () => {
    const peer = host();
    add(
      peer,
      { destination: '192.0.2.0/24', port: 'tun0', table: 100 },
      { destination: '192.0.2.0/24', port: 'tun1', table: 101 },
      { destination: '192.0.2.0/24', port: 'tun2', table: 102 },
    );
    rule(peer, { priority: 500, table: 101 }, { priority: 500, table: 100 }, { priority: 600, table: 102 });
    expect(way(peer, '192.0.2.1')).to.equal('tun1');
    rule(peer, { priority: 400, table: 102 });
    expect(way(peer, '192.0.2.1')).to.equal('tun2');
    peer.ip.routing.rules.delete({ priority: 400 });
    peer.ip.routing.rules.delete({ priority: 500, table: 101 });
    expect(way(peer, '192.0.2.1')).to.equal('tun0');
    // Without a priority a rule goes just before the others, as with `ip rule add`.
    rule(peer, { table: 101 });
    expect(peer.ip.routing.rules.list()[1].priority).to.equal(499);
    expect(codeOf(() => rule(peer, { priority: 600, table: 102 }))).to.equal('EEXIST');
  });

  it('selects by every selector, and by its opposite [RT-3]', () => {
    const selectors: [RuleSpec, Parameters<IpPeer['resolve']>[1], Parameters<IpPeer['resolve']>[1]][] = [
      [{ from: '10.1.0.0/16' }, { source: '10.1.0.1' }, { source: '10.0.0.1' }],
      [{ from: '10.1.0.1' }, { source: '10.1.0.1' }, { source: '10.2.0.1' }],
      [{ mark: 5 }, { mark: 5 }, { mark: 4 }],
      [{ mark: 0x50, markMask: 0xf0 }, { mark: 0x5f }, { mark: 0x6f }],
      [{ mark: 0, markMask: 1 }, { mark: 2 }, { mark: 3 }],
      [{ mark: 0x8000_0001 }, { mark: 0x8000_0001 }, { mark: 1 }],
      [{ tos: 0x10 }, { trafficClass: 0x10 }, { trafficClass: 0x14 }],
      [{ ipproto: 6 }, { protocol: 6 }, { protocol: 17 }],
      [{ sport: 1000 }, { sourcePort: 1000 }, { sourcePort: 1001 }],
      [{ sport: [1000, 2000] }, { sourcePort: 2000 }, { sourcePort: 2001 }],
      [{ dport: [80, 81] }, { destinationPort: 80 }, { destinationPort: 79 }],
      [{ uid: [100, 200] }, { uid: 100 }, { uid: 201 }],
      [{ uid: 0 }, { uid: 0 }, {}],
      [{ oif: 'tun1' }, { oif: 2 }, { oif: 0 }],
      [{ iif: 'lo' }, {}, { oif: 99 }],
      [
        { from: '10.1.0.0/16', dport: 80, mark: 1 },
        { source: '10.1.0.1', destinationPort: 80, mark: 1 },
        { source: '10.1.0.1', destinationPort: 80 },
      ],
    ];
    for (const [selector, hit, miss] of selectors) {
      for (const not of [false, true]) {
        const peer = host();
        add(
          peer,
          { destination: '192.0.2.0/24', port: 'tun1', table: 100, metric: 1 },
          { destination: '192.0.2.0/24', port: 'tun0', table: 100, metric: 2 },
          { destination: '192.0.2.0/24', port: 'tun2' },
        );
        rule(peer, { priority: 100, table: 100, not, ...selector });
        const text = JSON.stringify({ ...selector, not });
        const seen = (given: Parameters<IpPeer['resolve']>[1]): boolean => {
          // Which rule decided, whatever the route: an `oif` restricts routes as well.
          const { oif, source, trafficClass, ...rest } = given ?? {};
          const answer = peer.ip.routing.routes.get('192.0.2.1', {
            ...rest,
            ...(source === undefined ? {} : { from: source }),
            ...(trafficClass === undefined ? {} : { tos: trafficClass }),
            ...(oif === undefined || oif === 0 || oif > 3 ? {} : { oif }),
          });
          return answer.rule?.priority === 100;
        };
        expect(seen(hit), `${text} hit`).to.equal(!not);
        if (!('iif' in selector)) expect(seen(miss), `${text} miss`).to.equal(not);
      }
    }
    const bad: RuleSpec[] = [
      { priority: -1 },
      { tos: 256 },
      { sport: [2, 1] },
      { sport: 70_000 },
      { from: '10.0.0.0/8', to: '2001:db8::/32' },
      { from: '10.0.0.0/8', family: 6 },
      { table: 0 },
      { priority: 9, goto: 9 },
      { action: 'drop' as never },
    ];
    for (const spec of bad) expect(() => rule(host(), spec), JSON.stringify(spec)).to.throw();
  });

  it('selects by destination, in either family', () => {
    const peer = host();
    add(
      peer,
      { destination: '0.0.0.0/0', port: 'tun1', table: 7 },
      { destination: '::/0', port: 'tun2', table: 7 },
    );
    rule(peer, { to: '192.0.2.0/25', table: 7 }, { to: '2001:db8:77::/48', table: 7 });
    expect(
      ['192.0.2.127', '192.0.2.128', '2001:db8:77::1', '2001:db8:78::1'].map((to) => way(peer, to)),
    ).to.deep.equal(['tun1', 'ENETUNREACH', 'tun2', 'ENETUNREACH']);
  });

  it('knows packets of its own by lo, and others by their port [RT-4]', () => {
    const peer = host();
    rule(peer, { priority: 10, iif: 'tun1', table: 50 }, { priority: 11, iif: 'lo', table: 51 });
    add(
      peer,
      { destination: '198.51.100.0/24', type: 'local', table: 50 },
      { destination: '198.51.100.0/24', port: 'tun2', table: 51 },
    );
    const packet = v4({ from: '192.0.2.9', to: '198.51.100.7', payload: udp('192.0.2.9', '198.51.100.7') });
    peer.receive(packet, { link: 1 });
    expect(peer.udp.packets, 'through tun0 it is not for us').to.deep.equal([]);
    peer.receive(packet, { link: 2 });
    expect(peer.udp.packets, 'through tun1 it is').to.have.length(1);
    expect(way(peer, '198.51.100.7'), 'and our own go out').to.equal('tun2');
    const { routes } = peer.ip.routing;
    expect(routes.get('198.51.100.7', { iif: 'tun1', from: '192.0.2.9' })).to.include({
      type: 'local',
      table: '50',
    });
    expect(routes.get('198.51.100.7', { iif: 'tun2' }).error).to.equal('ENETUNREACH');
    // A port that comes later is known by its name from then on.
    rule(peer, { priority: 5, iif: 'tun3', action: 'prohibit' });
    expect(way(peer, '198.51.100.7')).to.equal('tun2');
    peer.addPort('tun3');
    expect(routes.get('10.0.0.9', { iif: 'tun3' }).error).to.equal('EACCES');
  });

  it('looks up, refuses with an error of its own, goes elsewhere or does nothing [RT-5]', () => {
    const results: [RuleSpec, string][] = [
      [{ action: 'lookup', table: 9 }, 'tun1'],
      [{ action: 'blackhole' }, 'EINVAL'],
      [{ action: 'unreachable' }, 'EHOSTUNREACH'],
      [{ action: 'prohibit' }, 'EACCES'],
      [{ action: 'nop' }, 'tun2'],
      [{ goto: 300 }, 'tun0'],
      [{ goto: 301 }, 'tun2'],
    ];
    for (const destination of ['192.0.2.0/24', '2001:db8:77::/48']) {
      for (const [spec, expected] of results) {
        const peer = host();
        add(
          peer,
          { destination, port: 'tun1', table: 9 },
          { destination, port: 'tun2', table: 10 },
          { destination, port: 'tun0', table: 11 },
        );
        rule(peer, { priority: 100, ...spec }, { priority: 200, table: 10 }, { priority: 300, table: 11 });
        expect(
          way(peer, destination.replace('0/24', '1').replace('::/48', '::1')),
          JSON.stringify(spec),
        ).to.equal(expected);
      }
    }
  });

  it('goes on to the next rule when a table has no route, or only too short ones [RT-6] [RT-7]', () => {
    const peer = host();
    rule(
      peer,
      { priority: 100, table: 9 },
      { priority: 200, table: 10, suppressPrefixLength: 0 },
      { priority: 300, table: 11 },
    );
    add(
      peer,
      { destination: '0.0.0.0/0', port: 'tun1', table: 10 },
      { destination: '0.0.0.0/0', port: 'tun2', table: 11 },
    );
    expect(way(peer, '192.0.2.1'), 'the default route of 10 is suppressed').to.equal('tun2');
    add(peer, { destination: '192.0.0.0/8', port: 'tun1', table: 10 });
    expect(way(peer, '192.0.2.1'), 'one of length 8 is not').to.equal('tun1');
    rule(peer, { priority: 150, table: 10, suppressPrefixLength: 8 });
    peer.ip.routing.rules.delete({ priority: 200 });
    expect(way(peer, '192.0.2.1')).to.equal('tun2');
    add(peer, { destination: '192.0.2.0/24', port: 'tun0', table: 9 });
    expect(way(peer, '192.0.2.1')).to.equal('tun0');
  });

  it('says ENETUNREACH at once when nothing matches [RT-8]', () => {
    const peer = host();
    for (const to of ['192.0.2.1', '2001:db8:77::1', '8.8.8.8']) {
      const path = peer.resolve(to);
      expect(path.unusable).to.equal('ENETUNREACH');
      expect(peer.send(path, pattern(8))).to.equal(Begin.Unusable);
    }
    expect(peer.stats.ip.outNoRoutes).to.equal(3);
    expect(peer.ports.flatMap((port) => port.queue)).to.deep.equal([]);
  });
});

describe('routing: route types and tables', () => {
  it('has a result for each type of route [RT-10]', () => {
    for (const prefix of ['192.0.2.0/24', '2001:db8:77::/64']) {
      const to = prefix.replace('0/24', '1').replace('::/64', '::1');
      const fallback = prefix.replace('0/24', '0/16').replace('::/64', '::/48');
      const results: [RouteSpec['type'] & string, string][] = [
        ['unicast', 'tun1'],
        ['local', 'lo'],
        ['blackhole', 'EINVAL'],
        ['unreachable', 'EHOSTUNREACH'],
        ['prohibit', 'EACCES'],
        ['throw', 'tun2'],
        ['multicast', 'tun1'],
      ];
      for (const [type, expected] of results) {
        const peer = host();
        const port = type === 'local' ? {} : { port: 'tun1' };
        add(
          peer,
          { destination: prefix, type, table: 9, ...port },
          { destination: fallback, port: 'tun0', table: 9 },
        );
        add(peer, { destination: fallback, port: 'tun2', table: 10 });
        rule(peer, { priority: 1, table: 9 }, { priority: 2, table: 10 });
        expect(way(peer, to), `${type} ${to}`).to.equal(expected);
      }
    }
    const peer = host();
    add(peer, { destination: '192.0.2.255/32', type: 'broadcast', port: 'tun1' });
    expect(way(peer, '192.0.2.255')).to.equal('EACCES');
    expect(way(peer, '192.0.2.255', { allowBroadcast: true })).to.equal('tun1');
  });

  it('fills the local and main tables from addresses, and empties them [RT-11] [RT-12] [RT-25]', () => {
    const peer = new IpPeer({ addresses: [] });
    const seen = (table: 'local' | 'main', port = 'tun0'): string[] =>
      peer.ip.routing.routes
        .list({ table, port })
        .map((r) => `${r.type} ${r.destination} ${r.scope} ${r.metric} ${r.source ?? '-'}`)
        .sort();
    const bare = ['multicast ff00::/8 link 256 -'];
    expect(seen('local', 'lo')).to.deep.equal([
      'local 127.0.0.0/8 host 0 127.0.0.1',
      'local 127.0.0.1/32 host 0 127.0.0.1',
      'local ::1/128 host 0 ::1',
    ]);
    expect(seen('local')).to.deep.equal(bare);
    expect(seen('main')).to.deep.equal(['unicast fe80::/64 link 256 -']);
    peer.ip.addAddress(1, '10.3.2.1/22');
    peer.ip.addAddress(1, '2001:db8:5::7/48');
    expect(seen('local')).to.deep.equal([
      'broadcast 10.3.0.0/32 link 0 10.3.2.1',
      'broadcast 10.3.3.255/32 link 0 10.3.2.1',
      'local 10.3.2.1/32 host 0 10.3.2.1',
      'local 2001:db8:5::7/128 host 0 2001:db8:5::7',
      ...bare,
    ]);
    expect(seen('main')).to.deep.equal([
      'unicast 10.3.0.0/22 link 0 10.3.2.1',
      'unicast 2001:db8:5::/48 link 256 -',
      'unicast fe80::/64 link 256 -',
    ]);
    // A whole address makes no route to a prefix, nor does one that is told not to.
    peer.ip.addAddress(1, '10.9.9.9/32');
    peer.ip.addAddress(1, '10.8.8.8/24', { noPrefixRoute: true });
    expect(seen('main')).to.have.length(3);
    for (const address of ['10.3.2.1', '2001:db8:5::7', '10.9.9.9', '10.8.8.8'])
      peer.ip.removeAddress(1, address);
    expect(seen('local')).to.deep.equal(bare);
    expect(seen('main')).to.deep.equal(['unicast fe80::/64 link 256 -']);
    expect(peer.ip.addresses(1)).to.deep.equal([]);
    const errors: [string, string][] = [
      ['224.0.0.1/32', 'EINVAL'],
      ['0.0.0.0/8', 'EINVAL'],
      ['255.255.255.255', 'EINVAL'],
      ['ff02::1', 'EINVAL'],
      ['127.0.0.5/8', 'EINVAL'],
      ['::1', 'EINVAL'],
      ['240.0.0.1/8', 'EINVAL'],
    ];
    for (const [address, code] of errors)
      expect(
        codeOf(() => peer.ip.addAddress(1, address)),
        address,
      ).to.equal(code);
    expect(codeOf(() => peer.ip.addAddress(9, '10.0.0.1/8'))).to.equal('ENODEV');
    peer.ip.addAddress(1, '10.0.0.1/8');
    expect(codeOf(() => peer.ip.addAddress(1, '10.0.0.1/24'))).to.equal('EEXIST');
    expect(codeOf(() => peer.ip.removeAddress(1, '10.0.0.2'))).to.equal('EADDRNOTAVAIL');
  });

  it('prefers IPv6 routes of one metric by their preference [RT-25]', () => {
    const peer = host();
    const route = (port: string, preference: 'low' | 'medium' | 'high', metric = 1024): RouteSpec => ({
      destination: '::/0',
      gateway: 'fe80::9',
      port,
      preference,
      metric,
    });
    peer.ip.routing.routes.append(route('tun0', 'low'));
    expect(way(peer, '2001:db8:77::1')).to.equal('tun0');
    peer.ip.routing.routes.append(route('tun1', 'high'));
    expect(way(peer, '2001:db8:77::1')).to.equal('tun1');
    peer.ip.routing.routes.append(route('tun2', 'medium'));
    expect(way(peer, '2001:db8:77::1')).to.equal('tun1');
    peer.ip.routing.routes.delete(route('tun1', 'high'));
    expect(way(peer, '2001:db8:77::1')).to.equal('tun2');
    peer.ip.routing.routes.append(route('tun0', 'low', 100));
    expect(way(peer, '2001:db8:77::1'), 'the metric counts first').to.equal('tun0');
    // Every link has its own link-local prefix, which needs its zone.
    for (const oif of [1, 2, 3]) {
      peer.ip.addAddress(oif, `fe80::${oif}/64`);
      expect(way(peer, 'fe80::77', { oif })).to.equal(`tun${oif - 1}`);
      expect(way(peer, 'ff02::77', { oif })).to.equal(`tun${oif - 1}`);
    }
  });

  it('wants gateways within reach, by a route of nearer scope, unless told that they are [RT-13]', () => {
    const peer = host();
    const fails = (spec: RouteSpec): string => codeOf(() => add(host(), spec));
    const to = { destination: '192.0.2.0/24' };
    expect(fails({ ...to, gateway: '10.0.0.9' })).to.equal('');
    expect(fails({ ...to, gateway: '10.0.0.9', port: 'tun0' })).to.equal('');
    expect(fails({ ...to, gateway: '10.0.0.9', port: 'tun1' })).to.equal('ENETUNREACH');
    expect(fails({ ...to, gateway: '172.16.0.1' })).to.equal('ENETUNREACH');
    expect(fails({ ...to, gateway: '172.16.0.1', port: 'tun1', onlink: true })).to.equal('');
    expect(fails({ ...to, gateway: '172.16.0.1', onlink: true })).to.equal('EINVAL');
    for (const gateway of [
      '10.0.0.1',
      '127.0.0.1',
      '224.0.0.1',
      '255.255.255.255',
      '0.0.0.0',
      '10.0.0.255',
    ]) {
      expect(fails({ ...to, gateway }), gateway).to.equal('EINVAL');
    }
    // A route with a gateway is farther than its gateway: never of scope link or host.
    expect(fails({ ...to, gateway: '10.0.0.9', scope: 'link' })).to.equal('EINVAL');
    expect(fails({ ...to, gateway: '10.0.0.9', scope: 'site' })).to.equal('');
    // Nor is a gateway behind a gateway within reach, whatever scope that route claims.
    add(peer, { destination: '172.16.0.0/16', gateway: '10.0.0.9' });
    expect(codeOf(() => add(peer, { ...to, gateway: '172.16.0.1' }))).to.equal('ENETUNREACH');
    const six = { destination: '2001:db8:77::/48' };
    expect(fails({ ...six, gateway: '2001:db8::9' })).to.equal('');
    expect(fails({ ...six, gateway: '2001:db8:88::9' })).to.equal('EHOSTUNREACH');
    expect(fails({ ...six, gateway: 'fe80::9' })).to.equal('EINVAL');
    expect(fails({ ...six, gateway: 'fe80::9', port: 'tun1' })).to.equal('');
    expect(fails({ ...six, gateway: '2001:db8::1' })).to.equal('EINVAL');
    expect(fails({ ...to })).to.equal('ENODEV');
    expect(fails({ ...to, port: 'nowhere' })).to.equal('ENODEV');
    expect(fails({ ...to, port: 'tun0', source: '10.77.0.1' })).to.equal('EINVAL');
    expect(() => add(host(), { ...to, gateway: '2001:db8::9' })).to.throw(TypeError);
    // A table of its own may say how its gateways are reached.
    add(
      peer,
      { destination: '172.20.0.1/32', port: 'tun2', table: 77 },
      { destination: '0.0.0.0/0', gateway: '172.20.0.1', table: 77 },
    );
    rule(peer, { priority: 5, mark: 1, table: 77 });
    expect(way(peer, '192.0.2.1', { mark: 1 })).to.equal('tun2');
  });

  it('adds once, replaces, appends, prepends, and deletes what is named [RT-14] [RT-29]', () => {
    const peer = host();
    const { routes } = peer.ip.routing;
    const to = { destination: '192.0.2.0/24' };
    add(peer, { ...to, port: 'tun0' });
    expect(codeOf(() => add(peer, { ...to, port: 'tun0' }))).to.equal('EEXIST');
    expect(codeOf(() => add(peer, { ...to, port: 'tun1' }))).to.equal('EEXIST');
    add(
      peer,
      { ...to, port: 'tun1', metric: 5 },
      { ...to, port: 'tun1', tos: 0x10 },
      { ...to, port: 'tun1', table: 5 },
    );
    // Of equals the first stays: what is appended does not win.
    routes.append({ ...to, port: 'tun1' });
    expect(way(peer, '192.0.2.1')).to.equal('tun0');
    expect(codeOf(() => routes.append({ ...to, port: 'tun1' }))).to.equal('EEXIST');
    routes.prepend({ ...to, port: 'tun2' });
    expect(way(peer, '192.0.2.1')).to.equal('tun2');
    routes.replace({ ...to, gateway: '10.1.0.9' });
    expect(way(peer, '192.0.2.1'), 'the first of its kind').to.equal('tun1');
    expect(
      routes.list({ table: 'main' }).filter(({ destination }) => destination === '192.0.2.0/24'),
    ).to.have.length(5);
    expect(codeOf(() => routes.change({ ...to, port: 'tun0', metric: 99 }))).to.equal('ENOENT');
    routes.replace({ ...to, port: 'tun0', metric: 99 });
    routes.change({ ...to, port: 'tun2', metric: 99 });

    expect(codeOf(() => routes.delete({ ...to, port: 'tun0', metric: 5 }))).to.equal('ESRCH');
    expect(codeOf(() => routes.delete({ ...to, gateway: '10.1.0.8' }))).to.equal('ESRCH');
    expect(codeOf(() => routes.delete({ ...to, type: 'prohibit' }))).to.equal('ESRCH');
    expect(codeOf(() => routes.delete({ destination: '192.0.2.0/25' }))).to.equal('ESRCH');
    routes.delete({ ...to, gateway: '10.1.0.9' });
    expect(way(peer, '192.0.2.1')).to.equal('tun0');
    routes.delete({ ...to, tos: 0 });
    routes.delete({ ...to, tos: 0 });
    routes.delete({ ...to, metric: 5 });
    routes.delete({ ...to, tos: 0x10 });
    expect(way(peer, '192.0.2.1')).to.equal('tun2');
    routes.delete(to);
    expect(way(peer, '192.0.2.1')).to.equal('ENETUNREACH');
    expect(codeOf(() => routes.delete(to))).to.equal('ESRCH');
    expect(routes.list({ table: 5 })).to.have.length(1);
    routes.flush({ table: 5 });
    expect(routes.list({ table: 5 })).to.have.length(0);
  });

  it('takes no wrong route, and no more than its limit', () => {
    const wrong: RouteSpec[] = [
      { destination: '192.0.2.0/33', port: 'tun0' },
      { destination: 'nowhere', port: 'tun0' },
      { destination: '192.0.2.0/24', port: 'tun0', metric: -1 },
      { destination: '192.0.2.0/24', port: 'tun0', table: 0 },
      { destination: '192.0.2.0/24', port: 'tun0', type: 'anycast' as never },
      { destination: '192.0.2.0/24', port: 'tun0', scope: 'galaxy' as never },
      { destination: '192.0.2.0/24', port: 'tun0', mtu: 70_000 },
      { destination: '192.0.2.0/24', nexthops: [] },
      { destination: '192.0.2.0/24', nexthops: [{ port: 'tun0', weight: 0 }] },
    ];
    for (const spec of wrong) expect(() => add(host(), spec), JSON.stringify(spec)).to.throw();
    const peer = new IpPeer({ options: { routes: 40 } });
    const room = 40 - peer.ip.routing.routes.count;
    for (let i = 0; i < room; i++) add(peer, { destination: `192.0.${i}.0/24`, port: 'tun0' });
    expect(codeOf(() => add(peer, { destination: '198.51.100.0/24', port: 'tun0' }))).to.equal('ENOBUFS');
    peer.ip.routing.routes.delete({ destination: '192.0.0.0/24' });
    add(peer, { destination: '198.51.100.0/24', port: 'tun0' });
  });

  it('holds routes of a link that is down for dead, and lets them live again [RT-15]', () => {
    const peer = host();
    add(
      peer,
      { destination: '192.0.2.0/24', gateway: '10.1.0.9' },
      { destination: '192.0.2.0/24', port: 'tun2', metric: 9 },
    );
    const path = peer.resolve('192.0.2.1');
    expect(path.port.name).to.equal('tun1');
    peer.ports[2].isUp = false;
    peer.ip.portChanged();
    expect(way(peer, '192.0.2.1')).to.equal('tun2');
    expect(way(peer, '10.1.0.9')).to.equal('ENETUNREACH');
    expect(peer.ip.isLocal(IpAddress.parse('10.1.0.1')), 'its addresses are not ours').to.equal(false);
    expect(peer.ip.begin(path, 8), 'and cannot be sent from').to.equal(Begin.Unusable);
    expect(path.unusable).to.equal('EADDRNOTAVAIL');
    const dead = peer.ip.routing.routes.list({ port: 'tun1', table: 'main', family: 4 });
    expect(dead.map(({ nexthops }) => nexthops[0].dead)).to.deep.equal([true, true]);
    expect(codeOf(() => add(peer, { destination: '198.51.100.0/24', port: 'tun1' }))).to.equal('ENETDOWN');
    peer.ports[2].isUp = true;
    peer.ip.portChanged();
    expect(way(peer, '192.0.2.1')).to.equal('tun1');
    expect(peer.ip.begin(path, 8)).to.equal(Begin.Ok);
    peer.ip.removePort(2);
    expect(way(peer, '192.0.2.1')).to.equal('tun2');
    expect(
      peer.ip.routing.routes.list().some(({ nexthops }) => nexthops.some(({ port }) => port === 'tun1')),
    ).to.equal(false);
    expect(peer.ip.begin(path, 8)).to.equal(Begin.Unusable);
  });
});

describe('routing: several next hops', () => {
  const hops = [
    { gateway: '10.0.0.9', weight: 1 },
    { gateway: '10.1.0.9', weight: 2 },
    { gateway: '10.2.0.9', weight: 5 },
  ];

  /** How many of `flows` leave through each port. */
  function shares(peer: IpPeer, flows: number, ports: boolean): Record<string, number> {
    const counts: Record<string, number> = {};
    for (let i = 0; i < flows; i++) {
      const to = ports ? '192.0.2.1' : `192.0.${2 + (i >> 8)}.${i & 255}`;
      const name = way(peer, to, {
        source: '10.0.0.1',
        sourcePort: 1000 + i,
        destinationPort: 80,
        protocol: 6,
      });
      counts[name] = (counts[name] ?? 0) + 1;
    }
    return counts;
  }

  it('shares flows by weight, each flow keeping its way [RT-16]', () => {
    for (const multipathHash of ['l3', 'l4'] as const) {
      const peer = host({ options: { multipathHash } });
      add(peer, { destination: '192.0.0.0/16', nexthops: hops });
      const counts = shares(peer, 8000, multipathHash === 'l4');
      expect(counts.tun0 / 8000).to.be.within(0.105, 0.145);
      expect(counts.tun1 / 8000).to.be.within(0.225, 0.275);
      expect(counts.tun2 / 8000).to.be.within(0.59, 0.66);
      expect(shares(peer, 200, true), 'again the same').to.deep.equal(shares(peer, 200, true));
    }
    // By addresses alone, all flows between two hosts go one way.
    const peer = host();
    add(peer, { destination: '192.0.0.0/16', nexthops: hops });
    expect(Object.keys(shares(peer, 300, true))).to.have.length(1);
    // The hash is keyed: another instance shares otherwise.
    const ways = (seed: number): string => {
      const other = host({ seed });
      add(other, { destination: '192.0.0.0/16', nexthops: hops });
      return Array.from({ length: 40 }, (_, i) => way(other, `192.0.2.${i}`, { source: '10.0.0.1' })).join();
    };
    expect(ways(5)).to.equal(ways(5));
    expect(ways(5)).to.not.equal(ways(6));
  });

  it('passes over next hops that are dead, and keeps flows where they are otherwise [RT-16]', () => {
    const peer = host({ options: { multipathHash: 'l4' } });
    add(peer, { destination: '192.0.0.0/16', nexthops: hops });
    const paths = Array.from({ length: 300 }, (_, i) =>
      peer.resolve('192.0.2.1', { sourcePort: i, protocol: 6, source: '10.0.0.1' }),
    );
    const before = paths.map(({ port }) => port.name);
    expect(new Set(before).size).to.equal(3);
    // Something unrelated changes: nobody moves.
    add(peer, { destination: '198.51.100.0/24', port: 'tun0' });
    for (const path of paths) expect(peer.ip.revalidate(path)).to.equal(true);
    expect(paths.map(({ port }) => port.name)).to.deep.equal(before);
    peer.ports[3].isUp = false;
    peer.ip.portChanged();
    for (const path of paths) expect(peer.ip.revalidate(path)).to.equal(true);
    const during = paths.map(({ port }) => port.name);
    expect(during).to.not.include('tun2');
    expect(during.filter((name) => name === 'tun0').length / 300).to.be.within(0.25, 0.42);
    peer.ports[3].isUp = true;
    peer.ip.portChanged();
    for (const path of paths) peer.ip.revalidate(path);
    expect(paths.map(({ port }) => port.name)).to.deep.equal(before);
  });
});

describe('routing: sources and sockets', () => {
  it('chooses an IPv4 source: bound, by route, in the subnet of the next hop, of the port, of any port [RT-18]', () => {
    const peer = new IpPeer({ addresses: ['10.0.0.1/24', '172.16.5.1/16', '10.4.0.1/24'] });
    peer.addPort('tun1', ['10.1.0.1/24']);
    peer.addPort('bare');
    const source = (to: string, given = {}): string => {
      const path = peer.resolve(to, given);
      return path.unusable || path.source.toString();
    };
    add(
      peer,
      { destination: '192.0.2.0/24', gateway: '172.16.0.9' },
      { destination: '198.51.100.0/24', gateway: '172.16.0.9', source: '10.4.0.1' },
      { destination: '203.0.113.0/24', port: 'tun0' },
      { destination: '100.64.0.0/10', port: 'bare' },
    );
    expect(source('10.0.0.9')).to.equal('10.0.0.1');
    expect(source('192.0.2.1'), 'in the subnet of the gateway').to.equal('172.16.5.1');
    expect(source('198.51.100.1'), 'the route says so').to.equal('10.4.0.1');
    expect(source('203.0.113.1'), 'the first of the port').to.equal('10.0.0.1');
    expect(source('203.0.113.1', { source: '10.1.0.1' }), 'bound').to.equal('10.1.0.1');
    expect(source('100.64.0.1'), 'any other port has one').to.equal('10.0.0.1');
    // An address whose scope is too near is not taken for what is far.
    const near = new IpPeer({ addresses: [] });
    near.ip.addAddress(1, '10.0.0.1/24', { scope: 'link' });
    add(near, { destination: '192.0.2.0/24', gateway: '10.0.0.9' });
    expect(near.resolve('192.0.2.1').unusable).to.equal('EADDRNOTAVAIL');
    expect(near.resolve('10.0.0.9').source.toString()).to.equal('10.0.0.1');
    near.ip.addAddress(1, '10.7.0.1/24');
    expect(near.resolve('192.0.2.1').source.toString()).to.equal('10.7.0.1');
  });

  it('uses secondary addresses when asked, and lets them go or rise with their primary [RT-19]', () => {
    for (const promoteSecondaries of [false, true]) {
      const peer = new IpPeer({
        options: { promoteSecondaries },
        addresses: ['10.0.0.1/24', '10.0.0.2/24', '10.0.0.3/24'],
      });
      expect(peer.ip.addresses(1).map(({ secondary }) => secondary)).to.deep.equal([false, true, true]);
      expect(peer.resolve('10.0.0.9').source.toString()).to.equal('10.0.0.1');
      expect(peer.resolve('10.0.0.9', { source: '10.0.0.2' }).unusable).to.equal('');
      peer.receive(v4({ from: '10.0.0.9', to: '10.0.0.3', payload: udp('10.0.0.9', '10.0.0.3') }));
      expect(peer.udp.packets).to.have.length(1);
      expect(peer.ip.routing.routes.list({ table: 'main', family: 4 })).to.have.length(1);
      peer.ip.removeAddress(1, '10.0.0.2');
      expect(peer.ip.addresses(1)).to.have.length(2);
      peer.ip.removeAddress(1, '10.0.0.1');
      const left = peer.ip.addresses(1).map(({ address, secondary }) => `${address} ${secondary}`);
      expect(left).to.deep.equal(promoteSecondaries ? ['10.0.0.3/24 false'] : []);
      const path = peer.resolve('10.0.0.9');
      expect(path.unusable || path.source.toString()).to.equal(
        promoteSecondaries ? '10.0.0.3' : 'ENETUNREACH',
      );
      expect(peer.ip.routing.routes.list({ table: 'local', port: 1, family: 4 })).to.have.length(
        promoteSecondaries ? 3 : 0,
      );
    }
  });

  it('shows rules what a socket is bound to: its source, mark and port [RT-20]', () => {
    const peer = host();
    add(
      peer,
      { destination: '0.0.0.0/0', gateway: '10.0.0.9' },
      { destination: '0.0.0.0/0', gateway: '10.1.0.9', table: 100 },
      { destination: '0.0.0.0/0', gateway: '10.2.0.9', table: 101 },
    );
    rule(
      peer,
      { priority: 10, from: '10.1.0.1', table: 100 },
      { priority: 11, mark: 7, table: 101 },
      { priority: 12, oif: 'tun2', table: 101 },
    );
    expect(way(peer, '192.0.2.1')).to.equal('tun0');
    expect(way(peer, '192.0.2.1', { source: '10.1.0.1' })).to.equal('tun1');
    expect(way(peer, '192.0.2.1', { mark: 7 })).to.equal('tun2');
    expect(way(peer, '192.0.2.1', { oif: 3 })).to.equal('tun2');
    expect(way(peer, '192.0.2.1', { oif: 2 }), 'no route of main leaves there').to.equal('ENETUNREACH');
    // A source that was chosen by route is seen by rules as well, as after connect().
    add(peer, { destination: '198.51.100.0/24', gateway: '10.0.0.9', source: '10.1.0.1' });
    const path = peer.resolve('198.51.100.1');
    expect([path.source.toString(), path.port.name]).to.deep.equal(['10.1.0.1', 'tun1']);
    // The mark of what came in decides about its answer.
    let answer = '';
    peer.udp.onPacket = (packet) => {
      answer = peer.ip.resolveReply(packet, 17).port.name;
    };
    const packet = v4({ from: '192.0.2.1', to: '10.0.0.1', payload: udp('192.0.2.1', '10.0.0.1') });
    peer.receive(packet, { mark: 7 });
    expect(answer).to.equal('tun2');
    peer.receive(packet);
    expect(answer).to.equal('tun0');
  });

  it('looks at a cached path again when rules, routes or addresses change [RT-21]', () => {
    const peer = host();
    add(peer, { destination: '192.0.2.0/24', gateway: '10.0.0.9' });
    const path = peer.resolve('192.0.2.1', { source: '10.0.0.1' });
    const sentBy = (): string => {
      for (const port of peer.ports) port.queue.length = 0;
      peer.send(path, pattern(8));
      return (
        peer.ports
          .filter((port) => port.queue.length > 0)
          .map(({ name }) => name)
          .join() || path.unusable
      );
    };
    expect(sentBy()).to.equal('tun0');
    const { generation } = path;
    expect(sentBy()).to.equal('tun0');
    expect(path.generation, 'nothing changed').to.equal(generation);
    peer.ip.routing.routes.replace({ destination: '192.0.2.0/24', gateway: '10.1.0.9', mtu: 1400 });
    expect(sentBy()).to.equal('tun1');
    expect(path.mtu).to.equal(1400);
    expect(path.source.toString(), 'the source stays').to.equal('10.0.0.1');
    rule(peer, { priority: 3, to: '192.0.2.0/24', action: 'prohibit' });
    expect(sentBy()).to.equal('EACCES');
    peer.ip.routing.rules.delete({ priority: 3 });
    expect(sentBy()).to.equal('tun1');
    peer.ip.routing.routes.delete({ destination: '192.0.2.0/24' });
    expect(sentBy()).to.equal('ENETUNREACH');
    peer.ip.addAddress(3, '192.0.2.77/24');
    expect(sentBy()).to.equal('tun2');
    peer.ports[3].mtu = 1300;
    peer.ip.portChanged();
    expect(sentBy()).to.equal('tun2');
    expect(path.mtu).to.equal(1300);
  });

  it('does not move a flow to another source when its own is taken away [RT-24]', () => {
    const peer = host();
    peer.ip.addAddress(1, '10.0.0.5/24');
    const path = peer.resolve('10.0.0.9', { source: '10.0.0.5' });
    expect(peer.send(path, pattern(8))).to.equal(Begin.Ok);
    peer.ip.removeAddress(1, '10.0.0.5');
    for (const port of peer.ports) port.queue.length = 0;
    expect(peer.send(path, pattern(8))).to.equal(Begin.Unusable);
    expect([path.unusable, path.source.toString()]).to.deep.equal(['EADDRNOTAVAIL', '10.0.0.5']);
    expect(peer.ports.flatMap(({ queue }) => queue)).to.deep.equal([]);
    // Routes that preferred it went with it.
    peer.ip.addAddress(1, '10.0.0.6/24');
    add(peer, { destination: '192.0.2.0/24', gateway: '10.0.0.9', source: '10.0.0.6' });
    peer.ip.removeAddress(1, '10.0.0.6');
    expect(way(peer, '192.0.2.1')).to.equal('ENETUNREACH');
    peer.ip.addAddress(1, '10.0.0.5/24');
    expect(peer.send(path, pattern(8)), 'it comes back').to.equal(Begin.Ok);
  });

  it('looks for own addresses before everything else [RT-23]', () => {
    const peer = host();
    for (const destination of ['10.1.0.1/32', '2001:db8:1::1/128', '0.0.0.0/0', '::/0']) {
      add(peer, { destination, port: 'tun2', metric: 0 });
    }
    rule(peer, { priority: 1, table: 'main' });
    for (const to of ['10.1.0.1', '2001:db8:1::1', '127.0.0.1', '::1']) expect(way(peer, to)).to.equal('lo');
    expect(peer.ip.routing.routes.get('10.1.0.1')).to.include({
      type: 'local',
      table: 'local',
      port: 'lo',
      source: '10.1.0.1',
    });
  });

  it('shows on a path what a route says for TCP', () => {
    const peer = host();
    const attributes = {
      mtu: 1400,
      advmss: 1300,
      window: 30_000,
      initcwnd: 20,
      initrwnd: 40,
      rtoMinUs: 50_000,
      congestionControl: 'bbr',
      quickAck: 1,
    };
    add(peer, { destination: '192.0.2.0/24', gateway: '10.0.0.9', hopLimit: 33, ...attributes });
    const path = peer.resolve('192.0.2.1');
    expect(path).to.include(attributes);
    expect(path.hopLimit).to.equal(33);
    expect(peer.resolve('10.0.0.9')).to.include({ advmss: 0, congestionControl: '', initcwnd: 0 });
  });

  it('explains which rule and route a destination matches', () => {
    const peer = host();
    add(
      peer,
      { destination: 'default', gateway: '10.0.0.9' },
      { destination: '0.0.0.0/0', type: 'unreachable', table: 9 },
    );
    rule(peer, { priority: 77, mark: 3, table: 9 }, { priority: 78, from: '10.2.0.1', action: 'prohibit' });
    const { routes } = peer.ip.routing;
    expect(routes.get('192.0.2.1')).to.deep.include({
      destination: '192.0.2.1',
      error: '',
      rule: { priority: 32_766, action: 'lookup' },
      table: 'main',
      type: 'unicast',
      port: 'tun0',
      gateway: '10.0.0.9',
      source: '10.0.0.1',
      mtu: 1500,
    });
    expect(routes.get('192.0.2.1').route?.destination).to.equal('0.0.0.0/0');
    expect(routes.get('192.0.2.1', { mark: 3 })).to.deep.include({
      error: 'EHOSTUNREACH',
      rule: { priority: 77, action: 'lookup' },
      table: '9',
      type: 'unreachable',
      port: '',
    });
    expect(routes.get('192.0.2.1', { from: '10.2.0.1' })).to.deep.include({
      error: 'EACCES',
      rule: { priority: 78, action: 'prohibit' },
      table: '',
    });
    expect(routes.get('2001:db8:77::1')).to.deep.include({
      error: 'ENETUNREACH',
      rule: undefined,
      route: undefined,
    });
    expect(routes.get('10.0.0.255')).to.include({ type: 'broadcast', table: 'local', port: 'tun0' });
    expect(codeOf(() => routes.get('192.0.2.1', { oif: 'nowhere' }))).to.equal('ENODEV');
    peer.receive(v6({ payload: udp('2001:db8::2', '2001:db8::1') }));
    expect(peer.udp.packets).to.have.length(1);
  });
});
