/**
 * Spellings of TCP options: what packetdrill writes otherwise than `wire/option-text.ts`, and back. Accurate
 * ECN counts in options of its own (RFC 9768 §3.2.3), Fast Open had an experimental number (RFC 7413 §4.1.1).
 */

/** In which order the counters stand, by kind. */
const ACCURATE_ECN: Readonly<Record<number, readonly string[]>> = {
  172: ['e0b', 'ceb', 'e1b'],
  174: ['e1b', 'ceb', 'e0b'],
};
const COUNTER_HEX = 6;
const EXPERIMENT = 254;
const FAST_OPEN_MAGIC = 'f989';

/** An option of a script in the words of `option-text.ts`. */
export function optionWords(text: string, fail: (message: string) => never): string {
  const words = text.trim().split(/\s+/);
  const [name, ...rest] = words;
  switch (name) {
    case 'ECN':
      return accurateEcn(rest, fail);
    case 'FOEXP':
      return `kind ${EXPERIMENT} ${FAST_OPEN_MAGIC}${rest.join('')}`;
    case 'fast_open':
      return ['FO', ...rest].join(' ');
    case 'sackOK':
    case 'nop':
    case 'eol':
    case 'mss':
    case 'wscale':
    case 'TS':
    case 'sack':
    case 'FO':
    case 'uto':
    case 'kind':
    case 'raw':
      return words.join(' ');
    default:
      return fail(`the TCP option "${text.trim()}" is not supported`);
  }
}

/** `ECN e1b 1 ceb 0 e0b 1`: the order of the names tells the kind, and fewer are a shorter option. */
function accurateEcn(words: readonly string[], fail: (message: string) => never): string {
  const names = words.filter((_, i) => i % 2 === 0);
  const counts = words.filter((_, i) => i % 2 === 1).map(Number);
  const kind = [172, 174].find((candidate) => names.every((name, i) => ACCURATE_ECN[candidate][i] === name));
  if (kind === undefined || counts.length !== names.length || counts.some(Number.isNaN)) {
    return fail(`"ECN ${words.join(' ')}" is not an option of Accurate ECN`);
  }
  const hex = counts.map((count) => count.toString(16).padStart(COUNTER_HEX, '0')).join('');
  return `kind ${kind} ${hex}`.trim();
}

/** An option as `option-text.ts` reads it, in packetdrill's words. */
export function packetdrillWords(text: string): string {
  const [name, kind, hex = ''] = text.split(' ');
  if (name !== 'kind') return text;
  const counters = ACCURATE_ECN[Number(kind)];
  if (counters !== undefined && hex.length % COUNTER_HEX === 0) {
    const words = counters.slice(0, hex.length / COUNTER_HEX).map((counter, i) => {
      const count = hex.slice(i * COUNTER_HEX, (i + 1) * COUNTER_HEX);
      return `${counter} ${Number.parseInt(count, 16)}`;
    });
    return ['ECN', ...words].join(' ');
  }
  if (Number(kind) === EXPERIMENT && hex.startsWith(FAST_OPEN_MAGIC)) {
    return `FOEXP ${hex.slice(FAST_OPEN_MAGIC.length)}`.trim();
  }
  return text;
}
