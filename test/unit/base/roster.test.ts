import { expect } from 'chai';
import { Roster, type Rostered } from '../../../lib/base/roster.js';

class Member implements Rostered {
  rosterPlace = -1;
  readonly name: string;

  constructor(name: string) {
    this.name = name;
  }
}

const members = (count: number): Member[] => Array.from({ length: count }, (_, i) => new Member(`m${i}`));

function filled(count: number): { roster: Roster<Member>; all: Member[] } {
  const roster = new Roster<Member>();
  const all = members(count);
  for (const member of all) roster.add(member);
  return { roster, all };
}

describe('Roster', () => {
  it('has whoever was added and not taken out, in whatever order they go', () => {
    const roster = new Roster<Member>();
    const present = new Set<Member>();
    const all = members(40);
    let seed = 7;
    for (let step = 0; step < 5000; step++) {
      seed = (Math.imul(seed, 1_103_515_245) + 12_345) >>> 0;
      const member = all[(seed >>> 8) % all.length];
      if (present.has(member)) {
        expect(roster.delete(member)).to.equal(true);
        present.delete(member);
      } else {
        roster.add(member);
        present.add(member);
      }
      expect(roster.size).to.equal(present.size);
      expect(member.rosterPlace >= 0).to.equal(present.has(member));
    }
    expect([...roster]).to.have.members([...present]);
  });

  it('takes nobody out twice', () => {
    const { roster, all } = filled(2);
    const [one, two] = all;
    expect([roster.delete(one), roster.delete(one)]).to.deep.equal([true, false]);
    expect([...roster]).to.deep.equal([two]);
  });

  it('gives each who is there while they leave one by one', () => {
    const { roster, all } = filled(9);
    const seen: Member[] = [];
    for (const member of roster) {
      seen.push(member);
      roster.delete(member);
    }
    expect(seen).to.have.members(all);
    expect(roster.size).to.equal(0);
  });

  it('ends when all leave at once, and gives nobody who has left', () => {
    const { roster, all } = filled(9);
    const seen: Member[] = [];
    for (const member of roster) {
      seen.push(member);
      for (const other of all) roster.delete(other);
    }
    expect([seen.length, roster.size]).to.deep.equal([1, 0]);
  });
});
