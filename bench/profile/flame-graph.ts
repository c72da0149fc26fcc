/** A flame graph as SVG: calls below their callers, as wide as the share of samples they were seen in. */
import type { Frame } from './stacks.js';

const WIDTH = 1200;
const ROW = 17;
const TOP = 46;
/** Narrower ones would not be seen. */
const LEAST_WIDTH = 0.4;
/** A letter of the text, on average. */
const LETTER = 6.2;

/** Whose code a frame is, by the first pattern that fits. */
const KINDS: readonly [name: string, pattern: RegExp, colour: string][] = [
  ['kernel', /\[kernel\]$/, '#f2a65a'],
  ['TCP', /lib\/tcp\//, '#5b8def'],
  ['IP, UDP, wire, buffers', /lib\/(?:ip|udp|wire|buffer|base)\//, '#7fc8d6'],
  ['links and turn', /lib\/(?:link|stack)\//, '#9d8df1'],
  ['sockets of Node’s API', /lib\/(?:net|dgram)\//, '#6fbf73'],
  ['application', /bench\//, '#d8c34a'],
  ['addon', /^(?:tunstack|Napi)(?:::|\.node)/, '#e07aa8'],
  ['Node, V8, libc', /./, '#c9ccd1'],
];

const kindOf = (name: string): number => KINDS.findIndex(([, pattern]) => pattern.test(name));

const escaped = (text: string): string =>
  text.replaceAll('&', '&amp;').replaceAll('<', '&lt;').replaceAll('>', '&gt;');

const percent = (part: number, whole: number): string => `${((100 * part) / whole).toFixed(1)} %`;

const depthOf = (frame: Frame): number => 1 + Math.max(0, ...[...frame.called.values()].map(depthOf));

/** Samples by whose code was running: those of a frame that are not of what it called. */
export function sharesByKind(root: Frame): Map<string, number> {
  const shares = new Map(KINDS.map(([name]) => [name, 0]));
  const visit = (frame: Frame): void => {
    let own = frame.samples;
    for (const called of frame.called.values()) {
      own -= called.samples;
      visit(called);
    }
    const [kind] = KINDS[kindOf(frame.name)];
    shares.set(kind, (shares.get(kind) ?? 0) + own);
  };
  for (const called of root.called.values()) visit(called);
  return shares;
}

interface Place {
  readonly left: number;
  readonly row: number;
  /** Pixels of a sample. */
  readonly scale: number;
  readonly whole: number;
}

function* boxes(frame: Frame, place: Place): Generator<string> {
  const { left, row, scale, whole } = place;
  const width = frame.samples * scale;
  if (width < LEAST_WIDTH) return;
  const letters = Math.floor((width - 6) / LETTER);
  const label =
    letters < 3 ? '' : frame.name.length <= letters ? frame.name : `${frame.name.slice(0, letters - 1)}…`;
  const y = TOP + row * ROW;
  yield `<g><title>${escaped(frame.name)}: ${percent(frame.samples, whole)}</title>` +
    `<rect x="${left.toFixed(1)}" y="${y}" width="${width.toFixed(1)}" height="${ROW - 1}" fill="${KINDS[kindOf(frame.name)][2]}"/>` +
    (label === '' ? '' : `<text x="${(left + 3).toFixed(1)}" y="${y + 12}">${escaped(label)}</text>`) +
    '</g>';
  let next = left;
  const widest = [...frame.called.values()].sort((a, b) => b.samples - a.samples);
  for (const called of widest) {
    yield* boxes(called, { ...place, left: next, row: row + 1 });
    next += called.samples * scale;
  }
}

function legend(root: Frame): string {
  let x = 4;
  return [...sharesByKind(root)]
    .filter(([, samples]) => samples > 0)
    .map(([name, samples]) => {
      const text = `${name} ${percent(samples, root.samples)}`;
      const colour = KINDS.find(([kind]) => kind === name)?.[2] ?? '';
      const item = `<rect x="${x}" y="25" width="10" height="10" fill="${colour}"/><text x="${x + 14}" y="34">${escaped(text)}</text>`;
      x += 24 + text.length * LETTER;
      return item;
    })
    .join('');
}

/** @param title what was measured; stands above the picture */
export function flameGraph(root: Frame, title: string): string {
  const height = TOP + depthOf(root) * ROW;
  const place = { left: 0, row: 0, scale: WIDTH / root.samples, whole: root.samples };
  return [
    `<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 ${WIDTH} ${height}" font-family="sans-serif" font-size="11">`,
    `<rect width="${WIDTH}" height="${height}" fill="#ffffff"/>`,
    `<text x="4" y="15" font-size="13">${escaped(title)}</text>`,
    legend(root),
    ...boxes(root, place),
    '</svg>\n',
  ].join('\n');
}
