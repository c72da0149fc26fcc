/** As much of a browser as a page with charts needs to run: what is drawn as text is kept. */
import { createContext, runInContext } from 'node:vm';

/** Something that takes every use for granted: any property, call, or arithmetic. */
function anything(known: Record<PropertyKey, unknown> = {}): unknown {
  const target = (): void => {};
  const own: Record<PropertyKey, unknown> = { ...known };
  return new Proxy(target, {
    get: (_, key) => {
      if (key in own) return own[key];
      if (key === Symbol.toPrimitive) return () => 0;
      if (key === Symbol.iterator) return undefined;
      own[key] = anything();
      return own[key];
    },
    set: (_, key, value) => {
      own[key] = value;
      return true;
    },
    apply: () => anything(),
    construct: () => anything() as object,
  });
}

export interface Drawn {
  readonly charts: number;
  /** Texts written into any canvas. */
  readonly texts: readonly string[];
}

/** Runs the scripts of a page. @throws what they throw */
export function runPage(html: string): Drawn {
  const scripts = [...html.matchAll(/<script>([\s\S]*?)<\/script>/g)].map((match) => match[1]);
  const data = /<script type="application\/json" id="charts">([\s\S]*?)<\/script>/.exec(html)?.[1] ?? '';
  const places = [...html.matchAll(/data-chart="(\d+)"/g)].map((match) => match[1]);
  const texts: string[] = [];
  let canvases = 0;
  const context2d = anything({
    fillText: (text: string) => {
      texts.push(text);
    },
    measureText: (text: string) => ({ width: text.length * 7 }),
  });
  const createElement = (tag: string): unknown => {
    if (tag === 'canvas') canvases++;
    return anything({
      getContext: () => context2d,
      getBoundingClientRect: () => ({ left: 0, top: 0, width: 400, height: 300 }),
    });
  };
  const pending: (() => void)[] = [];
  const global: Record<string, unknown> = {
    document: anything({
      createElement,
      getElementById: () => ({ textContent: data }),
      querySelectorAll: () => places.map((chart) => anything({ dataset: { chart }, clientWidth: 400 })),
    }),
    devicePixelRatio: 1,
    matchMedia: () => anything(),
    addEventListener: () => {},
    removeEventListener: () => {},
    dispatchEvent: () => true,
    // Every element here is one.
    HTMLElement: class {
      static [Symbol.hasInstance](): boolean {
        return true;
      }
    },
    requestAnimationFrame: (run: () => void) => pending.push(run),
    queueMicrotask: (run: () => void) => pending.push(run),
    setTimeout: (run: () => void) => pending.push(run),
    navigator: { language: 'en', userAgent: '' },
    Path2D: class {
      moveTo(): void {}
      lineTo(): void {}
      rect(): void {}
      arc(): void {}
      closePath(): void {}
      addPath(): void {}
    },
    CustomEvent: class {},
    Intl,
  };
  global.window = global;
  createContext(global);
  for (const script of scripts) runInContext(script, global);
  for (let run = pending.shift(); run !== undefined; run = pending.shift()) run();
  return { charts: canvases, texts };
}
