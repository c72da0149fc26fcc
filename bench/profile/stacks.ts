/** Call stacks as `perf script` prints them, added up into a tree. */

export interface Frame {
  readonly name: string;
  /** Samples in it and in what it called. */
  samples: number;
  readonly called: Map<string, Frame>;
}

const frame = (name: string): Frame => ({ name, samples: 0, called: new Map() });

/** `ffffffff81a3 tcp_ack+0x12 ([kernel.kallsyms])` */
const FRAME_LINE = /^\s+[0-9a-f]+ (.*) \(([^()]*|\[[^\]]*\])\)$/;
/** `JS:*input file:///…/lib/tcp/tcp-layer.ts:1:2941`: `*` is optimised, `~` interpreted, `^` compiled plainly. */
const SCRIPT_FRAME = /^JS:[*~^]?((?:[gs]et )?\S*) (?:file:\/\/)?\S*?((?:lib|bench)\/\S+?)(?::\d+)*$/;
const PACKAGE_FRAME =
  /^(?:JS|Eval):[*~^]?((?:[gs]et )?\S*) \S*\/(node_modules\/(?:@[^/\s]+\/)?[^/\s]+)\/\S*$/;
const HOST_FRAME = /^JS:[*~^]?((?:[gs]et )?\S*) (node:\S+?)(?::\d+)*$/;

/** What a reader needs of a symbol: function and file of scripts, without addresses and marks of compilers. */
export function readableName(symbol: string, object: string): string {
  const bare = symbol.replace(/\+0x[0-9a-f]+$/, '');
  const script = PACKAGE_FRAME.exec(bare) ?? SCRIPT_FRAME.exec(bare) ?? HOST_FRAME.exec(bare);
  if (script !== null) return `${script[1] || 'anonymous'} ${script[2]}`;
  // Published without symbols.
  if (object.endsWith('/tunstack.node') && bare === '[unknown]') return 'tunstack.node';
  const plain = bare.replace(/\.(?:isra|constprop|part|cold)\.?\d*/g, '');
  return object.startsWith('[kernel') ? `${plain} [kernel]` : plain;
}

/**
 * Reads the output of `perf script`: stacks, the innermost frame first, apart by empty lines.
 * @param outermost names of frames that stacks begin at, whoever calls them; others are "elsewhere"
 */
export function readStacks(text: string, outermost: RegExp): Frame {
  const root = frame('all');
  for (const block of text.split(/\n\s*\n/)) {
    const names: string[] = [];
    for (const line of block.split('\n')) {
      const found = FRAME_LINE.exec(line);
      if (found !== null) names.unshift(readableName(found[1], found[2]));
    }
    if (names.length === 0) continue;
    const start = names.findIndex((name) => outermost.test(name));
    addStack(root, start < 0 ? ['(elsewhere)', names[names.length - 1]] : names.slice(start));
  }
  return root;
}

function addStack(root: Frame, names: readonly string[]): void {
  root.samples++;
  let at = root;
  for (const name of names) {
    let next = at.called.get(name);
    if (next === undefined) {
      next = frame(name);
      at.called.set(name, next);
    }
    next.samples++;
    at = next;
  }
}
