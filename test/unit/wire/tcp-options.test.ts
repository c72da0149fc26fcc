import { expect } from 'chai';
import fc from 'fast-check';
import {
  type SynOptions,
  sackBlocksThatFit,
  TcpOptionReader,
  writeSack,
  writeSynOptions,
  writeTimestamps,
} from '../../../lib/wire/tcp-options.js';

const NOP = 1;
const MSS = [2, 4, 0x05, 0xb4];
const WINDOW_SCALE = [3, 3, 7];
const SACK_PERMITTED = [4, 2];
const TIMESTAMPS = [8, 10, 0x80, 0, 0, 1, 0xff, 0xff, 0xff, 0xfe];

/**
 * Reads options from memory that ends where they end, so that reading beyond them throws.
 * @param lead bytes before them, which move their alignment
 */
function read(bytes: readonly number[], lead = 0): TcpOptionReader {
  const view = new DataView(Uint8Array.from([...new Array<number>(lead).fill(0xff), ...bytes]).buffer);
  const reader = new TcpOptionReader();
  reader.parse(view, lead, bytes.length);
  return reader;
}

/** What a reader found, as a plain value. */
function found(reader: TcpOptionReader): Record<string, unknown> {
  const { mss, windowScale, sackPermitted, hasTimestamps, tsVal, tsEcr, sackCount, malformed } = reader;
  const { cookieBytes, userTimeoutS } = reader;
  const edges = Array.from(reader.sackEdges.subarray(0, 2 * sackCount));
  const options = { mss, windowScale, sackPermitted, hasTimestamps, tsVal, tsEcr, edges };
  return { ...options, malformed, cookieBytes, userTimeoutS };
}

const NOTHING = found(new TcpOptionReader());

/** Quick, for sweeps: whether a reader stopped at an impossible option before it had read any. */
const isNothingButMalformed = (reader: TcpOptionReader): boolean =>
  reader.malformed &&
  reader.mss === 0 &&
  reader.windowScale === -1 &&
  !reader.sackPermitted &&
  !reader.hasTimestamps &&
  reader.sackCount === 0 &&
  reader.cookieBytes === -1 &&
  reader.userTimeoutS === 0;

/** A reader as one would write it down from the RFCs, without a thought to speed. */
function naive(bytes: readonly number[]): Record<string, unknown> {
  const result: Record<string, unknown> = { ...NOTHING };
  const word = (at: number): number =>
    (bytes[at] << 24) | (bytes[at + 1] << 16) | (bytes[at + 2] << 8) | bytes[at + 3];
  for (let at = 0; at < bytes.length && bytes[at] !== 0; ) {
    if (bytes[at] === NOP) {
      at++;
      continue;
    }
    const length = bytes[at + 1] ?? 0;
    if (length < 2 || at + length > bytes.length) return { ...result, malformed: true };
    const half = (bytes[at + 2] << 8) | bytes[at + 3];
    if (bytes[at] === 2 && length === 4) result.mss = half;
    if (bytes[at] === 3 && length === 3) result.windowScale = bytes[at + 2];
    if (bytes[at] === 4 && length === 2) result.sackPermitted = true;
    if (bytes[at] === 8 && length === 10) {
      Object.assign(result, { hasTimestamps: true, tsVal: word(at + 2), tsEcr: word(at + 6) });
    }
    if (bytes[at] === 5 && [10, 18, 26, 34].includes(length)) {
      result.edges = Array.from({ length: (length - 2) / 4 }, (_, i) => word(at + 2 + 4 * i));
    }
    if (bytes[at] === 28 && length === 4) result.userTimeoutS = half & 0x8000 ? (half & 0x7fff) * 60 : half;
    if (bytes[at] === 34 && [2, 6, 8, 10, 12, 14, 16, 18].includes(length)) result.cookieBytes = length - 2;
    at += length;
  }
  return result;
}

describe('reading TCP options', () => {
  it('knows EOL, NOP and MSS, alone and together [MUST-4]', () => {
    expect(found(read(MSS))).to.deep.equal({ ...NOTHING, mss: 1460 });
    expect(found(read([NOP, NOP, NOP, NOP]))).to.deep.equal(NOTHING);
    expect(found(read([0, 0, 0, 0]))).to.deep.equal(NOTHING);
    expect(found(read([NOP, ...MSS, NOP, 0, 0]))).to.deep.equal({ ...NOTHING, mss: 1460 });
    // And it writes them: MSS always, NOPs where something must be aligned, and never needs an EOL.
    const view = new DataView(new ArrayBuffer(40));
    const stamps = { timestamps: true, tsVal: 1, tsEcr: 0 };
    const syn = {
      mss: 1460,
      windowScale: 7,
      sackPermitted: false,
      ...stamps,
      ecnFlags: 0,
      ecnCounters: false,
    };
    const written = new Uint8Array(view.buffer, 0, writeSynOptions(view, 0, syn));
    expect(Array.from(written.subarray(0, 6))).to.deep.equal([2, 4, 5, 180, NOP, NOP]);
    expect(read(Array.from(written)).mss).to.equal(1460);
  });

  it('ends at EOL, whatever stands behind it up to the data offset [MUST-69]', () => {
    expect(found(read([...MSS, 0, ...WINDOW_SCALE]))).to.deep.equal({ ...NOTHING, mss: 1460 });
    expect(found(read([0, ...MSS, 8, 0, 99]))).to.deep.equal(NOTHING);
    expect(read([0, 2]).malformed).to.equal(false);
  });

  it('finds options wherever they begin, without padding between them [MUST-64]', () => {
    const packed = [...WINDOW_SCALE, ...SACK_PERMITTED, ...TIMESTAMPS, ...MSS];
    for (let lead = 0; lead < 8; lead++) {
      for (let padding = 0; padding < 4; padding++) {
        const reader = read([...new Array<number>(padding).fill(NOP), ...packed], lead);
        expect(found(reader)).to.deep.equal({
          ...NOTHING,
          mss: 1460,
          windowScale: 7,
          sackPermitted: true,
          hasTimestamps: true,
          tsVal: -0x7fff_ffff,
          tsEcr: -2,
        });
      }
    }
  });

  it('skips every kind it does not know by its length and reads on [MUST-6, MUST-68]', () => {
    const known = new Set([0, 1, 2, 3, 4, 5, 8, 28, 34]);
    for (let kind = 0; kind < 256; kind++) {
      if (known.has(kind)) continue;
      for (let length = 2; length <= 36; length++) {
        const unknown = [kind, length, ...new Array<number>(length - 2).fill(0)];
        expect(found(read([...unknown, ...MSS])), `kind ${kind}`).to.deep.equal({ ...NOTHING, mss: 1460 });
      }
    }
  });

  it('skips experimental options and multipath options [RM-7, RM-8]', () => {
    const experiment = (kind: number): number[] => [kind, 6, 0xf9, 0x89, 1, 2];
    const multipath = [30, 12, 0x00, 0x81, 1, 2, 3, 4, 5, 6, 7, 8];
    const options = [...experiment(253), ...multipath, ...experiment(254), ...SACK_PERMITTED];
    expect(found(read(options))).to.deep.equal({ ...NOTHING, sackPermitted: true });
  });

  it('stops at a length of 0 or 1, or beyond the header, of any kind, in any room [MUST-7, E1, E2]', () => {
    for (const room of [1, 2, 3, 4, 5, 6, 8, 10, 11, 12, 20, 39, 40]) {
      const bytes = new Uint8Array(room).fill(0xff);
      const view = new DataView(bytes.buffer);
      const reader = new TcpOptionReader();
      for (let kind = 2; kind < 256; kind++) {
        bytes[0] = kind;
        for (let length = 0; length < (room === 1 ? 1 : 256); length++) {
          if (room > 1) bytes[1] = length;
          // Reading beyond the options would throw: their memory ends with them.
          reader.parse(view, 0, room);
          const impossible = room === 1 || length < 2 || length > room;
          if (impossible && !isNothingButMalformed(reader)) {
            expect(found(reader), `kind ${kind}, length ${length}`).to.deep.equal({
              ...NOTHING,
              malformed: true,
            });
          }
        }
      }
    }
  });

  it('keeps what it has read before an impossible option [E2]', () => {
    expect(found(read([...MSS, 8, 10, 0, 0]))).to.deep.equal({ ...NOTHING, mss: 1460, malformed: true });
    expect(found(read([...MSS, NOP, NOP, NOP, 3]))).to.deep.equal({ ...NOTHING, mss: 1460, malformed: true });
  });

  it('ignores an option it knows of a length that is wrong for it [E3]', () => {
    const right = new Map([
      [2, [4]],
      [3, [3]],
      [4, [2]],
      [5, [10, 18, 26, 34]],
      [8, [10]],
      [28, [4]],
      [34, [2, 6, 8, 10, 12, 14, 16, 18]],
    ]);
    for (const [kind, lengths] of right) {
      for (let length = 2; length <= 37; length++) {
        const content = new Array<number>(length - 2).fill(1);
        const tail = kind === 3 ? MSS : WINDOW_SCALE;
        const ignored = found(read(tail));
        const reader = read([kind, length, ...content, ...tail]);
        if (lengths.includes(length))
          expect(found(reader), `kind ${kind} of ${length}`).to.not.deep.equal(ignored);
        else expect(found(reader), `kind ${kind} of ${length}`).to.deep.equal(ignored);
      }
    }
  });

  it('takes SACK only in lengths of 2+8n with n of 1 to 4 [SACK-15]', () => {
    for (let length = 2; length <= 40; length++) {
      const bytes = [5, length, ...new Array<number>(length - 2).fill(1)];
      const blocks = (length - 2) / 8;
      const valid = Number.isInteger(blocks) && blocks >= 1 && blocks <= 4;
      expect(read(bytes).sackCount, `${length} bytes`).to.equal(valid ? blocks : 0);
    }
  });

  it('of an option given twice takes the last [E4]', () => {
    const twice = [...MSS, ...WINDOW_SCALE, 2, 4, 2, 24, 3, 3, 1];
    expect(found(read(twice))).to.deep.equal({ ...NOTHING, mss: 536, windowScale: 1 });
    const sacks = [5, 18, 0, 0, 0, 1, 0, 0, 0, 2, 0, 0, 0, 3, 0, 0, 0, 4, 5, 10, 0, 0, 0, 7, 0, 0, 0, 9];
    expect(found(read(sacks))).to.deep.equal({ ...NOTHING, edges: [7, 9] });
    // A second one of a wrong length does not undo the first.
    expect(found(read([...MSS, 2, 3, 0]))).to.deep.equal({ ...NOTHING, mss: 1460 });
  });

  it('reads 40 bytes of options, none, and nothing but NOPs [E5]', () => {
    expect(found(read([]))).to.deep.equal(NOTHING);
    expect(found(read(new Array<number>(40).fill(NOP)))).to.deep.equal(NOTHING);
    const full = [
      ...MSS,
      ...SACK_PERMITTED,
      ...TIMESTAMPS,
      NOP,
      ...WINDOW_SCALE,
      34,
      18,
      ...new Array<number>(16).fill(7),
    ];
    expect(full).to.have.length(38);
    expect(found(read([...full, NOP, NOP]))).to.include({ mss: 1460, windowScale: 7, cookieBytes: 16 });
  });

  it('takes Fast Open requests and cookies of even lengths of 4 to 16 only [TFO-1]', () => {
    for (let length = 2; length <= 40; length++) {
      const cookie = length - 2;
      const valid = cookie === 0 || (cookie >= 4 && cookie <= 16 && cookie % 2 === 0);
      const reader = read([34, length, ...new Array<number>(cookie).fill(9)], 3);
      expect(reader.cookieBytes, `${cookie} bytes`).to.equal(valid ? cookie : -1);
      if (valid && cookie > 0) expect(reader.cookieAt).to.equal(3 + 2);
    }
  });

  it('reads a user timeout in seconds and in minutes, and a reserved zero as none [UTO-1]', () => {
    expect(read([28, 4, 0x00, 0x78]).userTimeoutS).to.equal(120);
    expect(read([28, 4, 0x80, 0x02]).userTimeoutS).to.equal(120);
    expect(read([28, 4, 0xff, 0xff]).userTimeoutS).to.equal(0x7fff * 60);
    expect(read([28, 4, 0x00, 0x00]).userTimeoutS).to.equal(0);
    expect(read([28, 4, 0x80, 0x00]).userTimeoutS).to.equal(0);
  });

  it('forgets one segment before it reads the next', () => {
    const reader = read([...MSS, ...WINDOW_SCALE, ...SACK_PERMITTED, ...TIMESTAMPS, 28, 4, 0, 9, 34, 2]);
    reader.parse(new DataView(new ArrayBuffer(4)), 0, 0);
    expect(found(reader)).to.deep.equal(NOTHING);
    expect(found(read([NOP, NOP, ...TIMESTAMPS]))).to.include({ mss: 0, hasTimestamps: true });
  });

  it('agrees with a naive reader about any bytes [E3, E4]', () => {
    const kinds = fc.constantFrom(0, 1, 1, 2, 3, 4, 5, 8, 28, 30, 34, 253);
    const lengths = fc.oneof(fc.constantFrom(0, 1, 2, 3, 4, 6, 10, 18, 26), fc.integer({ min: 0, max: 255 }));
    const option = fc
      .tuple(kinds, lengths, fc.uint8Array({ minLength: 0, maxLength: 12 }))
      .map(([kind, length, content]) => (kind < 2 ? [kind] : [kind, length, ...content]));
    const wellFormed = fc
      .tuple(kinds, fc.uint8Array({ minLength: 0, maxLength: 34 }))
      .map(([kind, content]) => (kind < 2 ? [kind] : [kind, content.length + 2, ...content]));
    const options = fc.array(fc.oneof(option, wellFormed), { maxLength: 8 });
    fc.assert(
      fc.property(options, fc.integer({ min: 0, max: 3 }), (list, lead) => {
        const bytes = list.flat().slice(0, 40);
        expect(found(read(bytes, lead))).to.deep.equal(naive(bytes));
      }),
      { numRuns: 3000 },
    );
  });
});

describe('writing TCP options', () => {
  it('offers them on a SYN in the order of Linux: MSS, SACK permitted, timestamps, NOP, window scale', () => {
    const view = new DataView(new ArrayBuffer(43));
    const syn: SynOptions = {
      mss: 1440,
      windowScale: 7,
      sackPermitted: true,
      timestamps: true,
      tsVal: 258,
      tsEcr: -1,
      ecnFlags: 0,
      ecnCounters: false,
    };
    expect(writeSynOptions(view, 3, syn)).to.equal(20);
    expect(Array.from(new Uint8Array(view.buffer, 3, 20))).to.deep.equal([
      2, 4, 5, 160, 4, 2, 8, 10, 0, 0, 1, 2, 255, 255, 255, 255, 1, 3, 3, 7,
    ]);
  });

  it('writes whole words that read back, padded before and not behind [MUST-69]', () => {
    const choice = fc.record({
      mss: fc.integer({ min: 1, max: 0xffff }),
      windowScale: fc.integer({ min: -1, max: 14 }),
      sackPermitted: fc.boolean(),
      timestamps: fc.boolean(),
      tsVal: fc.integer({ min: -0x8000_0000, max: 0x7fff_ffff }),
      tsEcr: fc.integer({ min: -0x8000_0000, max: 0x7fff_ffff }),
      ecnFlags: fc.constant(0),
      ecnCounters: fc.boolean(),
    });
    fc.assert(
      fc.property(choice, (syn) => {
        const view = new DataView(new Uint8Array(40).fill(0xee).buffer);
        const length = writeSynOptions(view, 0, syn);
        expect(length % 4).to.equal(0);
        const { mss, windowScale, sackPermitted, timestamps } = syn;
        const stamps = {
          hasTimestamps: timestamps,
          tsVal: timestamps ? syn.tsVal : 0,
          tsEcr: timestamps ? syn.tsEcr : 0,
        };
        const bytes = Array.from(new Uint8Array(view.buffer, 0, length));
        expect(found(read(bytes))).to.deep.equal({ ...NOTHING, mss, windowScale, sackPermitted, ...stamps });
        // No EOL: nothing stands behind one that would have to be zero.
        let at = 0;
        while (at < length) {
          expect(bytes[at], 'an option kind').to.not.equal(0);
          at += bytes[at] === NOP ? 1 : bytes[at + 1];
        }
        expect(at).to.equal(length);
      }),
    );
  });

  it('writes SACK edges in network order: the first byte of a block, and the byte after its last [SACK-3]', () => {
    const view = new DataView(new ArrayBuffer(40));
    const edges = Int32Array.of(0x0102_0304, 0x0506_0708, -2, 0x7fff_ffff, 1, 2, 3, 4);
    expect(writeSack(view, 0, edges, 2)).to.equal(20);
    expect(Array.from(new Uint8Array(view.buffer, 0, 20))).to.deep.equal([
      1, 1, 5, 18, 1, 2, 3, 4, 5, 6, 7, 8, 255, 255, 255, 254, 127, 255, 255, 255,
    ]);
    for (let blocks = 1; blocks <= 4; blocks++) {
      const length = writeSack(view, 0, edges, blocks);
      const reader = read(Array.from(new Uint8Array(view.buffer, 0, length)));
      expect(reader.sackCount).to.equal(blocks);
      expect(Array.from(reader.sackEdges.subarray(0, 2 * blocks))).to.deep.equal(
        Array.from(edges.subarray(0, 2 * blocks)),
      );
    }
  });

  it('writes timestamps behind two NOPs', () => {
    const view = new DataView(new ArrayBuffer(12));
    expect(writeTimestamps(view, 0, 0x0102_0304, -1)).to.equal(12);
    expect(Array.from(new Uint8Array(view.buffer))).to.deep.equal([
      1, 1, 8, 10, 1, 2, 3, 4, 255, 255, 255, 255,
    ]);
  });

  it('counts the SACK blocks that fit beside other options', () => {
    expect(sackBlocksThatFit(0)).to.equal(4);
    expect(sackBlocksThatFit(12)).to.equal(3);
    expect(sackBlocksThatFit(36)).to.equal(0);
    expect(sackBlocksThatFit(40)).to.equal(0);
  });
});
