/**
 * Some cells of the goodput tables against their snapshot: a change of more than the band is to be looked at,
 * and the snapshot made anew (`npm run goodput`). Virtual time makes each run exact; the band leaves room for
 * changes that move single packets.
 */
import { expect } from 'chai';
import { type Cell, cellName, cellsOf, runCell } from '../../bench/goodput/cell.js';
import { readSnapshot } from '../../bench/goodput/snapshot.js';
import { CONTROLS } from '../../bench/support/controls.js';

/** How far a cell may be from its snapshot. */
const BAND = 0.15;

const CHOSEN = [
  '10 Mbit/s 1 ms 0.1 % reorder',
  '10 Mbit/s 20 ms 0.1 %',
  '10 Mbit/s 20 ms 1 %',
  '10 Mbit/s 20 ms 0.01 % reorder burst ecn',
  '10 Mbit/s 100 ms 0.1 % burst',
  '1000 Mbit/s 1 ms 0 % ecn',
];

const cells = CONTROLS.flatMap((control) => [...cellsOf(control)]);
const named = (name: string): Cell | undefined => cells.find((cell) => cellName(cell) === name);

describe('goodput', function () {
  this.timeout(60_000);

  for (const control of CONTROLS) {
    for (const path of CHOSEN) {
      const name = `${control} ${path}`;
      it(`is as in the snapshot: ${name}`, () => {
        const cell = named(name);
        const expected = readSnapshot().cells[name];
        if (cell === undefined || expected === undefined) throw new Error(`no cell ${name}`);
        const { goodputMbps } = runCell(cell);
        expect(goodputMbps / expected.goodputMbps).to.be.within(1 - BAND, 1 + BAND);
      });
    }
  }
});
