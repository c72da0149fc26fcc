import { readFileSync } from 'node:fs';
import { expect } from 'chai';
import { parseExceptions, parseList, rowsNamedBy } from '../../support/conformance-rows.js';

const read = (list: string) => parseList(list, readFileSync(`docs/conformance/${list}.md`, 'utf8'));

describe('conformance lists', () => {
  it('are read whole: every line of their tables is a row with a name of its own', () => {
    const rows = ['tcp', 'ip', 'nat', 'robustness'].flatMap(read);
    expect(new Set(rows.map((row) => row.id)).size).to.equal(rows.length);
    for (const list of ['tcp', 'ip', 'nat', 'robustness']) {
      const text = readFileSync(`docs/conformance/${list}.md`, 'utf8');
      const lines = text.split('\n').filter((line) => /^\| [A-Z0-9]+-?\d/.test(line));
      expect(read(list).length, list).to.equal(lines.length);
    }
  });

  it('give a row its section, behaviour, source and method', () => {
    const row = read('tcp').find(({ id }) => id === 'MUST-4');
    expect(row).to.deep.equal({
      id: 'MUST-4',
      list: 'tcp',
      section: '1.1 MUST',
      behaviour: 'EOL (0), NOP (1) and MSS (2) options are all supported on receive and send paths',
      source: 'RFC 9293 §3.1',
      method: 'PF: parse and emit each',
    });
  });

  it('take the name of a threat from the start of its first cell', () => {
    const row = read('robustness').find(({ id }) => id === 'A2');
    expect(row?.behaviour).to.match(/^blind RST, exact RCV\.NXT: reset \(unavoidable\)/);
    expect(row?.method).to.equal('scripted');
  });

  it('refuse a row without a proper name', () => {
    expect(() =>
      parseList('x', '## s\n| ID | b | s | m |\n|---|---|---|---|\n| oops | b | s | m |'),
    ).to.throw('oops');
  });

  it('read exceptions', () => {
    expect(parseExceptions('# x\n| ID | reason |\n|---|---|\n| V4-14 | none |\n')).to.deep.equal([
      ['V4-14', 'none'],
    ]);
  });
});

describe('row names in a title', () => {
  const cases: [title: string, rows: string[]][] = [
    ['works [MUST-1]', ['MUST-1']],
    ['works [V4-1 V4-2, E7]', ['V4-1', 'V4-2', 'E7']],
    ['works [1122-1] and [6675-2]', ['1122-1', '6675-2']],
    ['holds a half-open range [start, end)', []],
    ['reads ports [0, 65535] and a[i]', []],
    ['no names', []],
  ];
  for (const [title, rows] of cases) {
    it(`are ${rows.length}: ${title.replaceAll(/[[\]]/g, '|')}`, () => {
      expect(rowsNamedBy(title)).to.deep.equal(rows);
    });
  }
});
