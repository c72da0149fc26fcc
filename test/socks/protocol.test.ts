/** What is said to a proxy, and what is made of its answers, however they are cut. */
import { expect } from 'chai';
import { randomBelow } from '../../lib/base/random.js';
import { SeededRandom } from '../../lib/sim/seeded-random.js';
import { truncated, udpPayloadBytes } from '../../lib/socks/dns-size.js';
import {
  decodeDatagram,
  encodeDatagram,
  SocksCommand,
  SocksHandshake,
  type SocksPlace,
} from '../../lib/socks/protocol.js';
import { IpAddress } from '../../lib/wire/ip-address.js';

const hex = (bytes: Uint8Array): string => Buffer.from(bytes).toString('hex');
const bytes = (text: string): Uint8Array => Uint8Array.from(Buffer.from(text.replaceAll(' ', ''), 'hex'));
const connectTo = (host: string, port = 80, user?: readonly [string, string]): SocksHandshake =>
  new SocksHandshake(
    SocksCommand.Connect,
    { host, port },
    user === undefined ? undefined : { username: user[0], password: user[1] },
  );

describe('SOCKS handshake', () => {
  const requests: [host: string, port: number, request: string][] = [
    ['192.0.2.1', 443, '05010001 c0000201 01bb'],
    ['2001:db8::1', 53, '05010004 20010db8000000000000000000000001 0035'],
    ['a.example', 80, '05010003 09 612e6578616d706c65 0050'],
  ];
  for (const [host, port, request] of requests) {
    it(`asks for ${host} (RFC 1928 §4)`, () => {
      const handshake = connectTo(host, port);
      expect(hex(handshake.greeting())).to.equal('050100');
      expect(hex(handshake.push(bytes('0500')))).to.equal(hex(bytes(request)));
      expect(handshake.outcome).to.equal(undefined);
    });
  }

  it('gives name and password (RFC 1929 §2)', () => {
    const handshake = connectTo('192.0.2.1', 80, ['anna', 'p']);
    expect(hex(handshake.greeting())).to.equal('05020002');
    expect(hex(handshake.push(bytes('0502')))).to.equal('0104616e6e610170');
    expect(hex(handshake.push(bytes('0100')))).to.equal('05010001c00002010050');
  });

  it('asks nothing of a proxy that wants no password though there is one', () => {
    const handshake = connectTo('192.0.2.1', 80, ['anna', 'p']);
    expect(hex(handshake.push(bytes('0500')))).to.equal('05010001c00002010050');
  });

  const replies: [name: string, reply: string, bound: SocksPlace][] = [
    ['an IPv4 address', '05000001 7f000001 1f90', { host: '127.0.0.1', port: 8080 }],
    ['an IPv6 address', '05000004 00000000000000000000000000000001 1f90', { host: '::1', port: 8080 }],
    ['a name', '05000003 09 6c6f63616c686f7374 1f90', { host: 'localhost', port: 8080 }],
  ];
  for (const [name, reply, bound] of replies) {
    it(`is ready once the proxy is bound to ${name}, wherever its answers are cut`, () => {
      const whole = Uint8Array.from([...bytes('0500'), ...bytes(reply), 1, 2, 3]);
      for (let cut = 0; cut <= whole.length; cut++) {
        for (let next = cut; next <= whole.length; next++) {
          const handshake = connectTo('192.0.2.1');
          const sent: number[] = [];
          const excess: number[] = [];
          for (const piece of [whole.subarray(0, cut), whole.subarray(cut, next), whole.subarray(next)]) {
            // Once it is over, what comes is no longer its business.
            if (handshake.outcome !== undefined) excess.push(...piece);
            else {
              sent.push(...handshake.push(piece));
              excess.push(...handshake.excess);
            }
          }
          expect(handshake.outcome, `${cut} ${next}`).to.equal('ready');
          expect(handshake.bound).to.deep.equal(bound);
          expect(hex(Uint8Array.from(sent))).to.equal('05010001c00002010050');
          expect(excess).to.deep.equal([1, 2, 3]);
        }
      }
    });
  }

  const ends: [name: string, answers: string, outcome: string, reply: number][] = [
    ['a refusal', '0500 05050001 00000000 0000', 'refused', 5],
    ['a refusal of two bytes', '0500 0502', 'refused', 2],
    ['version 4', '0400', 'malformed', 0],
    ['a method that was not offered', '0501', 'malformed', 0],
    ['no method', '05ff', 'unauthorized', 0],
    ['a password that was not offered', '0502', 'malformed', 0],
    ['a reply of version 4', '0500 04000001 00000000 0000', 'malformed', 0],
    ['an address of no type', '0500 05000002 00000000 0000', 'malformed', 0],
  ];
  for (const [name, answers, outcome, reply] of ends) {
    it(`ends with ${outcome} at ${name}`, () => {
      const handshake = connectTo('192.0.2.1');
      for (const byte of bytes(answers)) handshake.push(Uint8Array.of(byte));
      expect(handshake.outcome).to.equal(outcome);
      expect(handshake.reply).to.equal(reply);
    });
  }

  it('ends where user or password is not taken', () => {
    const handshake = connectTo('192.0.2.1', 80, ['anna', 'p']);
    handshake.push(bytes('0502'));
    handshake.push(bytes('0101'));
    expect(handshake.outcome).to.equal('unauthorized');
  });

  it('refuses what cannot be said', () => {
    expect(() => connectTo('')).to.throw(RangeError);
    expect(() => connectTo('a'.repeat(256))).to.throw(RangeError);
    expect(() => connectTo('a', 80, ['', 'p'])).to.throw(RangeError);
    expect(() => connectTo('a', 80, ['ä'.repeat(128), 'p'])).to.throw(RangeError);
    expect(() => connectTo('a', 80, [5 as unknown as string, 'p'])).to.throw(TypeError);
  });

  it('throws at nothing a proxy says, and ends or waits', () => {
    const random = new SeededRandom(7);
    for (let run = 0; run < 20_000; run++) {
      const handshake = connectTo('192.0.2.1', 80, run % 2 === 0 ? ['u', 'p'] : undefined);
      for (let i = 0; i < 6 && handshake.outcome === undefined; i++) {
        const length = randomBelow(random, 20);
        const chunk = Uint8Array.from({ length }, (_, at) =>
          at < 2 && randomBelow(random, 4) > 0
            ? [5, 0, 2, 1][randomBelow(random, 4)]
            : randomBelow(random, 256),
        );
        handshake.push(chunk);
      }
    }
  });
});

describe('SOCKS datagrams (RFC 1928 §7)', () => {
  for (const [address, header] of [
    ['192.0.2.1', '000000 01 c0000201 0035'],
    ['2001:db8::1', '000000 04 20010db8000000000000000000000001 0035'],
  ]) {
    it(`carry what is for ${address}, and bring what is from there`, () => {
      const datagram = encodeDatagram(IpAddress.parse(address), 53, Uint8Array.of(1, 2, 3));
      expect(hex(datagram)).to.equal(hex(bytes(`${header}010203`)));
      const read = decodeDatagram(datagram);
      expect(String(read?.address)).to.equal(address);
      expect(read?.port).to.equal(53);
      expect(read?.data).to.deep.equal(Uint8Array.of(1, 2, 3));
      for (let length = 0; length < datagram.length - 3; length++) {
        expect(decodeDatagram(datagram.subarray(0, length)), `${length} bytes`).to.equal(undefined);
      }
    });
  }

  it('are dropped where they are fragments, or from a name', () => {
    expect(decodeDatagram(bytes('000001 01 c0000201 0035 00'))).to.equal(undefined);
    expect(decodeDatagram(bytes('000000 03 02 6162 0035 0000000000'))).to.equal(undefined);
  });
});

describe('DNS over UDP: sizes', () => {
  const header = '1234 0100 0001 0000 0000';
  const question = '01 61 00 0001 0001';
  it('are 512 bytes for who says nothing, and what an OPT record says (RFC 6891 §6.2.3)', () => {
    expect(udpPayloadBytes(bytes(`${header} 0000 ${question}`))).to.equal(512);
    expect(udpPayloadBytes(bytes(`${header} 0001 ${question} 00 0029 04d0 00000000 0000`))).to.equal(1232);
    expect(udpPayloadBytes(bytes(`${header} 0001 ${question} 00 0029 0100 00000000 0000`))).to.equal(512);
    expect(udpPayloadBytes(bytes(`${header} 0001 ${question} 00 0029 ffff 00000000 0000`))).to.equal(65_507);
    const behind = `c00c 0001 0001 00000000 0004 01020304 00 0029 04d0 00000000 0000`;
    expect(udpPayloadBytes(bytes(`${header} 0002 ${question} ${behind}`))).to.equal(1232);
    for (const broken of ['00 0029', 'c0', '3f61', '00 0029 04d0 00000000 ffff'])
      expect(() => udpPayloadBytes(bytes(`${header} 0002 ${question} ${broken}`)), broken).not.to.throw();
  });

  it('leave an OPT record that fits, behind whatever else there is (RFC 6891 §7)', () => {
    const record = 'c00c 0001 0001 00000000 0004 01020304';
    const answer = (dataBytes: number): Uint8Array => {
      const opt = `00 0029 04d0 00000000 ${dataBytes.toString(16).padStart(4, '0')} ${'aa'.repeat(dataBytes)}`;
      return bytes(`1234 8180 0001 0001 0001 0002 ${question} ${record} ${record} ${opt} ${record}`);
    };
    const opt = '00 0029 04d0 00000000 0002 aaaa';
    expect(hex(truncated(answer(2), 512))).to.equal(
      hex(bytes(`1234 8380 0001 0000 0000 0001 ${question} ${opt}`)),
    );
    const most = 512 - 12 - bytes(question).length - 11;
    expect(truncated(answer(most), 512)).to.have.lengthOf(512);
    expect(hex(truncated(answer(most + 1), 512))).to.equal(
      hex(bytes(`1234 8380 0001 0000 0000 0000 ${question}`)),
    );
    // One that is cut off is none.
    expect(truncated(answer(2).subarray(0, -17), 512)).to.have.lengthOf(12 + bytes(question).length);
  });

  it('leave the question, and that there is more (RFC 2181 §9)', () => {
    const answer = bytes(`1234 8180 0001 0002 0000 0001 ${question} c00c 0001`);
    expect(hex(truncated(answer, 512))).to.equal(hex(bytes(`1234 8380 0001 0000 0000 0000 ${question}`)));
    expect(hex(truncated(bytes('1234 8180 0002 0001 0000 0000 ff'), 512))).to.equal(
      hex(bytes('1234 8380 0000 0000 0000 0000')),
    );
  });
});
