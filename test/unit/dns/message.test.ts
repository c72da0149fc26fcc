/** Messages and names: what is written, what is read, and that nothing anybody sends can make us throw. */
import { expect } from 'chai';
import dnsPacket, { type Answer } from 'dns-packet';
import fc from 'fast-check';
import { readAnswer } from '../../../lib/dns/answer.js';
import '../../../lib/dns/node-host.js';
import {
  type DnsMessage,
  encodeQuery,
  type Question,
  RECORD_TYPES,
  readReply,
} from '../../../lib/dns/message.js';
import { askableName, readName, reverseName } from '../../../lib/dns/names.js';
import { codeOfAnswer, shapeOf } from '../../../lib/dns/records.js';
import { IpAddress } from '../../../lib/wire/ip-address.js';

const QUESTION: Question = { name: 'a.test', type: 'A' };
const query = encodeQuery(QUESTION, 0x1234, 1232);

const encode = (answers: Answer[], more: Partial<dnsPacket.Packet> = {}): Uint8Array =>
  dnsPacket.encode({
    type: 'response',
    id: 0x1234,
    questions: [{ type: 'A', name: 'a.test' }],
    answers,
    ...more,
  });

const SAMPLES: readonly Answer[] = [
  { type: 'A', name: 'a.test', ttl: 5, data: '10.0.0.1' },
  { type: 'AAAA', name: 'a.test', ttl: 5, data: 'fd00::1' },
  { type: 'CNAME', name: 'a.test', ttl: 5, data: 'b.test' },
  { type: 'MX', name: 'a.test', ttl: 5, data: { preference: 1, exchange: 'm.test' } },
  { type: 'TXT', name: 'a.test', ttl: 5, data: ['x', 'yz'] },
  { type: 'SRV', name: 'a.test', ttl: 5, data: { port: 1, target: 't.test', priority: 1, weight: 1 } },
  {
    type: 'SOA',
    name: 'a.test',
    ttl: 5,
    data: { mname: 'n.test', rname: 'r.test', serial: 1, refresh: 1, retry: 1, expire: 1, minimum: 1 },
  },
  {
    type: 'NAPTR',
    name: 'a.test',
    ttl: 5,
    data: { order: 1, preference: 1, flags: 's', services: 'x', regexp: '', replacement: 'r.test' },
  },
  { type: 'CAA', name: 'a.test', ttl: 5, data: { flags: 0, tag: 'issue', value: 'ca.test' } },
  {
    type: 'TLSA',
    name: 'a.test',
    ttl: 5,
    data: { usage: 3, selector: 1, matchingType: 1, certificate: Buffer.from('abcd', 'hex') },
  },
  { type: 'PTR', name: 'a.test', ttl: 5, data: 'p.test' },
  { type: 'NS', name: 'a.test', ttl: 5, data: 'n.test' },
];

/** Reads and gives out all that can be given out. */
function digest(bytes: Uint8Array): void {
  const message = readReply(query, bytes);
  if (typeof message === 'string') return;
  for (const type of RECORD_TYPES) {
    const answer = readAnswer({ name: 'a.test', type }, message);
    if (answer === 'loop' || 'target' in answer) continue;
    if (codeOfAnswer(type, answer) === '') shapeOf(type, answer, true);
  }
}

describe('dns messages', () => {
  it('asks with recursion, one question and an OPT record', () => {
    const read = dnsPacket.decode(Buffer.from(query));
    expect(read).to.include({ id: 0x1234, type: 'query', flag_rd: true });
    expect(read.questions).to.deep.equal([{ name: 'a.test', type: 'A', class: 'IN' }]);
    expect(read.additionals?.[0]).to.include({ type: 'OPT', udpPayloadSize: 1232 });
    const plain = dnsPacket.decode(Buffer.from(encodeQuery({ name: '', type: 'ANY' }, 1, 0)));
    expect(plain.questions).to.deep.equal([{ name: '.', type: 'ANY', class: 'IN' }]);
    expect(plain.additionals).to.deep.equal([]);
  });

  it('reads every type of record', () => {
    const message = readReply(query, encode([...SAMPLES])) as DnsMessage;
    expect(message.answers.map(({ type }) => type)).to.deep.equal(SAMPLES.map(({ type }) => type));
    const certificate = { certUsage: 3, selector: 1, match: 1, data: Uint8Array.of(0xab, 0xcd).buffer };
    const tlsa = readAnswer(
      { name: 'a.test', type: 'TLSA' },
      readReply(query, encode([SAMPLES[9]])) as DnsMessage,
    );
    expect(shapeOf('TLSA', tlsa as never, false)).to.deep.equal([certificate]);
  });

  it('puts the upper bits of a code from EDNS before the others (RFC 6891 §6.1.3)', () => {
    const additionals = [
      { type: 'OPT', name: '.', udpPayloadSize: 512, extendedRcode: 1, flags: 0 },
    ] as never;
    expect(readReply(query, encode([], { additionals }))).to.include({ rcode: 16, hasOpt: true });
  });

  it('leaves out records of other classes, and does not mind bytes behind the last', () => {
    const chaos: Answer = { type: 'A', name: 'a.test', class: 'CH', ttl: 5, data: '10.0.0.1' };
    const bytes = Buffer.concat([encode([chaos, SAMPLES[0]]), Buffer.from('rest')]);
    expect((readReply(query, bytes) as DnsMessage).answers).to.have.length(1);
  });

  it('never throws, whatever is changed in an answer, and wherever it ends', () => {
    const whole = Buffer.from(encode([...SAMPLES], { authorities: [SAMPLES[6]] }));
    for (let end = 0; end < whole.length; end++) digest(whole.subarray(0, end));
    const change = fc.record({ at: fc.nat(whole.length - 1), value: fc.nat(255) });
    fc.assert(
      fc.property(fc.array(change, { minLength: 1, maxLength: 8 }), (changes) => {
        const bytes = Buffer.from(whole);
        for (const { at, value } of changes) if (at >= 4) bytes[at] = value;
        digest(bytes);
      }),
      { numRuns: 3000 },
    );
  });

  it('never throws at any bytes behind a good question', () => {
    const head = Buffer.from(encode([]));
    fc.assert(
      fc.property(fc.uint8Array({ maxLength: 200 }), fc.nat(5), fc.nat(5), (rest, answers, authorities) => {
        const bytes = Buffer.concat([head, rest]);
        bytes.writeUInt16BE(answers, 6);
        bytes.writeUInt16BE(authorities, 8);
        digest(bytes);
      }),
      { numRuns: 3000 },
    );
  });
});

describe('dns names', () => {
  const read = (...bytes: number[]) => readName(Uint8Array.from(bytes), 0);

  it('shows what is not printable and what would confuse with a backslash (RFC 1035 §5.1)', () => {
    expect(read(3, 0x61, 0x2e, 0x62, 2, 0xc3, 0xa9, 1, 0x20, 0)?.text).to.equal('a\\.b.\\195\\169. ');
    expect(read(0)).to.deep.equal({ text: '', end: 1 });
  });

  it('refuses pointers forward and in circles, labels too long and names without end', () => {
    expect(read(0xc0, 0)).to.equal(undefined);
    expect(read(0xc0, 2, 0)).to.equal(undefined);
    expect(read(64, 0)).to.equal(undefined);
    expect(read(3, 0x61)).to.equal(undefined);
    expect(read(0xc0)).to.equal(undefined);
    const long = Array.from({ length: 5 }, () => [60, ...new Array<number>(60).fill(0x61)]).flat();
    expect(read(...long, 0)).to.equal(undefined);
    // 1 → 0 is backwards, and what stands at 0 leads to 1 again.
    expect(readName(Uint8Array.of(1, 0x61, 0xc0, 0), 0)).to.equal(undefined);
  });

  it('tells what can be asked for', () => {
    expect(askableName('a.test.')).to.equal('a.test');
    expect(askableName('')).to.equal('');
    expect(askableName('.')).to.equal('');
    expect(askableName('bücher.example')).to.equal('xn--bcher-kva.example');
    for (const name of [
      'a..b',
      '.a',
      'a b',
      `${'x'.repeat(64)}.test`,
      `${'x'.repeat(60)}.`.repeat(5),
      'a:b',
    ]) {
      expect(askableName(name), name).to.equal(undefined);
    }
  });

  it('names addresses', () => {
    expect(reverseName(IpAddress.parse('10.1.2.3'))).to.equal('3.2.1.10.in-addr.arpa');
    expect(reverseName(IpAddress.parse('2001:db8::1'))).to.equal(
      `1.${'0.'.repeat(23)}8.b.d.0.1.0.0.2.ip6.arpa`,
    );
  });
});
