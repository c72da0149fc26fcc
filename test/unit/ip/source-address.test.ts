/** Default address selection for IPv6: RFC 6724, RFC 4007. */
import { expect } from 'chai';
import type { AddressOptions } from '../../../lib/ip/addresses.js';
import { commonPrefix, policyOf, scopeOf } from '../../../lib/ip/source-address.js';
import { IpAddress } from '../../../lib/wire/ip-address.js';
import { IpPeer } from '../../support/ip-peer.js';

type Own = readonly [address: string, options?: AddressOptions];

/** A host with these addresses on tun0 and tun1, and default routes through tun0. */
function host(own: readonly Own[], other: readonly Own[] = [], options = {}): IpPeer {
  const peer = new IpPeer({ addresses: [], options });
  peer.addPort('tun1');
  for (const [address, given] of own) peer.ip.addAddress(1, address, given);
  for (const [address, given] of other) peer.ip.addAddress(2, address, given);
  peer.ip.routing.routes.add({ destination: '::/0', gateway: 'fe80::9', port: 'tun0' });
  return peer;
}

function sourceOf(peer: IpPeer, to: string, given: { oif?: number; mark?: number } = {}): string {
  const path = peer.resolve(to, given);
  return path.unusable || path.source.toString();
}

/** In whatever order the addresses came, the choice is the same. */
function chooses(
  expected: string,
  to: string,
  own: readonly Own[],
  other: readonly Own[] = [],
  options = {},
): void {
  expect(sourceOf(host(own, other, options), to), 'in order').to.equal(expected);
  expect(sourceOf(host(own.toReversed(), other.toReversed(), options), to), 'reversed').to.equal(expected);
}

describe('source address selection', () => {
  it('prefers the destination itself [SAS-1]', () => {
    const peer = host([['2001:db8::1/64'], ['2001:db8::2/64']]);
    expect(sourceOf(peer, '2001:db8::2')).to.equal('2001:db8::2');
    expect(sourceOf(peer, '2001:db8::1')).to.equal('2001:db8::1');
    expect(sourceOf(peer, '::1')).to.equal('::1');
  });

  it('prefers the nearest scope that reaches the destination [SAS-2]', () => {
    const all: Own[] = [['fe80::1/64'], ['fec0::1/64'], ['2001:db8::1/64']];
    chooses('2001:db8::1', '2620::1', all);
    chooses('fec0::1', 'fec0::9', all);
    chooses('2001:db8::1', '2620::1', [['fec0::1/64'], ['2001:db8::1/64']]);
    for (const [group, source] of [
      ['ff02::9', 'fe80::1'],
      ['ff05::9', 'fec0::1'],
      ['ff0e::9', '2001:db8::1'],
    ]) {
      expect(sourceOf(host(all), group, { oif: 1 }), group).to.equal(source);
    }
    expect(sourceOf(host(all), 'fe80::9', { oif: 1 })).to.equal('fe80::1');
    // Nothing reaches: the farthest of what there is.
    chooses('fec0::1', '2620::1', [['fe80::1/64'], ['fec0::1/64']]);
    expect([
      scopeOf(IpAddress.parse('fe80::1')),
      scopeOf(IpAddress.parse('ff05::1')),
      scopeOf(IpAddress.parse('10.0.0.1')),
    ]).to.deep.equal([2, 5, 14]);
  });

  it('avoids deprecated addresses [SAS-3]', () => {
    chooses('2001:db8:2::1', '2001:db8:1::9', [
      ['2001:db8:1::1/64', { deprecated: true }],
      ['2001:db8:2::1/64'],
    ]);
    chooses('2001:db8:1::1', '2620::9', [['2001:db8:1::1/64', { deprecated: true }]]);
  });

  it('prefers the outgoing port, then the prefix the next hop advertised [SAS-4]', () => {
    chooses('2001:db8:1::1', '2620::9', [['2001:db8:1::1/64']], [['2620::1/64', { noPrefixRoute: true }]]);
    const advertised: Own[] = [
      ['2001:db8:1::1/64', { advertisedBy: 'fe80::9' }],
      ['2620:1::1/64', { advertisedBy: 'fe80::8' }],
    ];
    chooses('2001:db8:1::1', '2620:1:0:5::9', advertised);
    // An address of another port is taken when this one has none.
    expect(sourceOf(host([], [['2001:db8:1::1/64']]), '2620::9')).to.equal('2001:db8:1::1');
  });

  it('prefers the label of the destination, by the default policy table [SAS-5]', () => {
    const table: [string, number, number][] = [
      ['::1', 50, 0],
      ['2001:db8::1', 40, 1],
      ['10.0.0.1', 35, 4],
      ['2002:102:304::1', 30, 2],
      ['2001::1', 5, 5],
      ['fd00::1', 3, 13],
      ['::102:304', 1, 3],
      ['fec0::1', 1, 11],
      ['3ffe::1', 1, 12],
    ];
    for (const [text, precedence, label] of table) {
      const policy = policyOf(IpAddress.parse(text));
      expect([policy.precedence, policy.label], text).to.deep.equal([precedence, label]);
    }
    chooses('fd00::1', 'fd99::9', [['2001:db8::1/64'], ['fd00::1/64']]);
    chooses('2001:db8::1', '2620::9', [['2001:db8::1/64'], ['fd00::1/64']]);
    chooses('2002:c000:201::1', '2002:c633:6401::9', [
      ['2002:c000:201::1/16', { noPrefixRoute: true }],
      ['2001:db8::1/64'],
    ]);
  });

  it('prefers public or temporary addresses, as it is told [SAS-6]', () => {
    const both: Own[] = [['2001:db8::1/64'], ['2001:db8::2/64', { temporary: true }]];
    chooses('2001:db8::1', '2620::9', both);
    chooses('2001:db8::2', '2620::9', both, [], { preferTemporary: true });
  });

  it('prefers the longest matching prefix, no longer than its own [SAS-7]', () => {
    const far: Own[] = [['2001:db8:1::1/64'], ['2001:db8:3::1/64']];
    chooses('2001:db8:3::1', '2001:db8:2::9', far);
    chooses('2001:db8:1::1', '2001:db8:0:5::9', far);
    // All 128 bits but one are the same, of which 48 count: no better than the other, and so the first stays.
    const limited = host([['2001:db8:1:2::1/48'], ['2001:db8:1:3::8/48', { noPrefixRoute: true }]]);
    expect(sourceOf(limited, '2001:db8:1:3::9')).to.equal('2001:db8:1:2::1');
    expect(commonPrefix(IpAddress.parse('2001:db8::'), IpAddress.parse('2001:db8::1'), 128)).to.equal(127);
    expect(commonPrefix(IpAddress.parse('10.0.0.0'), IpAddress.parse('10.128.0.0'), 32)).to.equal(8);
  });

  it('takes candidates for groups and link-local destinations from the outgoing port only [SAS-9]', () => {
    const peer = host([['2001:db8:1::1/64'], ['fe80::1/64']], [['2001:db8:2::1/64'], ['fe80::2/64']]);
    expect(sourceOf(peer, 'ff0e::9', { oif: 2 })).to.equal('2001:db8:2::1');
    expect(sourceOf(peer, 'ff02::9', { oif: 1 })).to.equal('fe80::1');
    expect(sourceOf(peer, 'fe80::9', { oif: 2 })).to.equal('fe80::2');
    const bare = host([['2001:db8:1::1/64'], ['fe80::1/64']]);
    expect(sourceOf(bare, 'ff0e::9', { oif: 2 })).to.equal('EADDRNOTAVAIL');
    expect(sourceOf(bare, 'fe80::9', { oif: 2 })).to.equal('EADDRNOTAVAIL');
  });

  it('wants the zone of link-local destinations [SAS-10]', () => {
    const peer = host([['fe80::1/64'], ['2001:db8::1/64']]);
    for (const to of ['fe80::9', 'ff02::9', 'ff01::9']) expect(sourceOf(peer, to), to).to.equal('EINVAL');
    expect(sourceOf(peer, 'fe80::9', { oif: 1 })).to.equal('fe80::1');
    expect(sourceOf(peer, 'ff05::9', { oif: 1 })).to.equal('2001:db8::1');
    // What was refused stays refused, whatever changes.
    const path = peer.resolve('fe80::9');
    peer.ip.addAddress(1, 'fe80::5/64');
    expect(peer.ip.revalidate(path)).to.equal(false);
    expect(path.unusable).to.equal('EINVAL');
    // Our own needs none.
    expect(sourceOf(peer, 'fe80::1')).to.equal('fe80::1');
  });
});

describe('destination ordering', () => {
  /** The order in which a host tries destinations. */
  const order = (peer: IpPeer, ...destinations: string[]): string[] =>
    peer.ip.orderDestinations(destinations.map((text) => IpAddress.parse(text))).map(String);

  /** Whichever comes first in the question, `first` comes first in the answer. */
  function prefers(peer: IpPeer, first: string, second: string): void {
    expect(order(peer, first, second)).to.deep.equal([first, second]);
    expect(order(peer, second, first)).to.deep.equal([first, second]);
  }

  it('orders by reach, scope, deprecation, label, precedence, scope, prefix, and else not [SAS-8]', () => {
    const six = host([['2001:db8:1::1/64'], ['fe80::1/64']]);
    prefers(six, '2620::9', '192.0.2.9'); // no way to IPv4
    const four = new IpPeer({ addresses: ['10.0.0.1/24', 'fe80::1/64'] });
    four.ip.routing.routes.add({ destination: '0.0.0.0/0', gateway: '10.0.0.9' });
    prefers(four, '192.0.2.9', '2620::9');
    const both = new IpPeer();
    both.ip.routing.routes.add({ destination: '0.0.0.0/0', gateway: '10.0.0.9' });
    both.ip.routing.routes.add({ destination: '::/0', gateway: '2001:db8::9' });
    prefers(both, '2620::9', '192.0.2.9'); // precedence of ::/0 before IPv4
    prefers(both, '192.0.2.9', '2002:c000:201::9'); // 6to4 has another label than our source
    prefers(both, '192.0.2.9', 'fd00::9'); // unique local: no matching label, less precedence
    const local = host([['2001:db8:1::1/64'], ['fd00::1/64']]);
    prefers(local, '2620::9', 'fd00::9'); // both labels match: precedence
    const old = host([['2001:db8:1::1/64', { deprecated: true }], ['fd00::1/64']]);
    prefers(old, 'fd00::9', '2620::9'); // a deprecated source
    const scoped = host([['2001:db8:1::1/64']]);
    prefers(scoped, '2620::9', 'fec0::9'); // scope of the source does not match
    const near = host([['2001:db8:1::1/64'], ['2001:db8:8::1/64']]);
    prefers(near, '2001:db8:1:5::9', '2001:db8:f000::9'); // the longer common prefix
    // Everything equal: as it was asked.
    expect(order(six, '2620:1::9', '2620:2::9')).to.deep.equal(['2620:1::9', '2620:2::9']);
    expect(order(six, '2620:2::9', '2620:1::9')).to.deep.equal(['2620:2::9', '2620:1::9']);
    expect(order(six)).to.deep.equal([]);
  });
});
