import { expect } from 'chai';
import fc from 'fast-check';
import { ArgumentValueError } from '../../../lib/base/errors.js';
import { seq } from '../../../lib/base/seq.js';
import { ConnectionOrigin, type SegmentOrigin } from '../../../lib/wire/segment-origin.js';
import {
  formatSegment,
  formatSegmentLine,
  formatTraced,
  parseSegmentLine,
  writeSegmentLine,
} from '../../../lib/wire/segment-text.js';

const ORIGIN: SegmentOrigin = {
  sequence: seq(0xffff_ff00),
  acknowledgment: seq(0x7fff_fff0),
  tsVal: 0x7fff_ff00,
  tsEcr: -5,
};

/** A line made into bytes and back into a line. */
function through(text: string, origin: SegmentOrigin = ORIGIN): string {
  const line = parseSegmentLine(text);
  const view = new DataView(new ArrayBuffer(60 + line.textBytes));
  const headerBytes = writeSegmentLine(line, view, 0, origin);
  return formatSegment(view, 0, headerBytes + line.textBytes, origin);
}

/** A whole header in hexadecimal, as one would type it from a capture. */
function viewOf(hex: string): DataView {
  const bytes = Uint8Array.from(hex.replace(/\s/g, '').match(/../g) ?? [], (pair) =>
    Number.parseInt(pair, 16),
  );
  return new DataView(bytes.buffer);
}

describe('segments as text', () => {
  it('reads a captured SYN', () => {
    const captured = viewOf(
      'c353 0050 1122 3344 0000 0000 a002 faf0 0000 0000 0204 05b4 0402 080a 0000 0064 0000 0000 0103 0307',
    );
    const origin = { ...ORIGIN, sequence: seq(0x1122_3344), tsVal: 0 };
    expect(formatSegment(captured, 0, 40, origin)).to.equal(
      'S 0:0(0) win 64240 <mss 1460,sackOK,TS val 100 ecr 0,nop,wscale 7>',
    );
    expect(formatSegment(captured, 0, 40)).to.equal(
      'S 287454020:287454020(0) win 64240 <mss 1460,sackOK,TS val 100 ecr 0,nop,wscale 7>',
    );
  });

  for (const text of [
    'S 0:0(0) win 65535 <mss 1460,sackOK,TS val 100 ecr 0,nop,wscale 7>',
    'S. 0:0(0) ack 1 win 0',
    'P. 1:1001(1000) ack 1 win 512 <nop,nop,TS val 5 ecr 6>',
    'FP. 1001:1501(500) ack 1 win 512',
    '. 1:1(0) ack 4294900000 win 3 <nop,nop,sack 1001:2001 3001:4001>',
    '. 1:1(0) ack 1 win 3 <TS val 1 ecr 2,sack 1:2 3:4 5:6>',
    'R 7:7(0) win 0',
    'RA -1:-1(0) win 0',
    '-  5:5(0) win 9',
    'P.U 1:2(1) ack 1 win 9 urg 65535',
    'SEWA 0:10(10) win 1 <mss 536,eol>',
    'S 0:0(0) win 1 <FO,mss 0,nop,nop>',
    'S 0:0(0) win 1 <FO 00112233445566778899aabbccddeeff,nop,nop>',
    '. 1:1(0) ack 1 win 1 <kind 253 f989aabb,nop,nop>',
    '. 1:1(0) ack 1 win 1 <kind 30,kind 19 00,nop,nop,nop>',
    '. 1:1(0) ack 1 win 1 <uto 120,uto 65520,eol>',
    '. 1:1(0) ack 1 win 1 <nop,nop,nop,raw 02>',
    '. 1:1(0) ack 1 win 1 <nop,raw 020000>',
    '. 1:1(0) ack 1 win 1 <eol,raw 00ff00>',
  ]) {
    it(`writes and reads "${text}"`, () => expect(through(text)).to.equal(text.replace(/\s+/g, ' ')));
  }

  it('takes flags in any order, and numbers below their origin', () => {
    expect(through('.PF 1:2(1) ack 1 win 1')).to.equal('FP. 1:2(1) ack 1 win 1');
    expect(through('. -2:-1(1) ack -65536 win 1')).to.equal('. -2:-1(1) ack -65536 win 1');
    expect(through('. 4294967290:4(10) ack 1 win 1')).to.equal('. -6:4(10) ack 1 win 1');
  });

  it('pads options with zeros, and puts the ECN field of IP in front', () => {
    expect(through('S 0:0(0) win 1 <wscale 3>')).to.equal('S 0:0(0) win 1 <wscale 3,eol>');
    expect(formatSegmentLine(parseSegmentLine('[ce] . 1:1(0) ack 1 win 1'))).to.equal(
      '[ce] . 1:1(0) ack 1 win 1',
    );
  });

  it('leaves undefined what a line does not say', () => {
    const line = parseSegmentLine('  .  1:1(0)  ack * ');
    expect(line).to.include({ ack: undefined, window: undefined, options: undefined, ecn: undefined });
    expect(parseSegmentLine('. 1:1(0) ack 1 <>').options).to.deep.equal([]);
  });

  for (const wrong of [
    '',
    'S',
    'S 0:0',
    'S 0:1(0)',
    'X 0:0(0)',
    'SS 0:0(0)',
    'S 0:0(0) win',
    'S 0:0(0) win 1 ack 1',
    'S 0:0(0) <mss>',
    'S 0:0(0) <mss x>',
    'S 0:0(0) <sack 1>',
    'S 0:0(0) <TS val 1>',
    'S 0:0(0) <FO 0>',
    'S 0:0(0) <tfo>',
    '[ect9] . 1:1(0) ack 1',
    `S 0:0(0) <${'nop,'.repeat(40)}nop>`,
  ]) {
    it(`refuses "${wrong.slice(0, 40)}"`, () => {
      expect(() => through(wrong)).to.throw(ArgumentValueError);
    });
  }

  it('calls bytes that are no segment malformed', () => {
    expect(formatSegment(new DataView(new ArrayBuffer(20)), 0, 20)).to.equal('malformed (20 bytes)');
    expect(formatSegment(new DataView(new ArrayBuffer(4)), 0, 4)).to.equal('malformed (4 bytes)');
  });

  it('writes again what it reads of any bytes', () => {
    const header = fc.uint8Array({ minLength: 60, maxLength: 60 });
    fc.assert(
      fc.property(header, fc.integer({ min: 5, max: 15 }), (bytes, words) => {
        bytes[12] = (words << 4) | (bytes[12] & 1);
        if (!(bytes[13] & 0x10)) bytes.fill(0, 8, 12);
        if (!(bytes[13] & 0x20)) bytes.fill(0, 18, 20);
        const view = new DataView(bytes.buffer);
        const text = formatSegment(view, 0, words * 4, ORIGIN);
        const again = new DataView(new ArrayBuffer(60));
        const headerBytes = writeSegmentLine(parseSegmentLine(text), again, 0, ORIGIN);
        expect(formatSegment(again, 0, headerBytes, ORIGIN)).to.equal(text);
      }),
      { numRuns: 2000 },
    );
  });

  it('learns the origin of a connection from its segments', () => {
    const origin = new ConnectionOrigin();
    const view = new DataView(new ArrayBuffer(60));
    const trace = (text: string, outgoing: boolean): string => {
      const absolute = { sequence: seq(outgoing ? 1000 : 2000), acknowledgment: seq(outgoing ? 2000 : 1000) };
      const stamps = { tsVal: outgoing ? 70 : 90, tsEcr: outgoing ? 90 : 70 };
      const length = writeSegmentLine(parseSegmentLine(text), view, 0, { ...absolute, ...stamps });
      return formatTraced(origin, { view, at: 0, length }, outgoing);
    };
    const syn = 'S 0:0(0) win 1 <TS val 0 ecr 0,nop,nop>';
    expect(trace(syn, true)).to.equal(`> ${syn}`);
    const synAck = 'S. 0:0(0) ack 1 win 1 <TS val 5 ecr 0,nop,nop>';
    expect(trace(synAck, false)).to.equal('< S. 0:0(0) ack 1 win 1 <TS val 0 ecr 0,nop,nop>');
    expect(trace('. 1:1(0) ack 1 win 1 <nop,nop,TS val 3 ecr 6>', true)).to.equal(
      '> . 1:1(0) ack 1 win 1 <nop,nop,TS val 3 ecr 1>',
    );
    const middle = new ConnectionOrigin();
    const length = writeSegmentLine(parseSegmentLine('. 500:500(0) ack 700'), view, 0);
    expect(formatTraced(middle, { view, at: 0, length }, true)).to.equal('> . 1:1(0) ack 700 win 65535');
  });
});
