/** Threads of the package's own: each begins in one of its modules. */
import { createRequire } from 'node:module';
import process from 'node:process';
import { pathToFileURL } from 'node:url';
import { Worker, type WorkerOptions } from 'node:worker_threads';

/**
 * Starts a thread in a module of this package, named relative to the module at `base` and without its ending. From
 * its TypeScript sources, as tests do, the thread has to be told of the loader first: Node 20 gives threads none.
 */
export function startWorker(module: string, base: string, options: WorkerOptions): Worker {
  const isSource = base.endsWith('.ts');
  const url = new URL(`${module}${isSource ? '.ts' : '.js'}`, base);
  if (!isSource) return new Worker(url, withoutInputType(options));
  const loader = JSON.stringify(loaderFor(base));
  const program = `import { register } from ${loader}; register(); await import(${JSON.stringify(url.href)});`;
  return new Worker(new URL(`data:text/javascript,${encodeURIComponent(program)}`), options);
}

/** The loader's own module for threads; `require` would find one for CommonJS. */
const loaderFor = (base: string): string =>
  new URL('./esm/api/index.mjs', pathToFileURL(createRequire(base).resolve('tsx'))).href;

/** A process that runs a program given as text (`--input-type`) has threads of files all the same. */
function withoutInputType(options: WorkerOptions): WorkerOptions {
  const { execArgv } = process;
  const at = execArgv.findIndex((argument) => argument.startsWith('--input-type'));
  if (at < 0 || options.execArgv !== undefined) return options;
  // The program itself, where it stands there too, is no option of a thread's.
  const end = execArgv.findIndex((argument) => /^(-e|-p|-pe|--eval|--print)$/.test(argument));
  return { ...options, execArgv: execArgv.slice(0, end < 0 ? undefined : end).filter((_, i) => i !== at) };
}
