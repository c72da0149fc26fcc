import { expect } from 'chai';
import { ArpOperation, NO_MAC, writeArp } from '../../lib/ethernet/arp-packet.js';
import { MacAddress } from '../../lib/ethernet/mac-address.js';
import {
  NaFlag,
  NdOption,
  NdType,
  neighborAdvertisement,
  neighborSolicitation,
  solicitedNode,
  writeLinkAddress,
  writeNd,
} from '../../lib/ethernet/nd-message.js';
import { SeededRandom } from '../../lib/sim/seeded-random.js';
import { IpAddress } from '../../lib/wire/ip-address.js';
import { frameOf, hex, Lan, type LanHost, Pinger } from './lan.js';

const ARP = 0x0806;
const IPV6 = 0x86dd;
const PEER = '52:54:00:00:00:99';
const OTHER = '52:54:00:00:00:77';
const ip = (text: string): IpAddress => IpAddress.parse(text);

describe('Ethernet neighbours', () => {
  let lan: Lan;
  let a: LanHost;

  beforeEach(() => {
    lan = new Lan();
    a = lan.host('a', {
      addresses: ['10.0.0.1/24', 'fd00::1/64'],
      ethernet: { mac: '52:54:00:00:00:0a', neighbors: { maxEntries: 20, softEntries: 12, lowEntries: 8 } },
    });
    lan.advanceMs(10);
    lan.seen.length = 0;
  });

  const stateOf = (address: string): string | undefined =>
    a.link.neighbors().find((neighbor) => neighbor.address === address)?.state;
  const macOf = (address: string): string | undefined =>
    a.link.neighbors().find((neighbor) => neighbor.address === address)?.mac;

  const advertise = (flags: number, mac = PEER, to = 'fd00::1', target = 'fd00::9'): void => {
    const ends = { source: ip('fd00::9'), destination: ip(to) };
    const packet = neighborAdvertisement(ends, ip(target), flags, MacAddress.parse(mac));
    const frame = to.startsWith('ff') ? '33:33:00:00:00:01' : a.link.mac.toString();
    lan.inject(frameOf({ from: mac, to: frame, type: IPV6 }, packet));
    lan.advanceMs(1);
  };

  const arp = (
    operation: number,
    fields: { sender: string; target: string; mac?: string; to?: string },
  ): void => {
    const { sender, target, mac = PEER, to = a.link.mac.toString() } = fields;
    const packet = writeArp({
      operation,
      senderMac: MacAddress.parse(mac),
      senderIp: ip(sender).w3,
      targetMac: NO_MAC,
      targetIp: ip(target).w3,
    });
    lan.inject(frameOf({ from: mac, to, type: ARP }, packet));
    lan.advanceMs(1);
  };

  it('goes INCOMPLETE, REACHABLE, STALE, DELAY, PROBE, and is gone after three requests [IC6-12]', () => {
    const ping = new Pinger(a.stack);
    ping.send('fd00::9');
    lan.advanceMs(1);
    expect(stateOf('fd00::9')).to.equal('incomplete');
    advertise(NaFlag.Solicited | NaFlag.Override);
    expect(stateOf('fd00::9')).to.equal('reachable');
    // ReachableTime is within 15 .. 45 s.
    lan.advanceMs(14_900);
    expect(stateOf('fd00::9')).to.equal('reachable');
    lan.advanceMs(30_200);
    expect(stateOf('fd00::9')).to.equal('stale');
    lan.seen.length = 0;
    ping.send('fd00::9');
    lan.advanceMs(4_900);
    expect(stateOf('fd00::9')).to.equal('delay');
    expect(lan.seen).to.have.length(1);
    lan.advanceMs(200);
    expect(stateOf('fd00::9')).to.equal('probe');
    lan.advanceMs(2_900);
    const probes = lan.framesOf(IPV6).filter((frame) => frame[54] === 135);
    expect(probes.map((frame) => hex(frame.subarray(0, 6)))).to.deep.equal(new Array(3).fill(hex(mac(PEER))));
    expect(stateOf('fd00::9')).to.equal(undefined);
  });

  it('believes what is sent in answer, and doubts what is only claimed (RFC 4861 §7.2.5)', () => {
    advertise(NaFlag.Override);
    expect(stateOf('fd00::9'), 'nobody asked').to.equal(undefined);
    new Pinger(a.stack).send('fd00::9');
    advertise(0, PEER);
    expect(stateOf('fd00::9')).to.equal('delay');
    advertise(NaFlag.Solicited);
    expect(stateOf('fd00::9')).to.equal('reachable');
    advertise(0, OTHER);
    expect([stateOf('fd00::9'), macOf('fd00::9')], 'no override').to.deep.equal(['stale', PEER]);
    advertise(NaFlag.Override, OTHER);
    expect([stateOf('fd00::9'), macOf('fd00::9')]).to.deep.equal(['stale', OTHER]);
    advertise(NaFlag.Override | NaFlag.Solicited, PEER);
    expect([stateOf('fd00::9'), macOf('fd00::9')]).to.deep.equal(['reachable', PEER]);
  });

  it('drops advertisements for groups, and solicited ones to groups (RFC 4861 §7.1.2)', () => {
    advertise(NaFlag.Solicited, PEER, 'ff02::1');
    advertise(0, PEER, 'fd00::1', 'ff02::9');
    expect(a.link.counters.ndErrors).to.equal(2);
  });

  it('drops messages from beyond the link, with a wrong checksum, a code, or an option without length [IC6-10] [IC6-11]', () => {
    const whole = neighborSolicitation(
      { source: ip('fd00::9'), destination: solicitedNode(ip('fd00::1')) },
      ip('fd00::1'),
      MacAddress.parse(PEER),
    );
    const change = (at: number, value: number): void => {
      const packet = whole.slice();
      const sum = new DataView(packet.buffer);
      // Keeps the checksum right, unless it is what changes: so that only the one thing is wrong.
      if (at >= 40 && at !== 42) sum.setUint16(42, fix(sum.getUint16(42), packet[at], value, at));
      packet[at] = value;
      lan.inject(frameOf({ from: PEER, to: '33:33:ff:00:00:01', type: IPV6 }, packet));
      lan.advanceMs(1);
    };
    change(7, 254);
    change(41, 1);
    change(42, whole[42] ^ 1);
    change(65, 0);
    expect(a.link.counters.ndErrors).to.equal(4);
    expect(a.link.neighbors()).to.deep.equal([]);
    change(7, 255);
    expect(a.link.neighbors().map(({ address }) => address)).to.deep.equal(['fd00::9']);
  });

  it('answers nobody for an address it does not have', () => {
    arp(ArpOperation.Request, { sender: '10.0.0.9', target: '10.0.0.2', to: 'ff:ff:ff:ff:ff:ff' });
    expect(lan.framesOf(ARP)).to.have.length(1);
    expect(a.link.neighbors()).to.deep.equal([]);
  });

  it('answers who asks, and knows him then (RFC 826); who has no address yet is only answered', () => {
    arp(ArpOperation.Request, { sender: '0.0.0.0', target: '10.0.0.1', to: 'ff:ff:ff:ff:ff:ff' });
    expect(a.link.neighbors()).to.deep.equal([]);
    arp(ArpOperation.Request, { sender: '10.0.0.9', target: '10.0.0.1', to: 'ff:ff:ff:ff:ff:ff' });
    expect([stateOf('10.0.0.9'), macOf('10.0.0.9')]).to.deep.equal(['stale', PEER]);
    const replies = lan.framesOf(ARP).filter((frame) => frame[21] === ArpOperation.Reply);
    expect(replies).to.have.length(2);
  });

  it('learns nothing from ARP nobody asked for, but follows a known neighbour that moves', () => {
    arp(ArpOperation.Reply, { sender: '10.0.0.9', target: '10.0.0.1' });
    expect(a.link.neighbors()).to.deep.equal([]);
    arp(ArpOperation.Request, { sender: '10.0.0.9', target: '10.0.0.1' });
    const claim = (target: string, mac: string, operation: number = ArpOperation.Request): void =>
      arp(operation, { sender: '10.0.0.9', target, mac, to: 'ff:ff:ff:ff:ff:ff' });
    claim('10.0.0.50', OTHER);
    expect(macOf('10.0.0.9'), 'too soon after').to.equal(PEER);
    lan.advanceMs(1100);
    claim('10.0.0.50', OTHER);
    expect([stateOf('10.0.0.9'), macOf('10.0.0.9')]).to.deep.equal(['stale', OTHER]);
    claim('10.0.0.9', PEER, ArpOperation.Reply);
    expect(macOf('10.0.0.9'), 'a reply that names no target').to.equal(OTHER);
    claim('10.0.0.9', PEER);
    expect([stateOf('10.0.0.9'), macOf('10.0.0.9')], 'an announcement').to.deep.equal(['stale', PEER]);
  });

  it('counts ARP that cannot be right', () => {
    arp(ArpOperation.Request, { sender: '224.0.0.1', target: '10.0.0.1' });
    arp(ArpOperation.Request, { sender: '127.0.0.1', target: '10.0.0.1' });
    arp(3, { sender: '10.0.0.9', target: '10.0.0.1' });
    lan.inject(frameOf({ from: PEER, to: a.link.mac.toString(), type: ARP }, new Uint8Array(27)));
    lan.advanceMs(1);
    expect(a.link.counters.arpErrors).to.equal(4);
  });

  it('keeps no more neighbours than it may, however many ask [IC6-12]', () => {
    for (let i = 2; i < 250; i++) {
      arp(ArpOperation.Request, { sender: `10.0.0.${i}`, target: '10.0.0.1', to: 'ff:ff:ff:ff:ff:ff' });
    }
    expect(a.link.neighbors()).to.have.length(20);
    expect(a.link.counters.neighborsCollected).to.equal(228);
    lan.advanceMs(61_000);
    arp(ArpOperation.Request, { sender: '10.0.0.250', target: '10.0.0.1', to: 'ff:ff:ff:ff:ff:ff' });
    expect(a.link.neighbors()).to.have.length(1);
  });

  it('refuses packets to more absent neighbours than it may ask for at once, and counts them [IC6-12]', () => {
    const ping = new Pinger(a.stack);
    for (let i = 2; i < 32; i++) ping.send(`10.0.0.${i}`);
    lan.advanceMs(10);
    expect(a.link.neighbors()).to.have.length(10);
    expect(a.link.counters.neighborTableFull).to.equal(20);
    lan.advanceMs(4000);
    expect(a.link.neighbors()).to.deep.equal([]);
    expect(ping.errors).to.have.length(10);
    ping.send('10.0.0.40');
    lan.advanceMs(10);
    expect(stateOf('10.0.0.40'), 'there is room again').to.equal('incomplete');
  });

  it('keeps those who are there while others are asked for who are not (RFC 6583 §7.1)', () => {
    for (let i = 2; i < 12; i++)
      arp(ArpOperation.Request, { sender: `10.0.0.${i}`, target: '10.0.0.1', to: 'ff:ff:ff:ff:ff:ff' });
    expect(a.link.neighbors()).to.have.length(10);
    const ping = new Pinger(a.stack);
    for (let i = 100; i < 200; i++) ping.send(`10.0.0.${i}`);
    lan.advanceMs(10);
    for (let i = 2; i < 12; i++) expect(stateOf(`10.0.0.${i}`), `10.0.0.${i}`).to.equal('stale');
    arp(ArpOperation.Request, { sender: '10.0.0.99', target: '10.0.0.1', to: 'ff:ff:ff:ff:ff:ff' });
    expect(stateOf('10.0.0.99'), 'who asks us is there').to.equal('stale');
  });

  it('lets nobody be everybody: what is for all goes to all', () => {
    for (const sender of ['10.0.0.255', '10.0.0.0']) {
      arp(ArpOperation.Request, { sender, target: '10.0.0.1', to: 'ff:ff:ff:ff:ff:ff' });
    }
    expect(a.link.neighbors()).to.deep.equal([]);
    expect(a.link.counters.arpErrors).to.equal(2);
    const socket = a.stack.openUdp(4, { broadcast: true });
    lan.seen.length = 0;
    socket.send(new Uint8Array(1), { destination: ip('10.0.0.255'), port: 9 });
    lan.advanceMs(1);
    expect(hex(lan.seen[0].subarray(0, 6))).to.equal('ffffffffffff');
  });

  /** A solicitation of somebody for an address of ours. */
  const solicit = (source: string, target: string, to = 'ff02::1:ff00:1'): void => {
    const ends = { source: ip6(source), destination: ip6(to) };
    const packet = neighborSolicitation(ends, ip6(target), MacAddress.parse(PEER));
    lan.inject(frameOf({ from: PEER, to: a.link.mac.toString(), type: IPV6 }, packet));
    lan.advanceMs(1);
  };

  it('takes no IPv4 neighbour from neighbour discovery, nor one that is nobody (RFC 4291 §2.5)', () => {
    arp(ArpOperation.Request, { sender: '10.0.0.9', target: '10.0.0.1', mac: OTHER });
    lan.advanceMs(2000);
    solicit('::ffff:10.0.0.9', 'fd00::1');
    solicit('::1', 'fd00::1');
    solicit('fd00::9', '::ffff:10.0.0.1');
    const claim = neighborAdvertisement(
      { source: ip6('fd00::9'), destination: ip6('fd00::1') },
      ip6('::ffff:10.0.0.9'),
      NaFlag.Solicited | NaFlag.Override,
      MacAddress.parse(PEER),
    );
    lan.inject(frameOf({ from: PEER, to: a.link.mac.toString(), type: IPV6 }, claim));
    lan.advanceMs(1);
    expect(macOf('10.0.0.9')).to.equal(OTHER);
    expect(a.link.neighbors()).to.have.length(1);
    expect(a.link.counters.ndErrors).to.equal(4);
  });

  it('takes from a redirect no Ethernet address: whether it may be believed, IP knows (RFC 4861 §8.1)', () => {
    solicit('fe80::9', 'fd00::1');
    expect(macOf('fe80::9')).to.equal(PEER);
    const redirect = writeNd(
      NdType.Redirect,
      48,
      { source: ip6('fe80::66'), destination: ip6('fd00::1') },
      (view, at) => {
        ip6('fe80::9').write(view, at + 8);
        ip6('2001:db8::1').write(view, at + 24);
        writeLinkAddress(view, at + 40, NdOption.TargetLinkAddress, MacAddress.parse(OTHER));
      },
    );
    lan.inject(frameOf({ from: OTHER, to: a.link.mac.toString(), type: IPV6 }, redirect));
    lan.advanceMs(1);
    expect(macOf('fe80::9')).to.equal(PEER);
  });

  it('lives through random changes to whatever may arrive, and counts them', () => {
    const random = new SeededRandom(42);
    const ends = { source: ip('fd00::9'), destination: ip('fd00::1') };
    const from = MacAddress.parse(PEER);
    const seeds = [
      [IPV6, neighborSolicitation(ends, ip('fd00::1'), from)],
      [IPV6, neighborAdvertisement(ends, ip('fd00::9'), 0x60, from)],
      [
        ARP,
        writeArp({
          operation: 1,
          senderMac: from,
          senderIp: 0x0a000009,
          targetMac: NO_MAC,
          targetIp: 0x0a000001,
        }),
      ],
    ] as const;
    for (let run = 0; run < 20_000; run++) {
      const [type, seed] = seeds[run % seeds.length];
      const packet = seed.slice(0, run % 5 === 0 ? random.uint32() % seed.length : seed.length);
      for (let i = 0; i < 3 && packet.length > 0; i++)
        packet[random.uint32() % packet.length] = random.uint32() & 0xff;
      lan.inject(frameOf({ from: PEER, to: a.link.mac.toString(), type }, packet));
      if (run % 50 === 0) lan.advanceMs(1);
      lan.seen.length = 0;
    }
    lan.advanceMs(10_000);
    const { ndErrors, arpErrors } = a.link.counters;
    expect(ndErrors).to.be.greaterThan(1000);
    expect(arpErrors).to.be.greaterThan(500);
  });
});

/** An address as it stands on the wire of IPv6, also one that stands for IPv4. */
function ip6(text: string): IpAddress {
  const { w0, w1, w2, w3 } = ip(text);
  return IpAddress.v6(w0, w1, w2, w3);
}

const mac = (text: string): Uint8Array => MacAddress.parse(text).toBytes();

/** The checksum after one byte changed. */
function fix(checksum: number, before: number, after: number, at: number): number {
  const shift = at % 2 === 0 ? 8 : 0;
  let sum = (~checksum & 0xffff) + (~(before << shift) & 0xffff) + (after << shift);
  while (sum > 0xffff) sum = (sum & 0xffff) + (sum >>> 16);
  return ~sum & 0xffff;
}
