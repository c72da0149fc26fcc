/** ping, ping6 and traceroute against the stack, and the stack's echo requests against the kernel. */
import { expect } from 'chai';
import type { IcmpError } from '../../lib/ip/interfaces.js';
import { IpAddress } from '../../lib/wire/ip-address.js';
import { FAMILIES, InteropBed, KERNEL, STACK } from '../support/interop.js';
import { within } from '../support/interop-wait.js';

for (const family of FAMILIES) {
  for (const offload of [true, false]) {
    describe(`echo between kernel and stack, IPv${family}, ${offload ? 'with' : 'without'} offloads`, function () {
      this.timeout(20_000);
      let bed: InteropBed;
      before(async function () {
        bed = await InteropBed.createOrSkip(this, { offload });
      });
      after(() => bed?.close());

      /** Every request must be answered, with the data that were in it: ping compares them. */
      const ping = async (...args: string[]): Promise<void> => {
        const text = await bed.exec('ping', `-${family}`, '-n', '-W', '10', ...args, STACK[family]);
        const [, sent, received] = /(\d+) packets transmitted, (\d+) received/.exec(text) ?? [];
        expect(text).to.not.match(/wrong data|DUP|truncated|corrupt/i);
        expect(received, `${text}\n${JSON.stringify(bed.stack.stats)}`).to.equal(sent);
      };

      if (offload) it('answers ping at its pace', () => ping('-c', '5', '-i', '0.2'));
      it('answers ping as fast as it goes', () => ping('-c', '500', '-f', '-q'));
      it('answers an empty request', () => ping('-c', '1', '-s', '0'));
      it('answers the largest request that is no fragment', () =>
        ping('-c', '2', '-i', '0.01', '-M', 'do', '-s', family === 4 ? '1472' : '1452', '-p', '5aa5'));
      it('answers fragmented requests', () => ping('-c', '20', '-i', '0.01', '-s', '3000'));
      it(`answers the largest request there is${family === 4 ? ' [IC4-9]' : ''}`, () =>
        // The buffer of ping holds two of them, and it must have a processor to read them.
        ping('-c', '3', '-i', '0.2', '-s', family === 4 ? '65507' : '65527'));

      it('gets answers from the kernel, to fragmented requests too', async () => {
        const { ip } = bed.stack;
        for (const [sequence, bytes] of [0, 56, 1452, 3000, 65_000].entries()) {
          const payload = crypto.getRandomValues(new Uint8Array(bytes));
          const answer = new Promise<Uint8Array>((resolve, reject) => {
            ip.echo.add(77, {
              reply: (packet, reply) => {
                expect(reply.sequence).to.equal(sequence);
                resolve(packet.bytes.slice(reply.dataAt, reply.dataAt + reply.dataBytes));
              },
              error: (error: IcmpError) => reject(new Error(`ICMP error ${error.kind}`)),
            });
          });
          try {
            const destination = IpAddress.parse(KERNEL[family]);
            expect(ip.sendEchoRequest({ destination, identifier: 77, sequence, payload })).to.equal('');
            bed.stack.schedule();
            expect(await within(answer, () => `an answer of ${bytes} bytes`)).to.deep.equal(payload);
          } finally {
            ip.echo.remove(77);
          }
        }
      });

      for (const [name, flags] of Object.entries({ ICMP: ['-I'], TCP: ['-T'] })) {
        it(`is the only hop of a ${name} traceroute`, async () => {
          const args = [`-${family}`, '-n', '-q', '3', '-w', '2', '-m', '5', ...flags, STACK[family]];
          const text = await bed.exec('traceroute', ...args);
          const hops = text.trim().split('\n').slice(1);
          expect(hops, text).to.have.lengthOf(1);
          expect(hops[0].trim()).to.match(/^1 +\S+( +[\d.]+ ms){3}$/);
          expect(hops[0]).to.include(` ${STACK[family]} `);
        });
      }
    });
  }
}
