/** Bundles for a browser, made as users of the package make them. */
import { createRequire } from 'node:module';
import { resolve } from 'node:path';

interface Built {
  readonly outputFiles: readonly { readonly text: string }[];
  readonly metafile: { readonly inputs: Readonly<Record<string, { readonly imports: readonly Imported[] }>> };
  readonly warnings: readonly { readonly text: string }[];
}

interface Imported {
  readonly path: string;
  readonly external?: boolean;
}

type Build = (options: object) => Promise<Built>;

/** The one that tsx works with, which is no dependency of ours. */
function esbuild(): Build {
  const ofTsx = createRequire(createRequire(import.meta.url).resolve('tsx'));
  return (ofTsx('esbuild') as { build: Build }).build;
}

/** The built entry for browsers. */
export const ENTRY = resolve(process.env.TUNSTACK_DIST ?? 'dist', 'browser.js');

/** Bundles one module for a browser, `tunstack/browser` being the built entry. @throws Error for what cannot be */
export function bundle(path: string, options: object = {}): Promise<Built> {
  return esbuild()({
    entryPoints: [path],
    bundle: true,
    platform: 'browser',
    target: 'es2022',
    format: 'iife',
    alias: { 'tunstack/browser': ENTRY },
    metafile: true,
    write: false,
    logLevel: 'silent',
    ...options,
  });
}
