/** The reference, as it lies in the repository, and the program that makes it. */
import { readFileSync } from 'node:fs';
import { expect } from 'chai';
import { Kind, type Project } from '../../scripts/api-docs/model.js';
import { renderReference } from '../../scripts/api-docs/render.js';

const page = readFileSync('docs/api.md', 'utf8');
const headings = [...page.matchAll(/^#{2,3} (.*)$/gm)].map(([, heading]) => heading);

/** As GitHub makes it of a heading. */
const anchorOf = (heading: string): string =>
  heading
    .toLowerCase()
    .replace(/[^\w\- ]/g, '')
    .replaceAll(' ', '-');

/** Names in the braces of a file's exports. */
const exportedBy = (path: string): string[] =>
  [...readFileSync(path, 'utf8').matchAll(/^export (?:type )?\{([^}]*)\}/gm)].flatMap(([, names]) =>
    names
      .split(',')
      .map((name) => name.trim().replace(/^type /, ''))
      .filter((name) => name !== ''),
  );

describe('docs/api.md', () => {
  it('has a section for every name the package exports', () => {
    const names = exportedBy('lib/index.ts');
    expect(names).to.include.members(['Stack', 'TcpStats', 'createPipe']);
    expect(names.filter((name) => !headings.includes(name))).to.deep.equal([]);
  });

  it('has each heading once, and links to headings that are there', () => {
    const anchors = headings.map(anchorOf);
    expect(anchors.filter((anchor, i) => anchors.indexOf(anchor) !== i)).to.deep.equal([]);
    const links = new Set([...page.matchAll(/\]\(#([^)]*)\)/g)].map(([, anchor]) => anchor));
    expect(links).to.not.be.empty;
    expect([...links].filter((anchor) => !anchors.includes(anchor))).to.deep.equal([]);
  });
});

describe('the program that makes the reference', () => {
  const said = (text: string) => ({ summary: [{ kind: 'text', text }] });
  const project = (memberText: string, name = 'PcapOptions', file = 'lib/link/pcap.ts'): Project => ({
    id: 0,
    name: 'tunstack',
    kind: 1,
    flags: {},
    symbolIdMap: { 2: { packagePath: file } },
    children: [
      {
        id: 1,
        name: 'index',
        kind: Kind.Module,
        flags: {},
        children: [
          {
            id: 2,
            name,
            kind: Kind.Interface,
            flags: {},
            comment: said('What it is.'),
            children: [
              {
                id: 3,
                name: 'clock',
                kind: Kind.Property,
                flags: { isOptional: true },
                type: { type: 'union', types: ['a', 'b'].map((value) => ({ type: 'literal', value })) },
                ...(memberText === '' ? {} : { comment: said(memberText) }),
              },
            ],
          },
        ],
      },
    ],
  });

  it('writes a row for each member, its type as one would write it', () => {
    expect(renderReference(project('Stamps\npackets'), '# Head\n')).to.equal(
      '# Head\n\n- [**Links**](#links): [PcapOptions](#pcapoptions)\n\n' +
        '## Links\n\nA link carries IP packets, in batches. Every link here is a `LinkDevice`, and so may be ' +
        'your own.\n\n### PcapOptions\n\nWhat it is.\n\n| | |\n| --- | --- |\n' +
        "| `clock?: 'a' \\| 'b'` | Stamps packets. |\n",
    );
  });

  it('refuses what has no comment, and what belongs to no chapter', () => {
    expect(() => renderReference(project(''), '')).to.throw('not documented: PcapOptions.clock');
    expect(() => renderReference(project('x', 'Lost', 'lib/nowhere/lost.ts'), '')).to.throw(
      'Lost, of lib/nowhere/lost.ts, belongs to no topic',
    );
  });
});
