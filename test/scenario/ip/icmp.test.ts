/** ICMP of both families: RFC 792, RFC 1122 §3.2.2, RFC 1812 §4.3, RFC 4443, RFC 4884, RFC 6633, RFC 6918. */
import { expect } from 'chai';
import { DropReason } from '../../../lib/base/stats.js';
import { IcmpErrorKind } from '../../../lib/ip/interfaces.js';
import { IpAddress } from '../../../lib/wire/ip-address.js';
import { IpPeer } from '../../support/ip-peer.js';
import {
  bytesOf,
  fragmentHeader,
  icmp4,
  icmp6,
  optionsHeader,
  pattern,
  readIcmp,
  type SeenIcmp,
  tcp,
  u16,
  udp,
  type V4Fields,
  type V6Fields,
  v4,
  v6,
} from '../../support/ip-wire.js';

const HOSTS6 = ['2001:db8::2', '2001:db8::1'] as const;
const echo4 = (data: Uint8Array, given: V4Fields = {}): Uint8Array =>
  v4({ protocol: 1, payload: icmp4(8, 0, 0x1234_0007, data), ...given });
const echo6 = (data: Uint8Array, given: V6Fields = {}): Uint8Array =>
  v6({
    next: 58,
    payload: icmp6([given.from ?? HOSTS6[0], given.to ?? HOSTS6[1]], 128, 0, 0x1234_0007, data),
    ...given,
  });

/** A packet of ours, as a router quotes it. */
const ours4 = (protocol: number, payload: Uint8Array): Uint8Array =>
  v4({ from: '10.0.0.1', to: '192.0.2.9', protocol, payload });
const ours6 = (next: number, payload: Uint8Array | readonly number[]): Uint8Array =>
  v6({ from: '2001:db8::1', to: '2001:db8:9::9', next, payload });
const error4 = (type: number, code: number, quote: Uint8Array, word = 0): Uint8Array =>
  v4({ from: '10.0.0.254', protocol: 1, payload: icmp4(type, code, word, quote) });
const error6 = (type: number, code: number, quote: Uint8Array, word = 0): Uint8Array =>
  v6({
    from: '2001:db8::fe',
    next: 58,
    payload: icmp6(['2001:db8::fe', '2001:db8::1'], type, code, word, quote),
  });

const sentUdp4 = ours4(17, udp('10.0.0.1', '192.0.2.9', pattern(30)));
const sentUdp6 = ours6(17, udp('2001:db8::1', '2001:db8:9::9', pattern(30)));

/** The ICMP messages a peer sent in answer to packets. */
function answers(packets: readonly Uint8Array[], peer = new IpPeer()): SeenIcmp[] {
  for (const packet of packets) peer.receive(packet);
  return peer.sentIcmp();
}

describe('ICMP: echo', () => {
  it('answers echo requests with their identifier, sequence and data [IC4-7] [IC4-8]', () => {
    for (const length of [0, 1, 56, 1400]) {
      const [reply] = answers([echo4(pattern(length), { tos: 0x40, ttl: 3 })]);
      expect([reply.type, reply.code, reply.word]).to.deep.equal([0, 0, 0x1234_0007]);
      expect(reply.data).to.deep.equal(pattern(length));
      expect([reply.packet.from, reply.packet.to, reply.packet.ttl, reply.packet.tos]).to.deep.equal([
        '10.0.0.1',
        '10.0.0.2',
        64,
        0x40,
      ]);
    }
    for (const to of ['255.255.255.255', '10.0.0.255', '224.0.0.1'])
      expect(answers([echo4(pattern(8), { to })])).to.deep.equal([]);
    const open = new IpPeer({ options: { echoBroadcast: true } });
    // Even then the source is an address of ours, never the one it was sent to.
    const [reply] = answers([echo4(pattern(8), { to: '10.0.0.255' })], open);
    expect(reply.packet.from).to.equal('10.0.0.1');
    const mute = new IpPeer({ options: { echoReplies: false } });
    expect(answers([echo4(pattern(8)), echo6(pattern(8))], mute)).to.deep.equal([]);
  });

  it('answers from the address that was asked [IC4-8]', () => {
    const peer = new IpPeer({ addresses: ['10.0.0.1/24', '10.0.0.5/24', '10.7.0.1/24'] });
    for (const to of ['10.0.0.1', '10.0.0.5', '10.7.0.1']) {
      expect(answers([echo4(pattern(8), { to })], peer)[0].packet.from).to.equal(to);
    }
  });

  it('adds itself to Record Route and Timestamp of a request, within what room there is [V4-18] [E22]', () => {
    const reply = (options: number[]): number[] => {
      const [seen] = answers([echo4(pattern(8), { options })]);
      return [...seen.packet.options];
    };
    expect(reply([7, 11, 4, 0, 0, 0, 0, 0, 0, 0, 0])).to.deep.equal([7, 11, 8, 10, 0, 0, 1, 0, 0, 0, 0, 0]);
    // Full, odd, absurd or missing pointers change nothing.
    for (const pointer of [0, 1, 3, 5, 9, 12, 255]) {
      const option = [7, 7, pointer, 1, 2, 3, 4];
      expect(reply(option), `pointer ${pointer}`).to.deep.equal([...option, 0]);
    }
    expect(reply([7, 2, 0, 0])).to.deep.equal([7, 2, 0, 0]);
    const ms = 0x8000_0000 + 1000;
    const time = [(ms >>> 24) & 255, (ms >>> 16) & 255, (ms >>> 8) & 255, ms & 255];
    expect(reply([68, 8, 5, 0, 0, 0, 0, 0])).to.deep.equal([68, 8, 9, 0, ...time]);
    expect(reply([68, 12, 5, 1, 0, 0, 0, 0, 0, 0, 0, 0])).to.deep.equal([
      68,
      12,
      13,
      1,
      10,
      0,
      0,
      1,
      ...time,
    ]);
    expect(reply([68, 12, 5, 3, 10, 0, 0, 1, 0, 0, 0, 0])).to.deep.equal([
      68,
      12,
      13,
      3,
      10,
      0,
      0,
      1,
      ...time,
    ]);
    expect(reply([68, 12, 5, 3, 10, 0, 0, 9, 0, 0, 0, 0])).to.deep.equal([
      68, 12, 5, 3, 10, 0, 0, 9, 0, 0, 0, 0,
    ]);
    // Full: the overflow is counted, up to 15.
    expect(reply([68, 8, 9, 0, 1, 2, 3, 4])).to.deep.equal([68, 8, 9, 0x10, 1, 2, 3, 4]);
    expect(reply([68, 8, 9, 0xf0, 1, 2, 3, 4])).to.deep.equal([68, 8, 9, 0xf0, 1, 2, 3, 4]);
    // All others are left out, source routes above all.
    expect(reply([148, 4, 0, 0])).to.deep.equal([]);
    // Forty bytes of options come back as forty bytes, not one more.
    expect(reply([7, 39, 4, ...new Array<number>(36).fill(0)])).to.have.length(40);
  });

  it('survives any options at all [V4-18]', () => {
    const seen: SeenIcmp[] = [];
    const peer = new IpPeer();
    for (let pointer = 0; pointer < 256; pointer += 3) {
      for (const length of [2, 3, 4, 5, 8, 12, 39]) {
        for (const type of [7, 68]) {
          for (const flags of [0, 1, 2, 3, 15, 0xf3]) {
            const options = [
              type,
              length,
              pointer,
              flags,
              ...new Array<number>(Math.max(0, length - 4)).fill(9),
            ].slice(0, length);
            peer.receive(echo4(pattern(8), { options }));
            seen.push(...peer.sentIcmp());
          }
        }
      }
    }
    expect(seen.length).to.be.above(5000);
    expect(seen.every(({ type, data }) => type === 0 && data.length === 8)).to.equal(true);
  });

  it('answers the largest request there is, in fragments [IC4-9]', () => {
    const peer = new IpPeer();
    const message = icmp4(8, 0, 5, pattern(65_507));
    for (let offset = 0; offset < message.length; offset += 1480) {
      const end = Math.min(offset + 1480, message.length);
      peer.receive(
        v4({ protocol: 1, payload: message.subarray(offset, end), offset, more: end < message.length }),
      );
    }
    const fragments = peer.sent();
    expect(fragments).to.have.length(45);
    const whole = bytesOf(...fragments.map(({ payload }) => payload));
    expect(Buffer.compare(whole, icmp4(0, 0, 5, pattern(65_507)))).to.equal(0);
    // IPv6 the same, to its own limit.
    const six = icmp6(HOSTS6, 128, 0, 5, pattern(65_527));
    for (let offset = 0; offset < six.length; offset += 1432) {
      const end = Math.min(offset + 1432, six.length);
      peer.receive(
        v6({
          next: 44,
          payload: bytesOf(fragmentHeader(58, offset, end < six.length, 1), six.subarray(offset, end)),
        }),
      );
    }
    const answer = bytesOf(...peer.sent().map(({ payload }) => payload));
    expect(answer.length).to.equal(65_535);
    expect(
      Buffer.compare(answer, icmp6(['2001:db8::1', '2001:db8::2'], 129, 0, 5, pattern(65_527))),
    ).to.equal(0);
  });

  it('answers echo requests to a group from an address of its own [IC6-8] [V6-21]', () => {
    const peer = new IpPeer();
    const [own] = answers([echo6(pattern(20))], peer);
    expect([own.type, own.word, own.packet.from]).to.deep.equal([129, 0x1234_0007, '2001:db8::1']);
    expect(own.data).to.deep.equal(pattern(20));
    const [group] = answers([echo6(pattern(20), { to: 'ff02::1' })], peer);
    expect([group.type, group.packet.from, group.packet.to]).to.deep.equal([
      129,
      '2001:db8::1',
      '2001:db8::2',
    ]);
    expect(
      answers([echo6(pattern(20), { to: 'ff02::1' })], new IpPeer({ options: { echoMulticast6: false } })),
    ).to.deep.equal([]);
    // A reply to a group never has the group as source, nor does an error or a path for anything else.
    let source = '';
    peer.udp.onPacket = (packet) => {
      source = peer.ip.resolveReply(packet, 17).source.toString();
    };
    peer.receive(v6({ to: 'ff02::1', payload: udp('2001:db8::2', 'ff02::1') }));
    expect(source).to.equal('2001:db8::1');
  });

  it('brings echo replies to whoever waits for their identifier [IC4-10]', () => {
    const peer = new IpPeer();
    const heard: string[] = [];
    const listener = (name: string) => ({
      reply: (
        packet: { source(): IpAddress },
        { sequence, dataBytes }: { sequence: number; dataBytes: number },
      ) => heard.push(`${name} ${packet.source()} ${sequence} ${dataBytes}`),
      error: () => heard.push(`${name} error`),
    });
    peer.ip.echo.add(7, listener('seven'));
    peer.ip.echo.add(8, listener('eight'));
    expect(() => peer.ip.echo.add(8, listener('again')))
      .to.throw()
      .with.property('code', 'EADDRINUSE');
    const destination = IpAddress.parse('10.0.0.2');
    const send = (identifier: number, to = destination): string =>
      peer.ip.sendEchoRequest({
        destination: to,
        identifier,
        sequence: 3,
        payload: pattern(12),
        hopLimit: 9,
      });
    expect(send(7)).to.equal('');
    const [request] = peer.sentIcmp();
    expect([request.type, request.word, request.packet.ttl]).to.deep.equal([8, 0x7_0003, 9]);
    expect(request.data).to.deep.equal(pattern(12));
    expect(send(8, IpAddress.parse('2001:db8::2'))).to.equal('');
    expect(peer.sentIcmp()[0].type).to.equal(128);
    peer.receive(v4({ protocol: 1, payload: icmp4(0, 0, 0x7_0003, pattern(12)) }));
    peer.receive(v6({ next: 58, payload: icmp6(HOSTS6, 129, 0, 0x8_0004, pattern(5)) }));
    peer.receive(v4({ protocol: 1, payload: icmp4(0, 0, 0x9_0003, pattern(12)) }));
    expect(peer.lastDrop).to.equal(DropReason.IcmpNoSocket);
    expect(heard).to.deep.equal(['seven 10.0.0.2 3 12', 'eight 2001:db8::2 4 5']);
    expect(send(7, IpAddress.parse('192.0.2.1'))).to.equal('ENETUNREACH');
    peer.ip.echo.remove(7);
    peer.receive(v4({ protocol: 1, payload: icmp4(0, 0, 0x7_0003, pattern(12)) }));
    expect(heard).to.have.length(2);
  });
});

describe('ICMP: what is not answered or believed', () => {
  it('drops messages whose checksum is wrong, or that are shorter than any [IC4-1] [IC6-1] [E11] [E20]', () => {
    const bad4 = icmp4(8, 0, 1, pattern(9));
    const bad6 = icmp6(HOSTS6, 128, 0, 1, pattern(9));
    for (const message of [bad4, bad6]) {
      for (let bit = 0; bit < message.length * 8; bit++) {
        const broken = message.slice();
        broken[bit >> 3] ^= 1 << (bit & 7);
        const peer = new IpPeer();
        peer.receive(
          message === bad4 ? v4({ protocol: 1, payload: broken }) : v6({ next: 58, payload: broken }),
        );
        expect(peer.lastDrop).to.equal(DropReason.IcmpChecksum);
        expect(peer.sent()).to.deep.equal([]);
      }
    }
    // A pseudo-header of other addresses is another checksum.
    const foreign = icmp6(['2001:db8::3', '2001:db8::1'], 128, 0, 1, pattern(9));
    expect(answers([v6({ next: 58, payload: foreign })])).to.deep.equal([]);
    for (let length = 0; length < 8; length++) {
      for (const family of [4, 6]) {
        const peer = new IpPeer();
        const message =
          family === 4 ? icmp4(8, 0, 0).subarray(0, length) : icmp6(HOSTS6, 128, 0, 0).subarray(0, length);
        peer.receive(
          family === 4 ? v4({ protocol: 1, payload: message }) : v6({ next: 58, payload: message }),
        );
        expect(peer.lastDrop, `${length} bytes`).to.equal(DropReason.IcmpHeader);
        expect(peer.sent()).to.deep.equal([]);
      }
    }
  });

  it('takes the ICMPv6 length from bytes that are there [IC6-1] [E34]', () => {
    const packet = echo6(pattern(40));
    for (let length = 40; length < packet.length; length++) {
      const peer = new IpPeer();
      peer.receive(packet.subarray(0, length));
      expect(peer.lastDrop).to.equal(DropReason.IpLength);
    }
    for (let payloadLength = 0; payloadLength < 48; payloadLength++) {
      // The payload is cut off before its checksum is looked at, which then cannot be right.
      expect(answers([echo6(pattern(40), { payloadLength })])).to.deep.equal([]);
    }
  });

  it('ignores types it does not know, those that are obsolete, and source quench (RFC 6633 §5) [CC-19] [IC4-2] [IC4-11] [IC4-12] [IC4-13]', () => {
    for (let type = 0; type < 256; type++) {
      if ([0, 3, 5, 8, 11, 12].includes(type)) continue;
      const peer = new IpPeer();
      peer.udp.onError = () => expect.fail('an error was delivered');
      for (const code of [0, 1, 7]) peer.receive(error4(type, code, sentUdp4));
      expect(peer.sent(), `type ${type}`).to.deep.equal([]);
      expect(peer.stats.drops.count(DropReason.IcmpIgnored)).to.equal(3);
    }
    const peer = new IpPeer();
    for (const code of [16, 17, 255]) peer.receive(error4(3, code, sentUdp4));
    expect(peer.udp.errors).to.deep.equal([]);
  });

  it('gives unknown ICMPv6 errors to the transport they quote, and ignores the rest [IC6-2]', () => {
    for (let type = 0; type < 256; type++) {
      if ((type >= 1 && type <= 4) || type === 128 || type === 129) continue;
      const peer = new IpPeer();
      peer.receive(error6(type, 9, sentUdp6));
      expect(peer.sent()).to.deep.equal([]);
      expect(peer.udp.errors.length, `type ${type}`).to.equal(type < 128 ? 1 : 0);
      if (type < 128) expect(peer.udp.errors[0]).to.include({ kind: IcmpErrorKind.Unknown, type, code: 9 });
    }
  });

  it('answers with errors only single hosts that sent no error [IC4-4] [B10]', () => {
    const quiet: [string, Uint8Array][] = [
      ['an error', v4({ protocol: 1, payload: bytesOf(icmp4(3, 1, 0, sentUdp4)), options: [30, 0, 0, 0] })],
      ['a redirect', v4({ protocol: 1, payload: icmp4(5, 1, 0, sentUdp4), options: [30, 0, 0, 0] })],
      ['time exceeded', v4({ protocol: 1, payload: icmp4(11, 0, 0, sentUdp4), options: [30, 0, 0, 0] })],
      ['an unknown type', v4({ protocol: 1, payload: icmp4(77, 0, 0), options: [30, 0, 0, 0] })],
      ['limited broadcast', v4({ to: '255.255.255.255', protocol: 99, payload: pattern(8) })],
      ['subnet broadcast', v4({ to: '10.0.0.255', protocol: 99, payload: pattern(8) })],
      ['multicast', v4({ to: '224.0.0.1', protocol: 99, payload: pattern(8) })],
      ['a later fragment', v4({ protocol: 99, payload: pattern(8), offset: 64, options: [30, 0, 0, 0] })],
      ['source 0.0.0.0', v4({ from: '0.0.0.0', to: '255.255.255.255', protocol: 99, payload: pattern(8) })],
      ['source loopback', v4({ from: '127.0.0.1', protocol: 99, payload: pattern(8) })],
      ['source broadcast', v4({ from: '10.0.0.255', protocol: 99, payload: pattern(8) })],
      ['source multicast', v4({ from: '224.0.0.9', protocol: 99, payload: pattern(8) })],
      ['source class E', v4({ from: '241.0.0.9', protocol: 99, payload: pattern(8) })],
    ];
    for (const [name, packet] of quiet) expect(answers([packet]), name).to.deep.equal([]);
    // With loopback routing on, the rule about the source is still there.
    const open = new IpPeer({ options: { routeLocalnet: true } });
    expect(answers([v4({ from: '127.0.0.1', protocol: 99, payload: pattern(8) })], open)).to.deep.equal([]);
    const queries = [icmp4(8, 0, 1), icmp4(0, 0, 1)].map((payload) =>
      v4({ protocol: 1, payload, options: [30, 0, 0, 0] }),
    );
    expect(answers(queries), 'queries may be answered').to.have.length(2);
  });

  it('answers with ICMPv6 errors only where RFC 4443 allows it [IC6-4] [B10]', () => {
    const unknownOption = (next: number): number[] => optionsHeader(next, [0x9e, 0]);
    const bad = (payload: Uint8Array | number[], given: V6Fields = {}): Uint8Array =>
      v6({ next: 60, payload, ...given });
    const of = (message: Uint8Array): Uint8Array => bad(bytesOf(unknownOption(58), message));
    expect(answers([bad(bytesOf(unknownOption(17), pattern(8)))]), 'an ordinary packet').to.have.length(1);
    expect(answers([of(icmp6(HOSTS6, 128, 0, 1))]), 'an echo request').to.have.length(1);
    for (const type of [1, 2, 3, 4, 100, 127, 137]) {
      expect(answers([of(icmp6(HOSTS6, type, 0, 0, sentUdp6))]), `about type ${type}`).to.deep.equal([]);
    }
    const unknown = (to: string): Uint8Array => v6({ to, next: 99, payload: pattern(8) });
    expect(answers([unknown('2001:db8::1')])).to.have.length(1);
    expect(answers([unknown('ff02::1')]), 'to a group').to.deep.equal([]);
    const [excepted] = answers([bad(unknownOption(17), { to: 'ff02::1' })]);
    expect([excepted.type, excepted.code, excepted.packet.from], 'but for code 2').to.deep.equal([
      4,
      2,
      '2001:db8::1',
    ]);
    for (const from of ['::', 'ff02::5'])
      expect(answers([v6({ from, to: 'ff02::1', next: 60, payload: unknownOption(17) })])).to.deep.equal([]);
  });
});

describe('ICMP: errors this host sends', () => {
  it('quotes IPv4 packets unchanged, as much as 576 bytes hold [IC4-3] [IC4-5] [E22]', () => {
    for (const [length, options] of [
      [0, []],
      [8, []],
      [528, []],
      [529, []],
      [1400, []],
      [1400, [...new Array<number>(40).fill(1)]],
    ] as const) {
      const packet = v4({
        protocol: 99,
        payload: pattern(length),
        options,
        tos: 0xbb,
        ttl: 5,
        id: 0x4321,
        df: true,
      });
      const [error] = answers([packet]);
      expect(error.data).to.deep.equal(packet.subarray(0, 548));
      expect(error.packet.bytes.length).to.equal(Math.min(28 + packet.length, 576));
      expect([error.packet.tos, error.packet.ttl, error.packet.from, error.packet.to]).to.deep.equal([
        0,
        64,
        '10.0.0.1',
        '10.0.0.2',
      ]);
    }
  });

  it('takes the address the packet was sent to as source [IC4-5]', () => {
    const peer = new IpPeer({ addresses: ['10.0.0.1/24', '10.0.0.5/24'] });
    expect(answers([v4({ to: '10.0.0.5', protocol: 99 })], peer)[0].packet.from).to.equal('10.0.0.5');
  });

  it('quotes IPv6 packets as much as 1280 bytes hold [IC6-3] [E37]', () => {
    for (const length of [0, 1, 1191, 1192, 1193, 1400, 9000, 65_000]) {
      const peer = new IpPeer({ mtu: 65_535 });
      const packet = v6({ next: 99, payload: pattern(length) });
      const [error] = answers([packet], peer);
      expect(error.data).to.deep.equal(packet.subarray(0, 1232));
      expect(error.packet.bytes.length).to.equal(Math.min(48 + packet.length, 1280));
    }
    // Of a reassembled packet too.
    const peer = new IpPeer();
    for (let offset = 0; offset < 64_000; offset += 1400) {
      const more = offset + 1400 < 64_000;
      peer.receive(v6({ next: 44, payload: bytesOf(fragmentHeader(99, offset, more, 3), pattern(1400)) }));
    }
    expect(peer.sentIcmp()[0].packet.bytes.length).to.equal(1280);
  });

  it('has a code for each reason, in either family [IC6-6]', () => {
    const kinds: [IcmpErrorKind, number, [number, number], [number, number]][] = [
      [IcmpErrorKind.NetUnreachable, 0, [3, 0], [1, 0]],
      [IcmpErrorKind.HostUnreachable, 0, [3, 1], [1, 3]],
      [IcmpErrorKind.PortUnreachable, 0, [3, 3], [1, 4]],
      [IcmpErrorKind.Prohibited, 0, [3, 13], [1, 1]],
      [IcmpErrorKind.SourceRouteFailed, 0, [3, 5], [1, 5]],
      [IcmpErrorKind.PacketTooBig, 1400, [3, 4], [2, 0]],
      [IcmpErrorKind.TimeExceeded, 0, [11, 0], [3, 0]],
      [IcmpErrorKind.ParameterProblem, 9, [12, 0], [4, 0]],
    ];
    for (const [kind, info, four, six] of kinds) {
      const peer = new IpPeer();
      peer.udp.onPacket = (packet) => peer.ip.icmpErrors.error(packet, kind, info);
      peer.receive(v4({ payload: udp('10.0.0.2', '10.0.0.1') }));
      peer.receive(v6({ payload: udp(...HOSTS6) }));
      const [a, b] = peer.sentIcmp();
      expect([a.type, a.code]).to.deep.equal(four);
      expect([b.type, b.code]).to.deep.equal(six);
      expect(b.word).to.equal(info);
      expect(a.word).to.equal(kind === IcmpErrorKind.ParameterProblem ? 9 * 2 ** 24 : info);
    }
    // What the codes of Destination Unreachable mean when they come in.
    const meanings = [0, 1, 2, 3, 4, 5, 6, 7].map((code) => {
      const peer = new IpPeer();
      peer.receive(error6(1, code, sentUdp6));
      return peer.udp.errors[0].kind;
    });
    expect(meanings).to.deep.equal([
      IcmpErrorKind.NetUnreachable,
      IcmpErrorKind.Prohibited,
      IcmpErrorKind.HostUnreachable,
      IcmpErrorKind.HostUnreachable,
      IcmpErrorKind.PortUnreachable,
      IcmpErrorKind.Prohibited,
      IcmpErrorKind.Prohibited,
      IcmpErrorKind.Unknown,
    ]);
  });

  it('limits errors to each destination: six at once, then one a second [IC4-6] [IC6-5]', () => {
    for (const packet of [v4({ protocol: 99 }), v6({ next: 99 })]) {
      const peer = new IpPeer();
      const burst = (count: number): number =>
        answers(new Array<Uint8Array>(count).fill(packet), peer).length;
      expect(burst(50)).to.equal(6);
      expect(peer.stats.icmp.outRateLimited).to.equal(44);
      peer.advanceMs(999);
      expect(burst(5)).to.equal(0);
      peer.advanceMs(1);
      expect(burst(5)).to.equal(1);
      peer.advanceMs(3000);
      expect(burst(5)).to.equal(3);
      peer.advanceMs(3_600_000);
      expect(burst(50), 'never more than the burst').to.equal(6);
    }
  });

  it('does not limit Packet Too Big to one destination [IC6-5]', () => {
    const peer = new IpPeer();
    peer.udp.onPacket = (packet) => peer.ip.icmpErrors.error(packet, IcmpErrorKind.PacketTooBig, 1300);
    expect(answers(new Array<Uint8Array>(30).fill(v6({ payload: udp(...HOSTS6) })), peer)).to.have.length(30);
  });

  /** Errors sent to `count` hosts at one moment. */
  function flood(peer: IpPeer, count: number, first = 0): number {
    let sent = 0;
    for (let i = first; i < first + count; i++) {
      const from = `10.0.${1 + (i >> 8)}.${1 + (i & 127)}`;
      sent += answers([v4({ from, protocol: 99 })], peer).length;
    }
    return sent;
  }

  it('limits errors to all: fifty at once, a thousand a second, give or take [IC4-6] [IC6-5]', () => {
    const peer = new IpPeer({ options: { icmpDestinationMs: 0 } });
    peer.ip.routing.routes.add({ destination: 'default', gateway: '10.0.0.254' });
    expect(flood(peer, 300)).to.be.within(35, 70);
    let sent = 0;
    for (let ms = 0; ms < 2000; ms += 10) {
      peer.advanceMs(10);
      sent += flood(peer, 40);
    }
    expect(sent).to.be.within(1850, 2150);
  });

  it('lets nobody count what others caused: each error takes a random part of the credit [IC4-6] [A16]', () => {
    // The side channel of CVE-2020-25705 needs a burst that is always the same size.
    const bursts = new Map<number, number>();
    for (let seed = 1; seed <= 200; seed++) {
      const peer = new IpPeer({ seed, options: { icmpDestinationMs: 0 } });
      peer.ip.routing.routes.add({ destination: 'default', gateway: '10.0.0.254' });
      const sent = flood(peer, 120);
      bursts.set(sent, (bursts.get(sent) ?? 0) + 1);
    }
    expect(bursts.size, 'different sizes').to.be.above(12);
    expect(Math.max(...bursts.values()), 'the most frequent of 200').to.be.below(50);
    const mean = [...bursts].reduce((sum, [size, times]) => sum + size * times, 0) / 200;
    expect(mean, 'one credit on average').to.be.within(46, 55);
  });

  it('shows no host, by the limit of its own, that another had an error [IC4-6] [A16]', () => {
    const options = { icmpErrorsPerSecond: 1_000_000, icmpErrorBurst: 100_000 };
    let again = 0;
    for (let seed = 1; seed <= 20; seed++) {
      const peer = new IpPeer({ seed, options });
      peer.ip.routing.routes.add({ destination: 'default', gateway: '10.0.0.254' });
      const own = Array.from({ length: 20 }, (_, i) => v4({ from: `10.9.9.${i + 1}`, protocol: 99 }));
      for (const packet of own)
        expect(answers(new Array<Uint8Array>(10).fill(packet), peer)).to.have.length(6);
      // Errors to strangers, some of which share a set with one of these.
      expect(flood(peer, 200)).to.be.at.least(200 - 1);
      again += answers(own, peer).length;
    }
    expect(again, 'limits forgotten because of others').to.equal(0);
  });

  it('does not limit what this host says to itself', () => {
    const peer = new IpPeer();
    for (let i = 0; i < 30; i++)
      peer.receive(v4({ from: '127.0.0.1', to: '127.0.0.1', protocol: 99 }), { link: 0 });
    // Not even there goes an error to a source that is a loopback address unless it came from inside.
    expect(peer.loopback.queue).to.have.length(30);
    expect(readIcmp(peer.loopback.queue[0].bytes).code).to.equal(2);
  });
});

describe('ICMP: errors that come in', () => {
  it('brings errors to the transport whose packet they quote [IC4-15] [IC4-19]', () => {
    const kinds: [number, number, IcmpErrorKind][] = [
      [3, 0, IcmpErrorKind.NetUnreachable],
      [3, 1, IcmpErrorKind.HostUnreachable],
      [3, 2, IcmpErrorKind.ProtocolUnreachable],
      [3, 3, IcmpErrorKind.PortUnreachable],
      [3, 5, IcmpErrorKind.SourceRouteFailed],
      [3, 9, IcmpErrorKind.Prohibited],
      [3, 10, IcmpErrorKind.Prohibited],
      [3, 13, IcmpErrorKind.Prohibited],
      [11, 0, IcmpErrorKind.TimeExceeded],
      [11, 1, IcmpErrorKind.TimeExceeded],
      [12, 0, IcmpErrorKind.ParameterProblem],
    ];
    const peer = new IpPeer();
    for (const [type, code, kind] of kinds) {
      peer.receive(error4(type, code, sentUdp4));
      const error = peer.udp.errors.pop();
      expect(error, `${type}/${code}`).to.include({
        kind,
        type,
        code,
        from: '10.0.0.1',
        to: '192.0.2.9',
        reporter: '10.0.0.254',
      });
      expect(error?.quoted).to.deep.equal(sentUdp4.subarray(20));
    }
    const segment = ours4(6, tcp('10.0.0.1', '192.0.2.9', pattern(50)));
    peer.receive(error4(3, 1, segment.subarray(0, 28)));
    expect(peer.tcp.errors[0].quoted, 'eight bytes are enough').to.have.length(8);
    peer.receive(
      error6(1, 3, ours6(60, bytesOf(optionsHeader(6, [1, 0]), tcp('2001:db8::1', '2001:db8:9::9')))),
    );
    expect(peer.tcp.errors[1], 'behind extension headers').to.include({
      to: '2001:db8:9::9',
      kind: IcmpErrorKind.HostUnreachable,
    });
    expect(peer.udp.errors).to.deep.equal([]);
  });

  it('tells a ping that it ran out of hops, and where [IC4-19]', () => {
    const peer = new IpPeer();
    peer.ip.routing.routes.add({ destination: 'default', gateway: '10.0.0.254' });
    const errors: string[] = [];
    peer.ip.echo.add(7, {
      reply: () => {},
      error: ({ kind, type, code, reporter }, sequence) =>
        errors.push(`${kind} ${type} ${code} ${sequence} ${reporter.source()}`),
    });
    peer.ip.sendEchoRequest({
      destination: IpAddress.parse('192.0.2.9'),
      identifier: 7,
      sequence: 44,
      payload: pattern(32),
      hopLimit: 1,
    });
    const [request] = peer.sent();
    expect(request.ttl).to.equal(1);
    peer.receive(error4(11, 0, request.bytes));
    expect(errors).to.deep.equal([`${IcmpErrorKind.TimeExceeded} 11 0 44 10.0.0.254`]);
    // Somebody else's echo request, and a reply of ours, are nobody's.
    const foreign = ours4(1, icmp4(8, 0, 0x8_002c, pattern(8)));
    peer.receive(error4(11, 0, foreign));
    peer.receive(error4(11, 0, ours4(1, icmp4(0, 0, 0x7_002c, pattern(8)))));
    expect(errors).to.have.length(1);
    expect(peer.stats.icmp.inUnmatched).to.equal(2);
  });

  it('does not believe quotations that are cut short, lie or are of others [IC4-18] [B7]', () => {
    const segment = tcp('10.0.0.1', '192.0.2.9', pattern(20));
    const bad: [string, Uint8Array][] = [
      ['empty', new Uint8Array(0)],
      ...[1, 19, 20, 27].map((n): [string, Uint8Array] => [`${n} bytes`, ours4(6, segment).subarray(0, n)]),
      ['version 6', v4({ from: '10.0.0.1', to: '192.0.2.9', protocol: 6, payload: segment, version: 6 })],
      ...[0, 1, 4].map((ihl): [string, Uint8Array] => [
        `IHL ${ihl}`,
        v4({ from: '10.0.0.1', protocol: 6, payload: segment, ihl }),
      ]),
      [
        'IHL beyond the end',
        v4({ from: '10.0.0.1', protocol: 6, payload: segment.subarray(0, 12), ihl: 15 }),
      ],
      [
        'IHL that leaves 4 bytes',
        v4({ from: '10.0.0.1', protocol: 6, payload: segment.subarray(0, 40), ihl: 14 }),
      ],
      ['total length 0', v4({ from: '10.0.0.1', protocol: 6, payload: segment, totalLength: 0 })],
      ['total length 27', v4({ from: '10.0.0.1', protocol: 6, payload: segment, totalLength: 27 })],
      ['a later fragment', v4({ from: '10.0.0.1', protocol: 6, payload: segment, offset: 8 })],
      ['of another host', v4({ from: '10.0.0.77', protocol: 6, payload: segment })],
      ['of nobody', v4({ from: '0.0.0.0', protocol: 6, payload: segment })],
      ['of a protocol nobody has', ours4(99, segment)],
    ];
    for (const [name, quote] of bad) {
      const peer = new IpPeer();
      peer.receive(error4(3, 1, quote));
      expect(peer.tcp.errors, name).to.deep.equal([]);
      expect(peer.lastDrop, name).to.equal(DropReason.IcmpQuote);
      expect(peer.sent()).to.deep.equal([]);
    }
    const six = tcp('2001:db8::1', '2001:db8:9::9', pattern(20));
    const bad6: [string, Uint8Array][] = [
      ['empty', new Uint8Array(0)],
      ['47 bytes', ours6(6, six).subarray(0, 47)],
      ['version 4', ours4(6, bytesOf(segment, pattern(40)))],
      ['payload length 7', v6({ from: '2001:db8::1', next: 6, payload: six, payloadLength: 7 })],
      ['a header beyond the end', ours6(60, [6, 255, ...pattern(30)])],
      [
        'headers without end',
        ours6(
          60,
          new Array<number>(20).fill(0).flatMap(() => [60, 0, 1, 4, 0, 0, 0, 0]),
        ),
      ],
      ['a later fragment', ours6(44, bytesOf(fragmentHeader(6, 8, false, 1), six))],
      ['of another host', v6({ from: '2001:db8::77', next: 6, payload: six })],
    ];
    for (const [name, quote] of bad6) {
      const peer = new IpPeer();
      peer.receive(error6(1, 3, quote));
      expect(peer.tcp.errors, name).to.deep.equal([]);
      expect(peer.lastDrop, name).to.equal(DropReason.IcmpQuote);
    }
  });

  it('is not confused by extensions behind the quotation [IC4-17]', () => {
    const extension = bytesOf([0x20, 0, 0, 0], u16(8), [1, 1], [0x12, 0x34, 0x51, 0xff]);
    const quote = bytesOf(sentUdp4, new Array<number>(128 - sentUdp4.length).fill(0));
    const peer = new IpPeer();
    // With its length field, in words; without it (RFC 4884 §5.5); with one that is absurd.
    for (const word of [32 << 16, 0, 255 << 16, 1 << 16]) {
      peer.receive(error4(11, 0, bytesOf(quote, extension), word));
    }
    // A length that leaves no quotation is the quotation of four bytes: of no use.
    expect(peer.udp.errors).to.have.length(3);
    for (const { quoted } of peer.udp.errors) expect(quoted).to.deep.equal(sentUdp4.subarray(20));
    // The total length of the quoted packet bounds it, however much padding follows.
    const six = bytesOf(sentUdp6, new Array<number>(128 - sentUdp6.length).fill(0));
    for (const word of [16 * 2 ** 24, 0]) peer.receive(error6(3, 0, bytesOf(six, extension), word));
    expect(peer.udp.errors.slice(3).map(({ quoted }) => quoted)).to.deep.equal([
      sentUdp6.subarray(40),
      sentUdp6.subarray(40),
    ]);
  });

  it('names the MTU of Packet Too Big, or the next plateau where a router does not', () => {
    const peer = new IpPeer();
    const big = v4({
      from: '10.0.0.1',
      to: '192.0.2.9',
      protocol: 17,
      payload: udp('10.0.0.1', '192.0.2.9', pattern(1472)),
      df: true,
    });
    for (const [word, mtu] of [
      [1400, 1400],
      [0xabcd_0000 + 600, 600],
      [0, 1492],
      [67, 67],
    ] as const) {
      peer.receive(error4(3, 4, big.subarray(0, 28), word));
      expect(peer.udp.errors.pop()).to.include({ kind: IcmpErrorKind.PacketTooBig, mtu });
    }
    peer.receive(error6(2, 0, sentUdp6, 1300));
    expect(peer.udp.errors.pop()).to.include({ kind: IcmpErrorKind.PacketTooBig, mtu: 1300 });
    // Here the whole word is the MTU, and no part of it a length (RFC 4884 §4).
    peer.receive(error6(2, 0, sentUdp6, 0x0100_0500));
    expect(peer.udp.errors.pop()?.mtu).to.equal(0x0100_0500);
  });
});

describe('ICMP: redirects', () => {
  const destination = '192.0.2.9';
  const quote = v4({ from: '10.0.0.1', to: destination, payload: udp('10.0.0.1', destination) });
  const redirect4 = (gateway: string, from = '10.0.0.254', code = 1): Uint8Array =>
    v4({ from, protocol: 1, payload: icmp4(5, code, IpAddress.parse(gateway).w3, quote) });

  function host(acceptRedirects: boolean): IpPeer {
    const peer = new IpPeer({ options: { acceptRedirects } });
    peer.ip.routing.routes.add({ destination: 'default', gateway: '10.0.0.254' });
    return peer;
  }

  const gatewayOf = (peer: IpPeer, to = destination): string | undefined =>
    peer.ip.routing.routes.get(to).gateway;

  it('ignores redirects unless told otherwise [IC4-14] [B6]', () => {
    const peer = host(false);
    peer.receive(redirect4('10.0.0.253'));
    expect(peer.lastDrop).to.equal(DropReason.IcmpRedirect);
    expect(gatewayOf(peer)).to.equal('10.0.0.254');
    expect(peer.sent()).to.deep.equal([]);
  });

  it('believes the gateway in use when it names a neighbour, for that host and for a while [IC4-14]', () => {
    const peer = host(true);
    const path = peer.resolve(destination);
    peer.receive(redirect4('10.0.0.253'));
    expect(gatewayOf(peer)).to.equal('10.0.0.253');
    expect(gatewayOf(peer, '192.0.2.10'), 'nobody else').to.equal('10.0.0.254');
    expect(peer.ip.revalidate(path)).to.equal(true);
    expect(path.gateway?.toString(), 'paths in use follow').to.equal('10.0.0.253');
    // From now on the new one is the gateway in use.
    peer.receive(redirect4('10.0.0.252'));
    expect(gatewayOf(peer)).to.equal('10.0.0.253');
    peer.receive(redirect4('10.0.0.252', '10.0.0.253', 0));
    expect(gatewayOf(peer)).to.equal('10.0.0.252');
    peer.advanceMs(300_000);
    expect(gatewayOf(peer)).to.equal('10.0.0.254');
    expect(peer.ip.pathMtu.size).to.equal(0);
  });

  it('believes nobody else, and nothing absurd [IC4-14] [B6]', () => {
    const absurd = [
      '0.0.0.0',
      '127.0.0.1',
      '224.0.0.1',
      '255.255.255.255',
      '240.0.0.1',
      '10.0.0.1',
      '192.0.2.1',
      '10.9.0.1',
    ];
    for (const gateway of absurd) {
      const peer = host(true);
      peer.receive(redirect4(gateway));
      expect(gatewayOf(peer), gateway).to.equal('10.0.0.254');
    }
    for (const packet of [redirect4('10.0.0.253', '10.0.0.77'), redirect4('10.0.0.253', '10.0.0.254', 4)]) {
      const peer = host(true);
      peer.receive(packet);
      expect(gatewayOf(peer)).to.equal('10.0.0.254');
    }
    const short = host(true);
    short.receive(
      v4({ from: '10.0.0.254', protocol: 1, payload: icmp4(5, 1, 0x0a0000fd, quote.subarray(0, 27)) }),
    );
    expect(gatewayOf(short)).to.equal('10.0.0.254');
  });

  it('treats ICMPv6 redirects alike [IC6-16] [B6] [B9]', () => {
    const to = '2001:db8:9::9';
    const bytes16 = (text: string): Uint8Array => {
      const out = new Uint8Array(16);
      IpAddress.parse(text).write(new DataView(out.buffer), 0);
      return out;
    };
    const redirect6 = (
      target: string,
      given: { from?: string; hopLimit?: number; about?: string } = {},
    ): Uint8Array => {
      const from = given.from ?? 'fe80::fe';
      const data = bytesOf(bytes16(target), bytes16(given.about ?? to));
      return v6({
        from,
        hopLimit: given.hopLimit ?? 255,
        next: 58,
        payload: icmp6([from, '2001:db8::1'], 137, 0, 0, data),
      });
    };
    const host6 = (acceptRedirects: boolean): IpPeer => {
      const peer = new IpPeer({ options: { acceptRedirects } });
      peer.ip.routing.routes.add({ destination: '::/0', gateway: 'fe80::fe', port: 1 });
      return peer;
    };
    const peer = host6(true);
    peer.receive(redirect6('fe80::fd'));
    expect(gatewayOf(peer, to)).to.equal('fe80::fd');
    const refused: [string, IpPeer, Uint8Array][] = [
      ['off', host6(false), redirect6('fe80::fd')],
      ['not the router', host6(true), redirect6('fe80::fd', { from: 'fe80::77' })],
      ['forwarded', host6(true), redirect6('fe80::fd', { hopLimit: 254 })],
      ['not a router', host6(true), redirect6('2001:db8::77')],
      ['about a group', host6(true), redirect6('fe80::fd', { about: 'ff02::9' })],
    ];
    for (const [name, other, packet] of refused) {
      other.receive(packet);
      expect(gatewayOf(other, to), name).to.equal('fe80::fe');
    }
    const direct = host6(true);
    direct.receive(redirect6(to));
    expect(gatewayOf(direct, to), 'on the link itself').to.equal(to);
  });
});

describe('ICMP: links without link-layer addresses', () => {
  it('answers and believes no neighbour discovery, and tells forged from useless [IC6-10] [IC6-11] [B9]', () => {
    const fixed: Record<number, number> = { 133: 0, 134: 8, 135: 16, 136: 16, 137: 32 };
    const message = (
      type: number,
      given: { code?: number; options?: number[]; hopLimit?: number; cut?: number } = {},
    ): Uint8Array => {
      const data = bytesOf(new Array<number>(fixed[type]).fill(0), given.options ?? [1, 1, 0, 0, 0, 0, 0, 0]);
      const kept = data.subarray(0, data.length - (given.cut ?? 0));
      return v6({
        from: 'fe80::2',
        hopLimit: given.hopLimit ?? 255,
        next: 58,
        payload: icmp6(['fe80::2', '2001:db8::1'], type, given.code ?? 0, 0, kept),
      });
    };
    for (const type of [133, 134, 135, 136, 137]) {
      const peer = new IpPeer();
      peer.receive(message(type));
      expect(peer.lastDrop).to.equal(type === 137 ? DropReason.IcmpRedirect : DropReason.IcmpIgnored);
      const broken = [
        message(type, { hopLimit: 254 }),
        message(type, { code: 1 }),
        message(type, { options: [1, 0, 0, 0, 0, 0, 0, 0] }),
        message(type, { options: [1, 2, 0, 0, 0, 0, 0, 0] }),
        message(type, { options: [1, 255, 0, 0, 0, 0, 0, 0] }),
        message(type, { options: [1] }),
        message(type, { options: [1, 1, 0, 0, 0, 0, 0, 0, 5, 0] }),
      ];
      if (fixed[type] > 0) broken.push(message(type, { options: [], cut: 1 }));
      for (const packet of broken) {
        peer.receive(packet);
        expect(peer.lastDrop, `type ${type}`).to.equal(DropReason.IcmpHeader);
      }
      expect(peer.sent()).to.deep.equal([]);
    }
  });

  it('uses new addresses at once, says nothing of them on the link, and joins their groups [IC6-13] [IC6-14]', () => {
    const peer = new IpPeer({ addresses: [] });
    peer.ip.addAddress(1, '2001:db8::a1b2:c3d4/64');
    peer.ip.addAddress(1, 'fe80::1:c3d4/64');
    const solicited = IpAddress.parse('ff02::1:ffb2:c3d4');
    expect(peer.ip.hasGroup(1, solicited)).to.equal(true);
    expect(peer.ip.hasGroup(1, IpAddress.parse('ff02::1:ff01:c3d4'))).to.equal(true);
    const path = peer.resolve('2001:db8::9');
    expect(path.source.toString()).to.equal('2001:db8::a1b2:c3d4');
    peer.send(path, udp('2001:db8::a1b2:c3d4', '2001:db8::9'), 6);
    peer.send(peer.resolve('fe80::9', { oif: 1 }), udp('fe80::1:c3d4', 'fe80::9'), 6);
    peer.advanceMs(10_000);
    // No ARP, no solicitation, no report of their groups: only the two datagrams, at once.
    expect(peer.sent().map(({ protocol, to }) => `${protocol} ${to}`)).to.deep.equal([
      '17 2001:db8::9',
      '17 fe80::9',
    ]);
    // A solicitation for one of them is heard through its group, and not answered.
    const target = bytesOf([0x20, 1, 0xd, 0xb8, 0, 0, 0, 0, 0, 0, 0, 0, 0xa1, 0xb2, 0xc3, 0xd4]);
    const solicitation = icmp6(['fe80::2', 'ff02::1:ffb2:c3d4'], 135, 0, 0, target);
    peer.receive(
      v6({ from: 'fe80::2', to: 'ff02::1:ffb2:c3d4', hopLimit: 255, next: 58, payload: solicitation }),
    );
    expect(peer.lastDrop).to.equal(DropReason.IcmpIgnored);
    peer.ip.removeAddress(1, '2001:db8::a1b2:c3d4');
    expect(peer.ip.hasGroup(1, solicited), 'left with its last address').to.equal(false);
    expect(peer.sent()).to.deep.equal([]);
  });
});
