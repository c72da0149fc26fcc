/** Serves the files of a directory over HTTP: GET and HEAD, one range, lists of directories. */
import { createReadStream, realpathSync, type Stats } from 'node:fs';
import { readdir, realpath, stat } from 'node:fs/promises';
import type { IncomingMessage, RequestListener, ServerResponse } from 'node:http';
import { extname, join, sep } from 'node:path';
import { pipeline } from 'node:stream';
import { CliError } from '../frame/errors.js';

const TYPES: Readonly<Record<string, string>> = {
  '.css': 'text/css; charset=utf-8',
  '.gif': 'image/gif',
  '.html': 'text/html; charset=utf-8',
  '.jpg': 'image/jpeg',
  '.jpeg': 'image/jpeg',
  '.js': 'text/javascript; charset=utf-8',
  '.json': 'application/json',
  '.md': 'text/markdown; charset=utf-8',
  '.mjs': 'text/javascript; charset=utf-8',
  '.pdf': 'application/pdf',
  '.png': 'image/png',
  '.svg': 'image/svg+xml',
  '.txt': 'text/plain; charset=utf-8',
  '.wasm': 'application/wasm',
  '.webp': 'image/webp',
  '.xml': 'application/xml',
};
const UNKNOWN_TYPE = 'application/octet-stream';
/** Names of a directory that are listed. */
const MAX_LISTED = 10_000;

/** @throws CliError where there is no such directory */
export function serveFiles(directory: string): RequestListener {
  let root: string;
  try {
    root = realpathSync(directory);
  } catch (error) {
    throw new CliError(`the files of --http-root cannot be served: ${(error as Error).message}`);
  }
  return (request, response) => {
    answer(root, request, response).catch((error: NodeJS.ErrnoException) => {
      if (response.headersSent) response.destroy();
      else refuse(response, error.code === 'EACCES' ? 403 : 404);
    });
  };
}

async function answer(root: string, request: IncomingMessage, response: ServerResponse): Promise<void> {
  if (request.method !== 'GET' && request.method !== 'HEAD') {
    response.setHeader('Allow', 'GET, HEAD');
    return refuse(response, 405);
  }
  const path = pathOf(request.url ?? '/');
  if (path === undefined) return refuse(response, 400);
  // A link may lead out of the directory: what counts is where the file really is.
  const file = await realpath(join(root, path));
  if (file !== root && !file.startsWith(root === sep ? sep : root + sep)) return refuse(response, 403);
  const facts = await stat(file);
  if (facts.isFile()) return sendFile(file, facts, request, response);
  if (!facts.isDirectory()) return refuse(response, 403);
  if (!path.endsWith('/')) {
    response.writeHead(301, {
      Location: `${path.split('/').map(encodeURIComponent).join('/')}/`,
      'Content-Length': 0,
    });
    response.end();
    return undefined;
  }
  const index = join(file, 'index.html');
  const indexFacts = await stat(index).catch(() => undefined);
  if (indexFacts?.isFile()) return sendFile(index, indexFacts, request, response);
  return sendList(file, path, response);
}

/** The path of a request, decoded; undefined for what cannot be one. */
function pathOf(url: string): string | undefined {
  try {
    const path = decodeURIComponent(new URL(url, 'http://stack/').pathname);
    return path.includes('\0') ? undefined : path;
  } catch {
    return undefined;
  }
}

async function sendFile(
  file: string,
  facts: Stats,
  request: IncomingMessage,
  response: ServerResponse,
): Promise<void> {
  const { size, mtime } = facts;
  response.setHeader('Content-Type', TYPES[extname(file).toLowerCase()] ?? UNKNOWN_TYPE);
  response.setHeader('Last-Modified', mtime.toUTCString());
  response.setHeader('Accept-Ranges', 'bytes');
  const range = rangeOf(request.headers.range, size);
  if (range === 'unsatisfiable') {
    response.setHeader('Content-Range', `bytes */${size}`);
    return refuse(response, 416);
  }
  const { start, end } = range ?? { start: 0, end: size - 1 };
  if (range !== undefined) response.setHeader('Content-Range', `bytes ${start}-${end}/${size}`);
  response.writeHead(range === undefined ? 200 : 206, { 'Content-Length': end - start + 1 });
  if (request.method === 'HEAD' || size === 0) response.end();
  // Whoever hangs up early is told nothing.
  else pipeline(createReadStream(file, { start, end }), response, () => {});
  return undefined;
}

/** One range of bytes (RFC 9110 §14.2); undefined for the whole, also where several are asked for. */
function rangeOf(
  text: string | undefined,
  size: number,
): { start: number; end: number } | 'unsatisfiable' | undefined {
  const [, first, last] = /^bytes=(\d*)-(\d*)$/.exec(text ?? '') ?? [];
  if (first === undefined || (first === '' && last === '')) return undefined;
  const start = first === '' ? Math.max(0, size - Number(last)) : Number(first);
  const end = first === '' || last === '' ? size - 1 : Math.min(Number(last), size - 1);
  return start < size && start <= end ? { start, end } : 'unsatisfiable';
}

async function sendList(directory: string, path: string, response: ServerResponse): Promise<void> {
  const entries = await readdir(directory, { withFileTypes: true });
  const rows = entries
    .sort((one, other) => (one.name < other.name ? -1 : 1))
    .slice(0, MAX_LISTED)
    .map((entry) => {
      const ending = entry.isDirectory() ? '/' : '';
      const link = `./${encodeURIComponent(entry.name)}${ending}`;
      return `<li><a href="${link}">${escaped(entry.name)}${ending}</a></li>`;
    });
  const title = escaped(path);
  const page = `<!doctype html><meta charset="utf-8"><title>${title}</title><h1>${title}</h1><ul>${rows.join('')}</ul>\n`;
  response.setHeader('Content-Type', 'text/html; charset=utf-8');
  response.end(page);
}

const ESCAPES: Readonly<Record<string, string>> = { '&': '&amp;', '<': '&lt;', '>': '&gt;', '"': '&quot;' };
const escaped = (text: string): string => text.replaceAll(/[&<>"]/g, (character) => ESCAPES[character]);

function refuse(response: ServerResponse, status: number): void {
  const text = `${status}\n`;
  response.writeHead(status, { 'Content-Type': 'text/plain', 'Content-Length': text.length });
  response.end(text);
}
