/** What tests of buffers share. */
import fc from 'fast-check';
import { type Seq, seq } from '../../../lib/base/seq.js';

const AROUND = [0, 0x7fff_ffff, 0x8000_0000, 0xffff_ffff];

/** Where streams begin: at every place where arithmetic may wrap, and elsewhere. */
export const starts: fc.Arbitrary<Seq> = fc
  .oneof(
    fc
      .tuple(fc.constantFrom(...AROUND), fc.integer({ min: -9000, max: 9000 }))
      .map(([near, off]) => near + off),
    fc.integer({ min: 0, max: 0xffff_ffff }),
  )
  .map((value) => seq(value));

/** The same memory, as packets are seen. */
export const viewOf = (bytes: Uint8Array): DataView =>
  new DataView(bytes.buffer, bytes.byteOffset, bytes.length);
