import { expect } from 'chai';
import fc from 'fast-check';
import type { DatagramPath } from '../../../lib/udp/carrier.js';
import { PathCache, PathKey } from '../../../lib/udp/path-cache.js';
import { IpAddress } from '../../../lib/wire/ip-address.js';

const keyOf = (destination: IpAddress, port = 9, source?: IpAddress, link = 0): PathKey =>
  Object.assign(new PathKey(), { destination, port, source, link });
const pathOf = (generation = 1): DatagramPath => ({ generation }) as DatagramPath;

describe('PathCache', () => {
  it('finds a path by all it was asked for, and by nothing less', () => {
    const cache = new PathCache();
    const address = (last: number) => IpAddress.v4(0x0a00_0000 + last);
    const path = pathOf();
    expect(cache.find(keyOf(address(1)), 1)).to.equal(undefined);
    cache.add(keyOf(address(1), 9, address(7), 2), path);
    expect(cache.find(keyOf(address(1), 9, address(7), 2), 1)).to.equal(path);
    expect(cache.find(keyOf(address(1), 9, address(7), 2), 2), 'routes have changed').to.equal(undefined);
    expect(cache.find(keyOf(address(1), 9, address(7), 3), 1)).to.equal(undefined);
    expect(cache.find(keyOf(address(1), 9, undefined, 2), 1)).to.equal(undefined);
    for (let i = 0; i < 64; i++) {
      expect(cache.find(keyOf(address(1), 10 + i, address(7), 2), 1)).to.equal(undefined);
      expect(cache.find(keyOf(address(1), 9, address(8 + i), 2), 1)).to.equal(undefined);
    }
    cache.clear();
    expect(cache.find(keyOf(address(1), 9, address(7), 2), 1)).to.equal(undefined);
  });

  it('never gives the path of another, whatever shares its place', () => {
    const part = fc.record({
      last: fc.nat(40),
      port: fc.integer({ min: 1, max: 5 }),
      source: fc.nat(2),
      link: fc.nat(1),
    });
    fc.assert(
      fc.property(fc.array(part, { maxLength: 200 }), (parts) => {
        const cache = new PathCache();
        const names = new Map<DatagramPath, string>();
        for (const { last, port, source, link } of parts) {
          const from = source === 0 ? undefined : IpAddress.v4(source);
          const key = keyOf(IpAddress.v4(last), port, from, link);
          const name = `${last} ${port} ${source} ${link}`;
          const found = cache.find(key, 1);
          if (found !== undefined) {
            expect(names.get(found)).to.equal(name);
            continue;
          }
          const path = pathOf();
          names.set(path, name);
          cache.add(key, path);
          expect(cache.find(key, 1)).to.equal(path);
        }
      }),
    );
  });

  it('grows to hold a thousand peers, and no further', () => {
    const cache = new PathCache();
    const held = (peers: number): number => {
      for (let i = 0; i < 3 * peers; i++) {
        const key = keyOf(IpAddress.v4(0x0a00_0000 + (i % peers)));
        if (cache.find(key, 1) === undefined) cache.add(key, pathOf());
      }
      let count = 0;
      for (let i = 0; i < peers; i++)
        if (cache.find(keyOf(IpAddress.v4(0x0a00_0000 + i)), 1) !== undefined) count++;
      return count;
    };
    expect(held(200)).to.be.greaterThan(150);
    expect(held(20_000)).to.be.within(500, 1024);
  });
});
