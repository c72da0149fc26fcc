import { expect } from 'chai';
import fc from 'fast-check';
import { seq } from '../../../lib/base/seq.js';
import {
  flagsAndWindow,
  formatTcpFlags,
  TcpFlag,
  TcpHeader,
  writeTcpControl,
  writeTcpNumbers,
  writeTcpPorts,
  writeUrgentPointer,
} from '../../../lib/wire/tcp.js';

/** A segment with 20 bytes of header and `extra` bytes behind it, at an odd offset. */
function segmentView(extra = 0): { view: DataView; at: number; length: number } {
  return { view: new DataView(new ArrayBuffer(3 + 20 + extra)), at: 3, length: 20 + extra };
}

const word32 = fc.integer({ min: 0, max: 0xffff_ffff });
const word16 = fc.integer({ min: 0, max: 0xffff });

describe('the TCP header', () => {
  it('reads back every field it writes, at any offset', () => {
    const header = new TcpHeader();
    const fields = fc.record({
      source: word16,
      destination: word16,
      sequence: word32,
      ack: word32,
      flags: fc.integer({ min: 0, max: 0x1ff }),
      window: word16,
      urgent: word16,
      words: fc.integer({ min: 5, max: 15 }),
      at: fc.integer({ min: 0, max: 9 }),
      text: fc.integer({ min: 0, max: 30 }),
    });
    fc.assert(
      fc.property(fields, (f) => {
        const length = f.words * 4 + f.text;
        const view = new DataView(new ArrayBuffer(f.at + length));
        writeTcpPorts(view, f.at, f.source, f.destination);
        writeTcpNumbers(view, f.at, seq(f.sequence), seq(f.ack));
        writeTcpControl(view, f.at, f.words * 4, flagsAndWindow(f.flags, f.window));
        writeUrgentPointer(view, f.at, f.urgent);
        expect(header.parse(view, f.at, length)).to.equal(true);
        expect(header.sourcePort).to.equal(f.source);
        expect(header.destinationPort).to.equal(f.destination);
        expect(header.sequence >>> 0).to.equal(f.sequence);
        expect(header.acknowledgment >>> 0).to.equal(f.ack);
        expect(header.flags).to.equal(f.flags);
        expect(header.window).to.equal(f.window);
        expect(header.urgentPointer).to.equal(f.urgent);
        expect(header.checksum).to.equal(0);
        expect(header.headerBytes).to.equal(f.words * 4);
        expect(header.optionsAt).to.equal(f.at + 20);
        expect(header.optionsBytes).to.equal(f.words * 4 - 20);
        expect(header.payloadAt).to.equal(f.at + f.words * 4);
        expect(header.payloadBytes).to.equal(f.text);
      }),
    );
  });

  it('lies where RFC 9293 §3.1 puts each field', () => {
    const view = new DataView(new ArrayBuffer(20));
    writeTcpPorts(view, 0, 0x0102, 0x0304);
    writeTcpNumbers(view, 0, seq(0x0506_0708), seq(0x090a_0b0c));
    writeTcpControl(view, 0, 20, flagsAndWindow(TcpFlag.URG | TcpFlag.ACK | TcpFlag.FIN, 0x0e0f));
    writeUrgentPointer(view, 0, 0x1213);
    const hex = Array.from(new Uint8Array(view.buffer), (byte) => byte.toString(16).padStart(2, '0')).join(
      '',
    );
    expect(hex).to.equal('0102030405060708090a0b0c50310e0f00001213');
  });

  it('reads a window of 0x8000 and more as a large one', () => {
    const { view, at, length } = segmentView();
    const header = new TcpHeader();
    for (const window of [0x7fff, 0x8000, 0xffff]) {
      writeTcpControl(view, at, 20, flagsAndWindow(TcpFlag.ACK, window));
      header.parse(view, at, length);
      expect(header.window).to.equal(window);
    }
  });

  it('ignores the three reserved bits it receives and leaves them zero in what it writes [FSM-41]', () => {
    const { view, at, length } = segmentView();
    const header = new TcpHeader();
    for (let flags = 0; flags <= 0x1ff; flags++) {
      writeTcpControl(view, at, 20, flagsAndWindow(flags, 0xffff));
      expect(view.getUint8(at + 12) & 0x0e, 'reserved bits as written').to.equal(0);
      for (let reserved = 0; reserved < 8; reserved++) {
        view.setUint8(at + 12, (view.getUint8(at + 12) & 0xf1) | (reserved << 1));
        expect(header.parse(view, at, length)).to.equal(true);
        expect(header.flags).to.equal(flags);
        expect(header.headerBytes).to.equal(20);
      }
    }
  });

  it('refuses a data offset below 5 or beyond the segment, and anything shorter than a header', () => {
    const header = new TcpHeader();
    for (let length = 0; length <= 70; length++) {
      for (let words = 0; words <= 15; words++) {
        const view = new DataView(new ArrayBuffer(length));
        if (length > 12) view.setUint8(12, words << 4);
        const holds = length >= 20 && words >= 5 && words * 4 <= length;
        expect(header.parse(view, 0, length), `${words} words in ${length} bytes`).to.equal(holds);
      }
    }
  });

  it('stays where it was aimed when it refuses', () => {
    const { view, at, length } = segmentView();
    writeTcpPorts(view, at, 7, 9);
    writeTcpControl(view, at, 20, flagsAndWindow(TcpFlag.ACK, 1));
    const header = new TcpHeader();
    header.parse(view, at, length);
    expect(header.parse(new DataView(new ArrayBuffer(20)), 0, 20)).to.equal(false);
    expect([header.sourcePort, header.destinationPort]).to.deep.equal([7, 9]);
  });

  it('prints flags as packetdrill and tcpdump do', () => {
    expect(formatTcpFlags(TcpFlag.SYN | TcpFlag.ACK)).to.equal('S.');
    expect(formatTcpFlags(TcpFlag.FIN | TcpFlag.PSH | TcpFlag.ACK)).to.equal('FP.');
    expect(formatTcpFlags(TcpFlag.SYN | TcpFlag.ECE | TcpFlag.CWR | TcpFlag.AE)).to.equal('SEWA');
    expect(formatTcpFlags(0)).to.equal('');
    expect(formatTcpFlags(0x1ff)).to.have.length(9);
  });
});
