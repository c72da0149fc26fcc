import { expect } from 'chai';
import { SystemRandom } from '../../../lib/stack/system-random.js';

describe('SystemRandom', () => {
  it('gives words that differ, over the whole range', () => {
    const random = new SystemRandom();
    const words = Array.from({ length: 5_000 }, () => random.uint32());
    expect(new Set(words).size).to.be.greaterThan(4_990);
    expect(words.every((word) => Number.isInteger(word) && word >= 0 && word <= 0xffff_ffff)).to.equal(true);
    const ones = words.reduce((sum, word) => sum + word.toString(2).replaceAll('0', '').length, 0);
    expect(ones / (32 * words.length)).to.be.within(0.49, 0.51);
    const other = new SystemRandom();
    expect(other.uint32()).to.not.equal(words[0]);
  });

  it('draws in pools, and hands no word out twice', () => {
    let fills = 0;
    const random = new SystemRandom((words) => {
      fills++;
      for (let i = 0; i < words.length; i++) words[i] = fills * 100_000 + i;
    });
    const drawn = Array.from({ length: 3_000 }, () => random.uint32());
    expect(fills).to.equal(3);
    expect(new Set(drawn).size).to.equal(3_000);
  });

  it('fails closed: no entropy at start starts nothing [G15]', () => {
    const broken = (): never => {
      throw new Error('no entropy');
    };
    expect(() => new SystemRandom(broken)).to.throw('no entropy');
    expect(() => new SystemRandom(() => undefined))
      .to.throw()
      .with.property('code', 'EAGAIN');
  });

  it('fails closed: when the source fails later, no used word comes again [G15]', () => {
    let works = true;
    const random = new SystemRandom((words) => {
      if (!works) throw new Error('source lost');
      for (let i = 0; i < words.length; i++) words[i] = i + 1;
    });
    for (let i = 0; i < 1024; i++) random.uint32();
    works = false;
    for (let i = 0; i < 3; i++) expect(() => random.uint32()).to.throw('source lost');
    works = true;
    expect(random.uint32()).to.equal(1);
  });
});
