/** The codec for pages next to `dns-packet`, and a resolver that has nothing else. */
import { expect } from 'chai';
import dnsPacket, { type Answer } from 'dns-packet';
import fc from 'fast-check';
import { dnsHost } from '../../../lib/dns/host.js';
import { RECORD_TYPES } from '../../../lib/dns/message.js';
import '../../../lib/dns/node-host.js';
import { plainCodec } from '../../../lib/dns/plain-codec.js';
import { IpAddress } from '../../../lib/wire/ip-address.js';

const node = dnsHost().codec;

const name = fc
  .array(fc.stringMatching(/^[a-z0-9_-]{1,20}$/), { minLength: 1, maxLength: 5 })
  .map((labels) => labels.join('.'));
const ttl = fc.nat(86_400);
const word = fc.nat(0xffff);

const record: fc.Arbitrary<Answer> = fc.oneof(
  fc.record({ type: fc.constant('A' as const), name, ttl, data: fc.ipV4() }),
  fc.record({
    type: fc.constant('AAAA' as const),
    name,
    ttl,
    data: fc
      .array(word, { minLength: 8, maxLength: 8 })
      .map((words) => words.map((w) => w.toString(16)).join(':')),
  }),
  fc.record({ type: fc.constant('CNAME' as const), name, ttl, data: name }),
  fc.record({
    type: fc.constant('SOA' as const),
    name,
    ttl,
    data: fc.record({
      mname: name,
      rname: name,
      serial: word,
      refresh: word,
      retry: word,
      expire: word,
      minimum: word,
    }),
  }),
  fc.record({ type: fc.constant('TXT' as const), name, ttl, data: fc.string({ maxLength: 30 }) }),
  fc.record({
    type: fc.constant('MX' as const),
    name,
    ttl,
    data: fc.record({ preference: word, exchange: name }),
  }),
);

/** What both must agree on: names are read elsewhere, and of a zone only how long nothing is there. */
function essence({ type, data }: { type: string; data: unknown }): unknown {
  if (type === 'A') return data;
  if (type === 'AAAA') return String(IpAddress.parse(String(data)));
  if (type === 'SOA') return (data as { minimum: number }).minimum;
  return type === 'CNAME' || type === 'OPT' ? type : '';
}

describe('the DNS codec for pages', () => {
  it('writes the same queries as dns-packet, byte for byte', () => {
    fc.assert(
      fc.property(name, fc.constantFrom(...RECORD_TYPES), word, fc.constantFrom(0, 512, 1232), (...given) => {
        const [asked, type, id, udpPayloadBytes] = given;
        const question = { name: asked, type };
        const theirs = Uint8Array.from(node.encode(question, id, udpPayloadBytes));
        expect(plainCodec.encode(question, id, udpPayloadBytes)).to.deep.equal(theirs);
      }),
    );
    expect(plainCodec.encode({ name: '', type: 'NS' }, 1, 0)).to.deep.equal(
      Uint8Array.from(node.encode({ name: '', type: 'NS' }, 1, 0)),
    );
  });

  it('reads of answers what dns-packet reads, as far as addresses need it', () => {
    fc.assert(
      fc.property(
        fc.array(record, { maxLength: 4 }),
        fc.array(record, { maxLength: 2 }),
        fc.boolean(),
        (answers, authorities, hasOpt) => {
          const message = dnsPacket.encode({
            type: 'response',
            questions: [{ type: 'A', name: 'a.test' }],
            answers,
            authorities,
            additionals: hasOpt
              ? [
                  {
                    type: 'OPT',
                    name: '.',
                    udpPayloadSize: 1232,
                    extendedRcode: 0,
                    ednsVersion: 0,
                    flags: 0,
                    flag_do: false,
                    options: [],
                  },
                ]
              : [],
          });
          const ours = plainCodec.decode(Uint8Array.from(message));
          const theirs = node.decode(message);
          expect(ours?.bytes).to.equal(theirs?.bytes);
          expect(ours?.sections.map((section) => section.map(essence))).to.deep.equal(
            theirs?.sections.map((section) => section.map(essence)),
          );
        },
      ),
    );
  });

  it('refuses addresses and zones of another length', () => {
    const message = (type: number, length: number): Uint8Array => {
      const bytes = new Uint8Array(12 + 5 + 11 + length);
      const view = new DataView(bytes.buffer);
      view.setUint16(4, 1);
      view.setUint16(6, 1);
      view.setUint16(12 + 5 + 1, type);
      view.setUint16(12 + 5 + 9, length);
      return bytes;
    };
    expect(plainCodec.decode(message(1, 4))?.sections[0]).to.deep.equal([{ type: 'A', data: '0.0.0.0' }]);
    expect(plainCodec.decode(message(28, 16))?.sections[0]).to.deep.equal([{ type: 'AAAA', data: '::' }]);
    for (const [type, length] of [
      [1, 3],
      [1, 5],
      [28, 4],
      [28, 17],
      [6, 19],
    ] as const) {
      expect(plainCodec.decode(message(type, length)), `${type} of ${length}`).to.equal(undefined);
    }
    expect(plainCodec.decode(message(65_280, 3))?.sections[0]).to.deep.equal([
      { type: 'UNKNOWN_65280', data: null },
    ]);
  });
});
