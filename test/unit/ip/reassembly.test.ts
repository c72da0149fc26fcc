import { expect } from 'chai';
import { TableHash } from '../../../lib/base/siphash.js';
import { StackStats } from '../../../lib/base/stats.js';
import { FragmentInfo } from '../../../lib/ip/datagram.js';
import { resolveIpOptions } from '../../../lib/ip/options.js';
import { Reassembly } from '../../../lib/ip/reassembly.js';
import { SeededRandom } from '../../../lib/sim/seeded-random.js';
import { IpPacket } from '../../../lib/wire/ip-packet.js';

describe('Reassembly', () => {
  /** Feeds first fragments with these identifications; the longest chain is what a lookup may cost. */
  function flood(seed: number, identifications: readonly number[]): number {
    const random = new SeededRandom(seed);
    const options = resolveIpOptions({ reassemblyDistance: 0 });
    const reassembly = new Reassembly({ random, stats: new StackStats(), options });
    const bytes = new Uint8Array(36);
    const packet = new IpPacket();
    packet.aim(bytes, new DataView(bytes.buffer), 0, 36);
    packet.s2 = 0xffff;
    packet.d2 = 0xffff;
    packet.s3 = 0x0a000002;
    packet.d3 = 0x0a000001;
    const info = new FragmentInfo();
    for (const identification of identifications) {
      Object.assign(info, {
        identification,
        offset: 0,
        more: true,
        dataAt: 20,
        dataBytes: 16,
        headerBytes: 20,
      });
      reassembly.accept(packet, info);
    }
    expect(reassembly.size).to.equal(identifications.length);
    return reassembly.longestChain;
  }

  it('hashes its keys with a secret, so that nobody can fill one chain from outside [FR4-15]', () => {
    // Whoever knew the secret of one instance could.
    const known = new TableHash(new SeededRandom(1));
    const chosen: number[] = [];
    for (let id = 0; id < 65_536; id++) {
      if ((known.hash3(0x0a000002, 0x0a000001, id) & 1023) === 17) chosen.push(id);
    }
    expect(chosen.length).to.be.above(40);
    expect(flood(1, chosen), 'the secret is the key of this hash').to.equal(chosen.length);
    for (let seed = 2; seed < 12; seed++) expect(flood(seed, chosen), `seed ${seed}`).to.be.below(8);
  });

  it('takes its secret from the randomness it is given', () => {
    let words = 0;
    const random = {
      uint32: (): number => {
        words++;
        return 7;
      },
    };
    new Reassembly({ random, stats: new StackStats(), options: resolveIpOptions() });
    expect(words).to.be.at.least(2);
  });
});
