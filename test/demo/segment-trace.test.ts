import { expect } from 'chai';
import { SegmentTrace } from '../../lib/cli/demo/segment-trace.js';
import { parseSegmentLine, writeSegmentLine } from '../../lib/wire/segment-text.js';

const PORT = 7000;

/** An IP packet around the segment a line describes; `>` goes to the port. */
function packet(line: string, version: 4 | 6): Uint8Array {
  const outgoing = line.startsWith('>');
  const segment = parseSegmentLine(line.slice(2));
  const at = version === 4 ? 24 : 40; // IPv4 with an option
  const bytes = new Uint8Array(at + 60 + segment.textBytes);
  const view = new DataView(bytes.buffer);
  if (version === 4) {
    bytes[0] = 0x46;
    bytes[9] = 6;
  } else {
    bytes[0] = 0x60;
    bytes[6] = 6;
  }
  const headerBytes = writeSegmentLine(segment, view, at);
  view.setUint16(at, outgoing ? 50_000 : PORT);
  view.setUint16(at + 2, outgoing ? PORT : 50_000);
  return bytes.subarray(0, at + headerBytes + segment.textBytes);
}

function traced(lines: readonly string[], version: 4 | 6 = 4): SegmentTrace {
  const trace = new SegmentTrace(PORT);
  for (const [i, line] of lines.entries())
    trace.add(packet(line, version), line.startsWith('>'), BigInt(i) * 1500n);
  return trace;
}

const states = (trace: SegmentTrace): string[] => trace.rows.map(({ ours, theirs }) => `${ours} ${theirs}`);

describe('demo: segment trace', () => {
  const whole = [
    '> S 5000:5000(0) win 100 <mss 1460,nop,wscale 7>',
    '< S. 9000:9000(0) ack 5001 win 100',
    '> . 5001:5001(0) ack 9001 win 100',
    '< P. 9001:9011(10) ack 5001 win 100',
    '< F. 9011:9011(0) ack 5001 win 100',
    '> . 5001:5001(0) ack 9012 win 100',
    '> F. 5001:5001(0) ack 9012 win 100',
    '< . 9012:9012(0) ack 5002 win 100',
  ];

  for (const version of [4, 6] as const) {
    it(`follows both sides from SYN to the last ACK, numbers relative, in IPv${version}`, () => {
      const trace = traced(whole, version);
      expect(states(trace)).to.deep.equal([
        'SYN-SENT SYN-RECEIVED',
        'ESTABLISHED SYN-RECEIVED',
        'ESTABLISHED ESTABLISHED',
        'ESTABLISHED ESTABLISHED',
        'CLOSE-WAIT FIN-WAIT-1',
        'CLOSE-WAIT FIN-WAIT-2',
        'LAST-ACK TIME-WAIT',
        'CLOSED TIME-WAIT',
      ]);
      expect(trace.rows[3]).to.deep.include({ segment: 'P. 1:11(10) ack 1 win 100', deltaUs: 1.5 });
      expect(trace.rows[0].options).to.deep.equal(['mss 1460', 'nop', 'wscale 7']);
      expect(trace.isOver).to.equal(true);
    });
  }

  it('knows three segments that close, and a reset', () => {
    const open = whole.slice(0, 3);
    const three = [
      '< F. 9001:9001(0) ack 5001 win 9',
      '> F. 5001:5001(0) ack 9002 win 9',
      '< . 9002:9002(0) ack 5002 win 9',
    ];
    expect(states(traced([...open, ...three])).slice(3)).to.deep.equal([
      'CLOSE-WAIT FIN-WAIT-1',
      'LAST-ACK TIME-WAIT',
      'CLOSED TIME-WAIT',
    ]);
    const reset = traced([...open, '< R. 9001:9001(0) ack 5001 win 0']);
    expect(states(reset)[3]).to.equal('CLOSED CLOSED');
    expect(reset.isOver).to.equal(true);
  });

  it('passes over other connections and what is no segment', () => {
    const trace = new SegmentTrace(7001);
    for (const bytes of [packet(whole[0], 4), new Uint8Array(3), new Uint8Array(60).fill(0x45)]) {
      trace.add(bytes, true, 0n);
    }
    expect(trace.rows).to.deep.equal([]);
    expect(trace.isOver).to.equal(false);
  });
});
