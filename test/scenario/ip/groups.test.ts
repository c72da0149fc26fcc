/** What a host says of its multicast groups (RFC 3376, RFC 3810), and when: both families by the same rules. */
import { expect } from 'chai';
import { DropReason } from '../../../lib/base/stats.js';
import { IpAddress } from '../../../lib/wire/ip-address.js';
import {
  igmp,
  igmpQuery,
  mld,
  mldQuery,
  type QueryFields,
  ROUTER_ALERT,
  readGroupMessage,
} from '../../support/group-wire.js';
import { IpPeer } from '../../support/ip-peer.js';
import { addressBytes, optionsHeader, v4 } from '../../support/ip-wire.js';

interface Listener {
  includes: boolean;
  sources: IpAddress[];
}

/** A peer that reads what it sends as text, with the time at which it was sent. */
class GroupPeer extends IpPeer {
  readonly family: 4 | 6;

  constructor(family: 4 | 6, seed = 1) {
    super({ addresses: ['10.0.0.1/24', '2001:db8::1/64', 'fe80::1/64'], seed });
    this.family = family;
  }

  get lines(): string[] {
    return this.port.queue.splice(0).map(({ bytes }) => readGroupMessage(bytes));
  }

  /** Moves time in small steps. @returns each line with the ms since the call at which it was sent, rounded up */
  over(ms: number): { atMs: number; line: string }[] {
    const seen: { atMs: number; line: string }[] = [];
    const from = this.nowUs;
    const until = from + ms * 1000;
    while (this.ip.nextDeadlineUs <= until) {
      this.advanceMs((this.ip.nextDeadlineUs - this.nowUs) / 1000);
      for (const line of this.lines) seen.push({ atMs: (this.nowUs - from) / 1000, line });
    }
    this.advanceMs((until - this.nowUs) / 1000);
    return seen;
  }

  join(group: string, sources?: readonly string[], includes = sources !== undefined): Listener {
    const listener = { includes, sources: (sources ?? []).map((source) => IpAddress.parse(source)) };
    this.ip.joinGroup(1, IpAddress.parse(group), listener);
    return listener;
  }

  change(group: string, listener: Listener, sources: readonly string[], includes = listener.includes): void {
    listener.includes = includes;
    listener.sources = sources.map((source) => IpAddress.parse(source));
    this.ip.groupFilterChanged(1, IpAddress.parse(group));
  }

  leave(group: string, listener: Listener): void {
    this.ip.leaveGroup(1, IpAddress.parse(group), listener);
  }

  query(fields: QueryFields = {}): void {
    this.receive(this.family === 4 ? igmpQuery(fields) : mldQuery(fields));
  }
}

const CASES = [
  {
    family: 4,
    name: 'IGMP',
    group: '239.1.2.3',
    other: '239.1.2.4',
    sources: ['192.0.2.1', '192.0.2.2', '192.0.2.3'],
    all: '10.0.0.1 > 224.0.0.22',
    ownEnd: '10.0.0.1',
    allHosts: '224.0.0.1',
    routers: '224.0.0.2',
  },
  {
    family: 6,
    name: 'MLD',
    group: 'ff15::123',
    other: 'ff15::124',
    sources: ['2001:db8:1::1', '2001:db8:1::2', '2001:db8:1::3'],
    all: 'fe80::1 > ff02::16',
    ownEnd: 'fe80::1',
    allHosts: 'ff02::1',
    routers: 'ff02::2',
  },
] as const;

for (const { family, name, group, other, sources, all, ownEnd, allHosts, routers } of CASES) {
  const [a, b, c] = sources;

  describe(`${name}: state changes`, () => {
    it('are reported at once and again within a second, with Router Alert [IC6-17]', () => {
      const peer = new GroupPeer(family);
      const listener = peer.join(group);
      expect(peer.lines).to.deep.equal([`${all} to_ex ${group} {}`]);
      const again = peer.over(60_000);
      expect(again.map(({ line }) => line)).to.deep.equal([`${all} to_ex ${group} {}`]);
      expect(again[0].atMs).to.be.within(0.001, 1000);
      peer.leave(group, listener);
      expect([...peer.lines, ...peer.over(60_000).map(({ line }) => line)]).to.deep.equal([
        `${all} to_in ${group} {}`,
        `${all} to_in ${group} {}`,
      ]);
      expect(peer.ip.nextDeadlineUs).to.equal(Number.POSITIVE_INFINITY);
    });

    it('are repeated as often as the querier wants, at random times', () => {
      const times = [1, 2, 3].map((seed) => {
        const peer = new GroupPeer(family, seed);
        peer.join(other);
        peer.query({ robustness: 4 });
        peer.over(20_000);
        peer.join(group);
        expect(peer.lines).to.have.lengthOf(1);
        const seen = peer.over(20_000);
        expect(seen).to.have.lengthOf(3);
        let before = 0;
        for (const { atMs } of seen) {
          expect(atMs - before).to.be.within(0.001, 1000);
          before = atMs;
        }
        return seen.map(({ atMs }) => atMs);
      });
      expect(new Set(times.flat()).size).to.equal(9);
    });

    it('name sources that come and go, without the group', () => {
      const peer = new GroupPeer(family);
      const listener = peer.join(group, [a]);
      expect(peer.lines).to.deep.equal([`${all} allow ${group} {${a}}`]);
      peer.over(5000);
      peer.change(group, listener, [b, c]);
      expect(peer.lines).to.deep.equal([`${all} allow ${group} {${b} ${c}}, block ${group} {${a}}`]);
      peer.over(5000);
      peer.leave(group, listener);
      expect(peer.lines).to.deep.equal([`${all} block ${group} {${b} ${c}}`]);
    });

    it('that come one upon the other are said together', () => {
      const peer = new GroupPeer(family);
      const listener = peer.join(group, [a]);
      peer.change(group, listener, [a, b]);
      peer.change(group, listener, [b]);
      // Each report says again what has been said once only.
      expect(peer.lines).to.deep.equal([
        `${all} allow ${group} {${a}}`,
        `${all} allow ${group} {${a} ${b}}`,
        `${all} allow ${group} {${b}}, block ${group} {${a}}`,
      ]);
      expect(peer.over(5000).map(({ line }) => line)).to.deep.equal([`${all} block ${group} {${a}}`]);
      // A change of mode takes the place of what was to be said of sources.
      peer.change(group, listener, [c]);
      peer.change(group, listener, [a], false);
      expect(peer.lines[1]).to.equal(`${all} to_ex ${group} {${a}}`);
      expect(peer.over(5000).map(({ line }) => line)).to.deep.equal([`${all} to_ex ${group} {${a}}`]);
    });

    it('are those of all listeners together [UDP-25]', () => {
      const peer = new GroupPeer(family);
      const first = peer.join(group, [a, b]);
      const second = peer.join(group, [b, c]);
      expect(peer.lines).to.deep.equal([
        `${all} allow ${group} {${a} ${b}}`,
        `${all} allow ${group} {${a} ${b} ${c}}`,
      ]);
      peer.over(5000);
      const excluding = peer.join(group, [a, b], false);
      // What one includes, the others do not exclude.
      expect(peer.lines).to.deep.equal([`${all} to_ex ${group} {}`]);
      peer.over(5000);
      peer.leave(group, first);
      expect(peer.lines).to.deep.equal([`${all} block ${group} {${a}}`]);
      peer.over(5000);
      const more = peer.join(group, [a], false);
      expect(peer.lines, 'nothing new').to.deep.equal([]);
      peer.leave(group, excluding);
      peer.leave(group, second);
      peer.leave(group, more);
      expect(peer.lines).to.deep.equal([`${all} to_in ${group} {}`]);
    });

    it('of groups every host is in are not reported, nor are groups on the loopback', () => {
      const peer = new GroupPeer(family);
      peer.ip.joinGroup(1, IpAddress.parse(allHosts));
      peer.ip.joinGroup(0, IpAddress.parse(group));
      if (family === 6) peer.join('ff01::7');
      expect(peer.lines).to.deep.equal([]);
      expect(peer.loopback.queue).to.deep.equal([]);
    });

    it('come from nobody on a link without an address', () => {
      const peer = new IpPeer({ addresses: [] });
      peer.ip.joinGroup(1, IpAddress.parse(group));
      const [{ bytes }] = peer.port.queue.splice(0);
      expect(readGroupMessage(bytes)).to.equal(
        family === 4 ? `0.0.0.0 > 224.0.0.22 to_ex ${group} {}` : `:: > ff02::16 to_ex ${group} {}`,
      );
    });

    it('are lost where the link is full, and said again', () => {
      const peer = new GroupPeer(family);
      peer.port.room = 0;
      peer.join(group);
      expect(peer.stats.drops.count(DropReason.LinkQueueFull)).to.equal(1);
      peer.port.room = 100;
      expect(peer.over(5000)).to.have.lengthOf(1);
    });

    it('end with the link', () => {
      const peer = new GroupPeer(family);
      peer.join(group);
      peer.ip.removePort(1);
      expect(peer.ip.nextDeadlineUs).to.equal(Number.POSITIVE_INFINITY);
    });
  });

  describe(`${name}: queries`, () => {
    /** A peer with two groups, about which all is said. */
    function settled(seed = 1): GroupPeer {
      const peer = new GroupPeer(family, seed);
      peer.join(group, [a, b], false);
      peer.join(other, [c]);
      peer.over(10_000);
      peer.port.queue.length = 0;
      return peer;
    }

    it('about all groups are answered within their time, at random', () => {
      const delays = [1, 2, 3, 4, 5].map((seed) => {
        const peer = settled(seed);
        peer.query();
        const seen = peer.over(60_000);
        expect(seen.map(({ line }) => line)).to.deep.equal([
          `${all} is_ex ${group} {${a} ${b}}, is_in ${other} {${c}}`,
        ]);
        expect(seen[0].atMs).to.be.within(0.001, 10_000);
        expect(peer.stats.groups.inQueries).to.equal(1);
        return seen[0].atMs;
      });
      expect(Math.max(...delays) - Math.min(...delays)).to.be.above(1000);
    });

    it('with a long time have it as a floating point code', () => {
      const delays = Array.from({ length: 20 }, (_, i) => {
        const peer = settled(i + 1);
        // 0x10 | 15, shifted by 3 + 4: 3968 tenths. 0x1000 | 0xfff, shifted by 3 + 1: 131,056 ms.
        peer.query({ code: family === 4 ? 0xcf : 0x9fff });
        const seen = peer.over(600_000);
        expect(seen).to.have.lengthOf(1);
        return seen[0].atMs;
      });
      const longest = family === 4 ? 396_800 : 131_056;
      expect(Math.max(...delays)).to.be.within(longest * 0.7, longest);
    });

    it('about one group are answered about that one, or not at all', () => {
      const peer = settled();
      peer.query({ group });
      expect(peer.over(60_000).map(({ line }) => line)).to.deep.equal([`${all} is_ex ${group} {${a} ${b}}`]);
      const strange = family === 4 ? '239.9.9.9' : 'ff15::9999';
      peer.query({ group: strange, to: allHosts });
      expect(peer.over(60_000)).to.deep.equal([]);
    });

    it('about sources are answered with those that are received', () => {
      const peer = settled();
      peer.query({ group, sources: [a, c] });
      expect(peer.over(60_000).map(({ line }) => line)).to.deep.equal([`${all} is_in ${group} {${c}}`]);
      peer.query({ group, sources: [a, b] });
      expect(peer.over(60_000)).to.deep.equal([]);
      peer.query({ group: other, sources: [a, c] });
      expect(peer.over(60_000).map(({ line }) => line)).to.deep.equal([`${all} is_in ${other} {${c}}`]);
      // Two such queries are answered together; one about the whole group covers them.
      peer.query({ group: other, sources: [a] });
      peer.query({ group: other, sources: [c] });
      expect(peer.over(60_000).map(({ line }) => line)).to.deep.equal([`${all} is_in ${other} {${c}}`]);
      peer.query({ group, sources: [c] });
      peer.query({ group });
      expect(peer.over(60_000).map(({ line }) => line)).to.deep.equal([`${all} is_ex ${group} {${a} ${b}}`]);
    });

    it('about too many sources are answered about all of them [C26]', () => {
      const peer = settled();
      const many = Array.from({ length: 70 }, (_, i) =>
        family === 4 ? `198.51.100.${i + 1}` : `2001:db8:2::${i}`,
      );
      peer.query({ group, sources: many });
      expect(peer.over(60_000).map(({ line }) => line)).to.deep.equal([`${all} is_ex ${group} {${a} ${b}}`]);
      // No more are remembered over many queries either.
      for (let i = 0; i < 70; i += 10) peer.query({ group, sources: many.slice(i, i + 10) });
      expect(peer.over(60_000).map(({ line }) => line)).to.deep.equal([`${all} is_ex ${group} {${a} ${b}}`]);
    });

    it('are not answered twice while an answer to all is near', () => {
      const peer = settled();
      peer.query({ code: 1 });
      peer.query({ group });
      peer.query();
      expect(peer.over(60_000)).to.have.lengthOf(1);
    });

    it('that no querier of this link sends are ignored [H9]', () => {
      const broken: QueryFields[] = [
        { withoutAlert: true },
        { cut: 1 },
        { cut: 3 },
        { group, sources: [a], cut: 1 },
        { badChecksum: true },
        { group: family === 4 ? '10.0.0.9' : '2001:db8::9', to: allHosts },
        // About all groups, but sent to one.
        { to: group },
      ];
      if (family === 6) broken.push({ hopLimit: 2 }, { from: '2001:db8::9' }, { from: '::' });
      else broken.push({ version: 2, withoutAlert: true }, { version: 2, cut: 1 });
      for (const fields of broken) {
        const peer = settled();
        peer.query(fields);
        expect(peer.lastDrop, JSON.stringify(fields)).to.not.equal(DropReason.None);
        expect(peer.over(60_000), JSON.stringify(fields)).to.deep.equal([]);
      }
    });

    it('are taken by unicast, too', () => {
      const peer = settled();
      peer.query({ to: ownEnd });
      expect(peer.over(60_000)).to.have.lengthOf(1);
    });
  });

  describe(`${name}: reports`, () => {
    it('take no more than the link: what does not fit comes in the next [C26]', () => {
      const peer = new GroupPeer(family);
      const groups = Array.from({ length: 200 }, (_, i) => (family === 4 ? `239.2.0.${i}` : `ff15::2:${i}`));
      for (const one of groups) peer.join(one);
      peer.over(10_000);
      peer.port.queue.length = 0;
      peer.query();
      const seen = peer.over(60_000).map(({ line }) => line);
      expect(seen).to.have.lengthOf(family === 4 ? 2 : 3);
      const named = seen.flatMap((line) => line.slice(all.length + 1).split(', '));
      expect(named.sort()).to.deep.equal(groups.map((one) => `is_ex ${one} {}`).sort());
      for (const { bytes } of peer.port.queue) expect(bytes.length).to.be.at.most(1500);
    });

    it('split long lists of sources, but cut those that exclude', () => {
      const many = Array.from({ length: 400 }, (_, i) =>
        family === 4 ? `198.51.${i >> 8}.${i & 255}` : `2001:db8:2::${i}`,
      );
      const text = many.map((source) => IpAddress.parse(source).toString());
      const peer = new GroupPeer(family);
      peer.join(group, many);
      const lines = peer.lines;
      const list = lines.flatMap((line) => /\{(.*)\}/.exec(line)?.[1].split(' ') ?? []);
      expect(list).to.deep.equal(text);
      expect(lines.length).to.equal(family === 4 ? 2 : 5);
      expect(lines.every((line) => line.includes(`allow ${group}`))).to.equal(true);
      peer.join(other, many, false);
      const [cut, ...more] = peer.lines;
      expect(more).to.deep.equal([]);
      expect(text.join(' ').startsWith(/\{(.*)\}/.exec(cut)?.[1] ?? 'x')).to.equal(true);
    });
  });

  describe(`${name}: older queriers`, () => {
    const old = family === 4 ? 2 : 1;
    const report = family === 4 ? 'v2' : 'v1';
    const leave = family === 4 ? `leave ${group}` : `done ${group}`;

    function settledWithOld(): GroupPeer {
      const peer = new GroupPeer(family);
      peer.join(other);
      peer.query({ version: old });
      expect(peer.ip.groupGeneration(1, family)).to.equal(1);
      peer.over(10_000);
      return peer;
    }

    it('hear what they understand: a group at a time, sent to it', () => {
      const peer = settledWithOld();
      peer.query({ version: old });
      const seen = peer.over(30_000);
      expect(seen.map(({ line }) => line)).to.deep.equal([`${ownEnd} > ${other} ${report} ${other}`]);
      const listener = peer.join(group, [a]);
      const said = [...peer.lines, ...peer.over(30_000).map(({ line }) => line)];
      const line = `${ownEnd} > ${group} ${report} ${group}`;
      expect(said).to.deep.equal([line, line]);
      peer.change(group, listener, [a, b]);
      expect(peer.lines, 'they know no sources').to.deep.equal([]);
      peer.leave(group, listener);
      expect(peer.lines).to.deep.equal([`${ownEnd} > ${routers} ${leave}`]);
    });

    it('are not told what another host has told them', () => {
      const peer = settledWithOld();
      const listener = peer.join(group);
      peer.over(30_000);
      peer.query({ version: old, group });
      const from = family === 4 ? '10.0.0.7' : 'fe80::7';
      const heard =
        family === 4
          ? igmp([0x16, 0, 0, 0, ...addressBytes(group)], { from, to: group })
          : mld(131, 0, [...addressBytes(group)], { from, to: group });
      peer.receive(heard);
      expect(peer.stats.groups.inReports).to.equal(1);
      expect(peer.over(30_000)).to.deep.equal([]);
      // Nor that we leave: the other stays.
      peer.leave(group, listener);
      expect(peer.lines).to.deep.equal([]);
    });

    it('are believed for as long as they could be there, then the new version is back', () => {
      const peer = settledWithOld();
      // 2 · 125 s + 10 s after the query.
      peer.over(249_000);
      peer.join(group);
      expect(peer.lines[0]).to.contain(report);
      peer.over(2000);
      const more = family === 4 ? '239.7.7.7' : 'ff15::7777';
      peer.join(more);
      expect(peer.lines).to.deep.equal([`${all} to_ex ${more} {}`]);
      expect(peer.ip.groupGeneration(1, family)).to.equal(2);
    });

    it('that come while something is to be repeated end that', () => {
      const peer = new GroupPeer(family);
      peer.join(group);
      expect(peer.lines).to.have.lengthOf(1);
      peer.query({ version: old, group: other, to: allHosts });
      expect(peer.over(30_000)).to.deep.equal([]);
    });
  });
}

describe('IGMP: version 1', () => {
  it('is answered in ten seconds by its own report, and hears of no leave', () => {
    const peer = new GroupPeer(4);
    const listener = peer.join('239.1.2.3');
    peer.over(5000);
    peer.port.queue.length = 0;
    // Their queries carry no Router Alert.
    peer.query({ version: 1, withoutAlert: true });
    expect(peer.ip.groupGeneration(1, 4)).to.equal(0);
    const seen = peer.over(60_000);
    expect(seen.map(({ line }) => line)).to.deep.equal(['10.0.0.1 > 239.1.2.3 v1 239.1.2.3']);
    expect(seen[0].atMs).to.be.within(0.001, 10_000);
    peer.leave('239.1.2.3', listener);
    expect(peer.lines).to.deep.equal([]);
  });

  it('outranks version 2, which outranks version 3', () => {
    const peer = new GroupPeer(4);
    peer.join('239.1.2.3');
    for (const [version, generation] of [
      [3, 2],
      [2, 1],
      [3, 1],
      [1, 0],
      [2, 0],
      [3, 0],
    ] as const) {
      peer.query({ version });
      expect(peer.ip.groupGeneration(1, 4), `after version ${version}`).to.equal(generation);
    }
  });
});

describe('multicast groups: reception', () => {
  it('takes groups joined on that link, from sources wanted there, and 224.0.0.1 always [V4-8]', () => {
    const peer = new GroupPeer(4);
    peer.addPort('tun1', ['10.9.0.1/24']);
    const arrives = (to: string, from = '10.0.0.2', link = 1): boolean => {
      const before = peer.udp.packets.length;
      peer.receive(v4({ from, to, protocol: 17, payload: new Uint8Array(8) }), { link });
      return peer.udp.packets.length > before;
    };
    expect([arrives('224.0.0.1'), arrives('239.1.2.3')]).to.deep.equal([true, false]);
    const listener = peer.join('239.1.2.3');
    expect([arrives('239.1.2.3'), arrives('239.1.2.4'), arrives('239.1.2.3', '10.9.0.2', 2)]).to.deep.equal([
      true,
      false,
      false,
    ]);
    peer.change('239.1.2.3', listener, ['10.0.0.2'], true);
    expect([arrives('239.1.2.3'), arrives('239.1.2.3', '10.0.0.3')]).to.deep.equal([true, false]);
    peer.change('239.1.2.3', listener, ['10.0.0.2'], false);
    expect([arrives('239.1.2.3'), arrives('239.1.2.3', '10.0.0.3')]).to.deep.equal([false, true]);
    peer.leave('239.1.2.3', listener);
    expect(arrives('239.1.2.3', '10.0.0.3')).to.equal(false);
  });
});

describe('fuzz: IGMP and MLD', () => {
  it('survive messages of any kind, length and content [H9]', () => {
    let word = 12_345;
    const random = (bound: number): number => {
      word = (Math.imul(word, 1_103_515_245) + 12_345) >>> 0;
      return Math.floor((word / 2 ** 32) * bound);
    };
    const peers = [new GroupPeer(4), new GroupPeer(6)];
    for (const peer of peers) for (const { group, sources } of CASES) peer.join(group, sources.slice(0, 2));
    for (let i = 0; i < 4000; i++) {
      const body = Array.from({ length: random(60) }, () => random(256));
      const [four, six] = peers;
      four.receive(igmp([[0x11, 0x12, 0x16, 0x17, 0x22][random(5)], random(256), 0, 0, ...body]));
      four.receive(
        v4({ to: '224.0.0.1', protocol: 2, options: random(2) ? ROUTER_ALERT : [148, 4], payload: body }),
      );
      six.receive(mld([130, 131, 132, 143][random(4)], random(2 ** 32), body));
      optionsHeader(58, body.slice(0, 4));
      for (const peer of peers) {
        peer.advanceMs(random(100));
        for (const { bytes } of peer.port.queue.splice(0)) {
          if (bytes[0] >> 4 === 4 ? bytes[9] === 2 : bytes[6] === 0) readGroupMessage(bytes);
        }
      }
    }
    for (const peer of peers) expect(peer.stats.groups.inErrors).to.be.above(100);
  });
});
