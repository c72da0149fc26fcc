/** Headers and options that lie, against a whole stack: rows E1 to E6, E23, E33 and E36 of robustness.md. */
import { expect } from 'chai';
import fc from 'fast-check';
import { DropReason } from '../../../lib/base/stats.js';
import { forEachFamily, PEER_STATES, Peer } from '../../support/peer.js';
import { finishAll } from '../../support/scenario-hooks.js';

const hex = (bytes: readonly number[]): string =>
  bytes.map((byte) => byte.toString(16).padStart(2, '0')).join('');

/** Options as one raw piece, padded with zeros to whole words. */
const raw = (...bytes: readonly number[]): string => `<raw ${hex(bytes)}>`;

describe('options that lie', () => {
  forEachFamily((family, name) => {
    it(`are read to an end for every kind and length, over ${name} (RFC 9293 §3.1) [E1, E2, E3]`, () => {
      const peer = Peer.established({ ...family, timestamps: true });
      let next = 1;
      for (let kind = 0; kind < 256; kind += 5) {
        for (const length of [0, 1, 2, 3, 4, 5, 9, 10, 11, 18, 26, 34, 39, 40, 41, 255]) {
          // With nothing, little, and all of the room behind it.
          for (const room of [2, 4, 12, 40]) {
            const bytes = Array.from({ length: room }, (_, i) => (i * 37) & 0xff);
            bytes[0] = kind === 8 ? 9 : kind;
            bytes[1] = length;
            peer.send(`< P. ${next}:${next + 1}(1) ack 1 ${raw(...bytes)}`);
            next++;
          }
        }
        peer.drain();
        peer.expectRead(64).drain();
      }
      peer.expectState('ESTABLISHED');
      expect(peer.endpoint.connection.receiver?.tsRecent).to.equal(1020);
    });

    it(`of known kinds with other lengths than theirs are ignored, over ${name} [E3]`, () => {
      for (const [kind, right] of [
        [2, 4],
        [3, 3],
        [4, 2],
        [8, 10],
      ]) {
        for (let length = 2; length <= 12; length++) {
          if (length === right) continue;
          const peer = Peer.listening(family);
          const bytes = [kind, length, ...new Array<number>(length - 2).fill(2)];
          while (bytes.length % 4 > 0) bytes.push(1);
          peer.send(`< S 0:0(0) ${raw(...bytes)}`);
          // As if it were not there: nothing is agreed on, and the default segment size holds.
          peer.expect('> S. 0:0(0) ack 1 <!wscale,!sackOK,!TS>').send('< . 1:1(0) ack 1 <>').write(3000);
          const size = family.ipv6 ? 1220 : 536;
          peer.expect(`> . 1:${1 + size}(${size}) ack 1 <>`);
          finishAll();
        }
      }
    });

    it(`twice in one SYN count as the last says, every time, over ${name} [E4]`, () => {
      const peer = Peer.listening(family);
      peer.send('< S 0:0(0) <mss 1000,mss 700,wscale 3,nop,wscale 2,nop,sackOK,sackOK>').drain();
      peer.send('< . 1:1(0) ack 1 win 1000').expectState('ESTABLISHED').write(3000);
      peer.expect('> . 1:701(700) ack 1');
      expect(peer.endpoint.connection.sender.sndWnd).to.equal(4000);
    });

    it(`in all 40 bytes of a SYN, all of them NOP, or none at all make a connection, over ${name} [E5]`, () => {
      for (const options of [
        raw(...new Array<number>(40).fill(1)),
        '<>',
        raw(...new Array<number>(40).fill(0)),
      ]) {
        const peer = Peer.listening(family).send(`< S 0:0(0) ${options}`);
        peer.expect('> S. 0:0(0) ack 1 <!wscale,!sackOK,!TS>').send('< . 1:1(0) ack 1 <>');
        peer.expectState('ESTABLISHED').send('< P. 1:11(10) ack 1').expectRead(10);
      }
      const full = '<mss 1000,sackOK,TS val 1 ecr 0,nop,wscale 7,kind 254 f98900112233445566778899aabbccdd>';
      const peer = Peer.listening(family).send(`< S 0:0(0) ${full}`);
      peer.expect('> S. 0:0(0) ack 1 <sackOK,TS val * ecr 1,nop,wscale 7>');
    });
  });
});

describe('noise in the header of a segment', () => {
  /** A segment with random bytes in the header, its checksum right: what a fuzzer behind the NIC would send. */
  const noisy = fc.record({
    state: fc.constantFrom(...PEER_STATES),
    ipv6: fc.boolean(),
    timestamps: fc.boolean(),
    segments: fc.array(
      fc.record({
        flags: fc.integer({ min: 0, max: 63 }),
        start: fc.oneof(fc.integer({ min: -3, max: 5 }), fc.integer({ min: -0x8000_0000, max: 0x7fff_ffff })),
        text: fc.integer({ min: 0, max: 40 }),
        ack: fc.oneof(fc.integer({ min: -3, max: 5 }), fc.integer({ min: 0, max: 0xffff_ffff })),
        window: fc.integer({ min: 0, max: 0xffff }),
        urgent: fc.integer({ min: 0, max: 0xffff }),
        options: fc.array(fc.integer({ min: 0, max: 255 }), { maxLength: 40 }),
        dataOffset: fc.option(fc.integer({ min: 0, max: 15 }), { nil: undefined }),
        reserved: fc.integer({ min: 0, max: 7 }),
        waitMs: fc.constantFrom(0, 0, 0, 1, 300, 70_000),
      }),
      { minLength: 1, maxLength: 12 },
    ),
  });

  it('crashes nothing and leaves nothing, in any state (property) [E1, E2, E4, E6]', () => {
    fc.assert(
      fc.property(noisy, ({ state, ipv6, timestamps, segments }) => {
        const role = state === 'SYN-SENT' ? 'client' : 'server';
        const peer = Peer.in(state, { ipv6, timestamps, role });
        for (const one of segments) {
          const letters =
            'FSRP.U'
              .split('')
              .filter((_, i) => one.flags & (1 << i))
              .join('') || '-';
          const ack = letters.includes('.') ? ` ack ${one.ack}` : '';
          const urgent = letters.includes('U') ? ` urg ${one.urgent}` : '';
          const options = one.options.length === 0 ? '' : ` ${raw(...one.options)}`;
          const { dataOffset, reserved } = one;
          peer.send(
            `< ${letters} ${one.start}:${one.start + one.text}(${one.text})${ack} win ${one.window}${urgent}${options}`,
            { reserved, ...(dataOffset === undefined ? {} : { dataOffset }) },
          );
          peer.drain();
          peer.advanceMs(one.waitMs);
          peer.host.unclaimed.length = 0;
        }
        finishAll();
      }),
      { numRuns: 300, seed: 31 },
    );
  });

  it('never ends a connection but for an RST or FIN that fits (property) [E23]', () => {
    fc.assert(
      fc.property(
        fc.array(fc.array(fc.integer({ min: 0, max: 255 }), { minLength: 1, maxLength: 40 }), {
          maxLength: 30,
        }),
        fc.boolean(),
        (lists, inWindow) => {
          const peer = Peer.established();
          let next = 1;
          for (const list of lists) {
            const start = inWindow ? next : 500_000;
            peer.send(`< P. ${start}:${start + 5}(5) ack 1 ${raw(...list)}`);
            peer.send(`< . ${start}:${start}(0) ack 1 ${raw(...list)}`);
            peer.send(`< R ${start + 100_000}:${start + 100_000}(0) ${raw(...list)}`);
            if (inWindow) next += 5;
          }
          peer.expectState('ESTABLISHED').read(1000);
          peer.drain();
          peer
            .send(`< P. ${next}:${next + 10}(10) ack 1`)
            .expectRead(10)
            .write(10);
          expect(peer.drain().some(({ line }) => line.textBytes === 10)).to.equal(true);
          finishAll();
        },
      ),
      { numRuns: 60, seed: 23 },
    );
  });
});

describe('a frame', () => {
  forEachFamily((family, name) => {
    it(`that ends too early is dropped at any length, and the next is taken, over ${name} [E33]`, () => {
      const peer = Peer.established(family);
      const whole = peer.packet('< P. 1:51(50) ack 1 <nop,nop,TS val 1 ecr 0>');
      for (let length = 0; length < whole.length; length++) {
        peer.sendRaw(whole.subarray(0, length)).expectNothing().expectEvents();
      }
      peer.sendRaw(whole).expectRead(50).drain();
      peer.send('< P. 51:61(10) ack 1').expectRead(10);
    });

    it(`with a second packet behind the first is the first, and loses no later one, over ${name} [E33]`, () => {
      const peer = Peer.established(family);
      const first = peer.packet('< P. 1:51(50) ack 1');
      const second = peer.packet('< P. 51:101(50) ack 1');
      for (const cut of [1, 7, 39, second.length]) {
        const merged = new Uint8Array(first.length + cut);
        merged.set(first);
        merged.set(second.subarray(0, cut), first.length);
        peer.sendRaw(merged);
      }
      expect(peer.endpoint.readableBytes).to.equal(50);
      peer.sendRaw(second).expectRead(100).drain();
      peer.expectState('ESTABLISHED');
    });

    it(`whose lengths contradict the segment in it is dropped, over ${name} [E33, E6]`, () => {
      const peer = Peer.established(family);
      const whole = peer.packet('< P. 1:51(50) ack 1');
      const headerBytes = family.ipv6 ? 40 : 20;
      const view = new DataView(whole.buffer);
      const lengthAt = family.ipv6 ? 4 : 2;
      for (let claimed = 0; claimed < 20; claimed++) {
        view.setUint16(lengthAt, claimed + (family.ipv6 ? 0 : headerBytes));
        if (!family.ipv6) sumIpv4(view);
        peer.sendRaw(whole).expectNothing().expectEvents();
      }
      expect(peer.stats.tcp.inErrs).to.be.at.least(19);
      peer.send('< P. 1:51(50) ack 1').expectRead(50);
    });
  });

  it('with 40 bytes of options of IP and 40 of TCP is a SYN like any other [E36]', () => {
    const ipOptions = new Uint8Array(40).fill(1);
    for (const mtu of [68, 576, 1500]) {
      const peer = Peer.listening({ mtu });
      peer.send(
        `< S 0:0(0) <mss 1400,sackOK,TS val 9 ecr 0,nop,wscale 7,kind 254 f98900112233445566778899aabbccdd>`,
        {
          ipOptions,
        },
      );
      peer.expect(`> S. 0:0(0) ack 1 <mss ${mtu - 40}>`);
      peer.send('< . 1:1(0) ack 1', { ipOptions }).expectState('ESTABLISHED').write(200);
      const { line } = peer.take() ?? { line: { textBytes: 0 } };
      expect(line.textBytes).to.be.within(1, mtu - 52);
      peer.send('< P. 1:11(10) ack 1', { ipOptions }).expectRead(10);
    }
    expect(
      Peer.established().send('< P. 1:11(10) ack 1', { ipOptions }).stats.drops.count(DropReason.IpOptions),
    ).to.equal(0);
  });
});

/** Makes the checksum of an IPv4 header right again. */
function sumIpv4(view: DataView): void {
  view.setUint16(10, 0);
  let sum = 0;
  for (let at = 0; at < 20; at += 2) sum += view.getUint16(at);
  while (sum > 0xffff) sum = (sum & 0xffff) + (sum >>> 16);
  view.setUint16(10, ~sum & 0xffff);
}
