import { expect } from 'chai';
import { PacketText, readPacket } from '../../../lib/cli/capture/packet-text.js';
import { SeededRandom } from '../../../lib/index.js';

const viewOf = (hex: string): DataView => {
  const bytes = Uint8Array.from(Buffer.from(hex.replaceAll(/\s/g, ''), 'hex'));
  return new DataView(bytes.buffer);
};

function textOf(hex: string, outgoing = true, text = new PacketText()): string {
  const view = viewOf(hex);
  const fields = readPacket(view);
  return fields === undefined ? 'none' : text.line(view, fields, outgoing);
}

const V4 = (protocol: string, total: string, fragment = '0000'): string =>
  `4500 ${total} 0000 ${fragment} 40${protocol} 0000 0a000001 0a000002`;
const V6 = (next: string, payload: string): string =>
  `60000000 ${payload} ${next}40 fd000000000000000000000000000001 fd000000000000000000000000000002`;
const SYN = '1388 0050 00000064 00000000 5002 ffff 0000 0000';

describe('packets as text', () => {
  it('segments have numbers relative to their connection, anew from each SYN', () => {
    const text = new PacketText();
    const ack = '1388 0050 00000065 00000000 5010 ffff 0000 0000';
    expect(textOf(V4('06', '0028') + SYN, true, text)).to.equal(
      'IP 10.0.0.1.5000 > 10.0.0.2.80: S 0:0(0) win 65535',
    );
    expect(textOf(V4('06', '0028') + ack, true, text)).to.match(/: \. 1:1\(0\) ack 0 win 65535$/);
    const again = '1388 0050 00001000 00000000 5002 ffff 0000 0000';
    expect(textOf(V4('06', '0028') + again, true, text)).to.match(/: S 0:0\(0\) win 65535$/);
  });

  it('datagrams, ICMP of both families, and what is behind extension headers', () => {
    expect(textOf(`${V4('11', '0020')} 0035 1388 000c 0000 00000000`)).to.equal(
      'IP 10.0.0.1.53 > 10.0.0.2.5000: UDP, length 4',
    );
    expect(textOf(`${V4('01', '001c')} 0800 0000 0007 0001`)).to.match(
      /: ICMP echo request, id 7, seq 1, length 8$/,
    );
    expect(textOf(`${V4('01', '001c')} 0304 0000 0000 0578`)).to.match(
      /: ICMP unreachable \(need to fragment, mtu 1400\), length 8$/,
    );
    expect(textOf(`${V6('3a', '0008')} 8100 0000 0007 0001`)).to.equal(
      'IP6 fd00::1 > fd00::2: ICMP6 echo reply, id 7, seq 1, length 8',
    );
    expect(textOf(`${V6('00', '0010')} 3a00 0502 0000 0000 0200 0000 0000 0500`)).to.match(
      /: ICMP6 packet too big, mtu 1280, length 8$/,
    );
    expect(textOf(`${V4('59', '0018')} 00000000`)).to.match(/: protocol 89, length 4$/);
  });

  it('fragments', () => {
    expect(textOf(`${V4('11', '001c', '2000')} 0035 1388 0100 0000`)).to.match(
      /UDP, length 0, first fragment$/,
    );
    expect(textOf(`${V4('11', '001c', '0010')} 0000 0000 0000 0000`)).to.equal(
      'IP 10.0.0.1 > 10.0.0.2: fragment of protocol 17, 128:136',
    );
    expect(textOf(`${V6('2c', '0010')} 1100 0088 00000001 0000 0000 0000 0000`)).to.match(
      /: fragment of protocol 17, 136:144$/,
    );
  });

  it('bytes that are no packet, or break off, are no mistake of ours', () => {
    const random = new SeededRandom(1);
    const text = new PacketText();
    for (let i = 0; i < 20_000; i++) {
      const bytes = new Uint8Array(random.uint32() % 80);
      for (let at = 0; at < bytes.length; at++) bytes[at] = random.uint32();
      if (bytes.length > 0) bytes[0] = i % 3 === 0 ? 0x60 : i % 3 === 1 ? 0x45 : bytes[0];
      // Protocols whose headers are looked into.
      if (bytes.length > 9) bytes[i % 3 === 0 ? 6 : 9] = [6, 17, 1, 58, 44, 0, 43, 51][i % 8];
      const view = new DataView(bytes.buffer);
      const fields = readPacket(view);
      if (fields !== undefined) expect(text.line(view, fields, i % 2 === 0)).to.be.a('string');
    }
  });
});
