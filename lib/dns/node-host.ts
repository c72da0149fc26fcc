/** The resolver in Node: messages are written and read by `dns-packet`. */
import { createRequire } from 'node:module';
import { domainToASCII } from 'node:url';
import type dnsPacket from 'dns-packet';
import { type Decoded, type DecodedMessage, setDnsHost } from './host.js';
import type { Question } from './message.js';

let loaded: typeof dnsPacket | undefined;

/** Loaded when first needed: most stacks never ask a name server. */
function codec(): typeof dnsPacket {
  loaded ??= createRequire(import.meta.url)('dns-packet') as typeof dnsPacket;
  return loaded;
}

function encode({ name, type }: Question, id: number, udpPayloadBytes: number): Uint8Array {
  return codec().encode({
    type: 'query',
    id,
    flags: codec().RECURSION_DESIRED,
    // The types of `dns-packet` lack ANY, which its code has.
    questions: [{ type: type as 'A', name: name === '' ? '.' : name, class: 'IN' }],
    additionals:
      udpPayloadBytes === 0
        ? []
        : [
            {
              type: 'OPT',
              name: '.',
              udpPayloadSize: udpPayloadBytes,
              extendedRcode: 0,
              ednsVersion: 0,
              flags: 0,
              flag_do: false,
              options: [],
            },
          ],
  });
}

function decode(bytes: Uint8Array): DecodedMessage | undefined {
  try {
    const { answers, authorities, additionals } = codec().decode(
      Buffer.from(bytes.buffer, bytes.byteOffset, bytes.byteLength),
    );
    return {
      sections: [answers, authorities, additionals] as [Decoded[], Decoded[], Decoded[]],
      bytes: codec().decode.bytes,
    };
  } catch {
    return undefined;
  }
}

setDnsHost({
  codec: { encode, decode },
  toAscii: domainToASCII,
  soon: (callback) => process.nextTick(callback),
});
