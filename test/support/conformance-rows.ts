/** The lists in `docs/conformance/`, and the row names in titles of tests, as data. */

export interface ConformanceRow {
  readonly id: string;
  /** Name of the list: `tcp`, `ip`, `nat` or `robustness`. */
  readonly list: string;
  /** The innermost heading above the row. */
  readonly section: string;
  readonly behaviour: string;
  readonly source: string;
  readonly method: string;
}

/** `MUST-1`, `V4-2`, `FR6-3`, `1122-4`, `E7`. */
const ROW_ID = /^(?:[A-Z0-9]+-\d+|[A-Z]\d+)$/;

/** Cells of a Markdown table's line. */
const cells = (line: string): string[] =>
  line
    .split('|')
    .slice(1, -1)
    .map((cell) => cell.trim());

/**
 * The rows of a list. A table belongs to the list if its first column is `ID`, which then holds the
 * name, or `threat`, which begins with it; the columns after it are in the order of each kind.
 * @throws Error on a row without a proper name.
 */
export function parseList(list: string, text: string): ConformanceRow[] {
  const rows: ConformanceRow[] = [];
  let section = '';
  let kind: string | undefined;
  for (const line of text.split('\n')) {
    const heading = /^##+ (.*)$/.exec(line);
    if (heading !== null) section = heading[1].trim();
    if (!line.startsWith('|')) {
      kind = undefined;
      continue;
    }
    const row = cells(line);
    if (kind === undefined) kind = row[0];
    else if (kind === 'ID' && !/^-+$/.test(row[0])) {
      const [id, behaviour, source, method] = row;
      rows.push({ id, list, section, behaviour, source, method });
    } else if (kind === 'threat' && !/^-+$/.test(row[0])) {
      const [threat, required, method, source] = row;
      const [id] = threat.split(' ', 1);
      rows.push({
        id,
        list,
        section,
        behaviour: `${threat.slice(id.length + 1)}: ${required}`,
        source,
        method,
      });
    }
  }
  for (const row of rows) {
    if (!ROW_ID.test(row.id)) throw new Error(`${list}: "${row.id}" is no row name`);
  }
  return rows;
}

/** Pairs of row name and reason, from a file whose table has these two columns. */
export function parseExceptions(text: string): [id: string, reason: string][] {
  return text
    .split('\n')
    .filter((line) => line.startsWith('|'))
    .map(cells)
    .filter(([id]) => ROW_ID.test(id))
    .map(([id, reason]) => [id, reason]);
}

/** Row names in a title: every bracket that holds nothing but words shaped like row names. */
export function rowsNamedBy(title: string): string[] {
  const named: string[] = [];
  for (const [, inside] of title.matchAll(/\[([^\][]+)\]/g)) {
    const words = inside.split(/[\s,]+/).filter((word) => word !== '');
    if (words.every((word) => ROW_ID.test(word))) named.push(...words);
  }
  return named;
}
