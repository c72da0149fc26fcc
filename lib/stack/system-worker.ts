/** Threads of the package's own: each begins in one of its modules. */
import { createRequire } from 'node:module';
import { pathToFileURL } from 'node:url';
import { Worker, type WorkerOptions } from 'node:worker_threads';

/**
 * Starts a thread in a module of this package, named relative to the module at `base` and without its ending. From
 * its TypeScript sources, as tests do, the thread has to be told of the loader first: Node 20 gives threads none.
 */
export function startWorker(module: string, base: string, options: WorkerOptions): Worker {
  const isSource = base.endsWith('.ts');
  const url = new URL(`${module}${isSource ? '.ts' : '.js'}`, base);
  if (!isSource) return new Worker(url, options);
  const loader = JSON.stringify(loaderFor(base));
  const program = `import { register } from ${loader}; register(); await import(${JSON.stringify(url.href)});`;
  return new Worker(new URL(`data:text/javascript,${encodeURIComponent(program)}`), options);
}

/** The loader's own module for threads; `require` would find one for CommonJS. */
const loaderFor = (base: string): string =>
  new URL('./esm/api/index.mjs', pathToFileURL(createRequire(base).resolve('tsx'))).href;
