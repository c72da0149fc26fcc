/** The table of UDP flows beside a naive twin: random flows come and go, and many meet in few places. */
import { expect } from 'chai';
import { randomBelow } from '../../lib/base/random.js';
import { SeededRandom } from '../../lib/sim/seeded-random.js';
import { FlowKey, type FlowRow, FlowTable } from '../../lib/udp/flow-table.js';

class Row extends FlowKey implements FlowRow {
  row = -1;
  readonly name: string;

  constructor(key: FlowKey, name = '') {
    super();
    Object.assign(this, key);
    this.name = name;
  }
}

function keyOf(random: SeededRandom): FlowKey {
  const key = new FlowKey();
  key.version = randomBelow(random, 2) === 0 ? 4 : 6;
  key.s2 = key.version === 4 ? 0xffff : randomBelow(random, 3);
  key.s3 = randomBelow(random, 8);
  key.s0 = key.version === 4 ? 0 : randomBelow(random, 2);
  key.sourcePort = randomBelow(random, 8);
  key.d2 = key.version === 4 ? 0xffff : 0;
  key.d3 = randomBelow(random, 2);
  key.destinationPort = randomBelow(random, 2);
  key.link = randomBelow(random, 2);
  return key;
}

const nameOf = (key: FlowKey, byPair: boolean): string =>
  [key.version, key.s0, key.s1, key.s2, key.s3, key.sourcePort, key.link, byPair]
    .concat(byPair ? [key.d0, key.d1, key.d2, key.d3, key.destinationPort] : [])
    .join(' ');

for (const byPair of [false, true]) {
  it(`the table of UDP flows finds what its twin finds, ${byPair ? 'by pair' : 'by source'}`, () => {
    for (let seed = 1; seed <= 5; seed++) {
      const random = new SeededRandom(seed);
      const table = new FlowTable<Row>(random, byPair);
      const twin = new Map<string, Row>();
      for (let step = 0; step < 20_000; step++) {
        const key = keyOf(random);
        const name = nameOf(key, byPair);
        const known = table.find(key);
        expect(known, `seed ${seed}, step ${step}`).to.equal(twin.get(name));
        // More come than go, then more go than come.
        const isAdding = randomBelow(random, 10) < (step < 10_000 ? 8 : 2);
        if (known === undefined && isAdding) {
          const row = new Row(key, name);
          table.add(row);
          twin.set(name, row);
        } else if (known !== undefined && !isAdding) {
          table.remove(known);
          table.remove(known);
          twin.delete(name);
        }
        expect(table.size).to.equal(twin.size);
      }
      const names = table.rows().map((row) => row.name);
      expect(names.sort()).to.deep.equal([...twin.keys()].sort());
    }
  });
}
