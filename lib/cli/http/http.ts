/** `tunstack http`: one request over the stack, redirects followed where that is wanted. */
import { createWriteStream, readFileSync } from 'node:fs';
import http, { type IncomingMessage, type OutgoingHttpHeaders } from 'node:http';
import https from 'node:https';
import type { Socket } from 'node:net';
import type { Writable } from 'node:stream';
import { finished, pipeline } from 'node:stream/promises';
import { checkServerIdentity, type PeerCertificate } from 'node:tls';
import type { CommandContext } from '../frame/context.js';
import { CliError, ExitStatus, UsageError } from '../frame/errors.js';
import type { Output } from '../frame/output.js';
import { hostItself, lookupOf } from '../network/door-names.js';
import { familyOf } from '../network/family.js';
import { type Network, openNetwork } from '../network/network.js';
import { failure } from './failure.js';
import { HttpExit, type HttpOptions } from './options.js';

type HttpContext = CommandContext<HttpOptions>;

/** What is asked for. */
interface Wish {
  readonly url: URL;
  readonly method: string;
  readonly headers: OutgoingHttpHeaders;
  readonly body: Buffer | undefined;
}

/** When things happened, ms since the request began. */
interface Times {
  readonly startMs: number;
  connectMs: number;
  firstByteMs: number;
}

interface Answer {
  readonly response: IncomingMessage;
  readonly times: Times;
}

export async function fetchOverStack(context: HttpContext): Promise<number> {
  const { options, args } = context;
  let wish = firstWish(args[0], options, context.version);
  const network = await openNetwork(context, options, { fallback: 'host' });
  const agents = openAgents(network, options);
  context.defer(() => {
    agents.http.destroy();
    agents.https.destroy();
  });
  const limit = limitOf(options);
  try {
    for (let redirects = 0; ; redirects++) {
      const answer = await limit.race(ask(wish, agents, options));
      const next = options.location ? redirected(wish, answer.response) : undefined;
      if (next === undefined) return await limit.race(take(context, wish, answer));
      if (redirects === options.maxRedirects) {
        throw new CliError(`more than ${redirects} redirects`, HttpExit.TooManyRedirects);
      }
      answer.response.resume();
      wish = next;
    }
  } finally {
    limit.clear();
  }
}

/** Checks what was typed. @throws UsageError, CliError */
function firstWish(text: string, options: HttpOptions, version: string): Wish {
  const url = parseUrl(/^[a-z]+:\/\//i.test(text) ? text : `http://${text}`);
  const body = bodyOf(options.data);
  const headers: OutgoingHttpHeaders = { 'user-agent': `tunstack/${version}`, accept: '*/*' };
  if (body !== undefined) {
    headers['content-type'] = 'application/x-www-form-urlencoded';
    headers['content-length'] = body.length;
  }
  // One given twice is sent twice.
  const given = new Map<string, string[]>();
  for (const line of options.header) {
    const [, name, value] = /^([^:\s]+):\s*(.*)$/.exec(line) ?? [];
    if (name === undefined) throw new UsageError(`a header is "Name: value", not "${line}"`);
    const key = name.toLowerCase();
    const before = given.get(key) ?? [];
    given.set(key, [...before, value]);
    headers[key] = before.length === 0 ? value : [...before, value];
  }
  const usual = options.head ? 'HEAD' : body === undefined ? 'GET' : 'POST';
  return { url, method: options.request ?? usual, headers, body };
}

function parseUrl(text: string, base?: URL): URL {
  const url = URL.canParse(text, base?.href) ? new URL(text, base) : undefined;
  if (url?.protocol === 'http:' || url?.protocol === 'https:') return url;
  throw new CliError(`"${text}" is no URL of http or https`, HttpExit.MalformedUrl);
}

/** `text`, `@file`, or `@-` for standard input; several are joined by `&`. */
function bodyOf(data: readonly string[]): Buffer | undefined {
  if (data.length === 0) return undefined;
  const pieces = data.map((piece) => {
    if (!piece.startsWith('@')) return Buffer.from(piece);
    const path = piece.slice(1);
    try {
      return readFileSync(path === '-' ? 0 : path);
    } catch (error) {
      throw new CliError((error as Error).message, HttpExit.ReadError);
    }
  });
  return Buffer.concat(pieces.flatMap((piece, i) => (i === 0 ? [piece] : [Buffer.from('&'), piece])));
}

interface Agents {
  readonly http: http.Agent;
  readonly https: https.Agent;
}

function openAgents({ stack, kind }: Network, { cacert, insecure }: HttpOptions): Agents {
  const kept = { keepAlive: true };
  const trust = {
    rejectUnauthorized: !insecure,
    ...(cacert === undefined ? {} : { ca: readCa(cacert) }),
  };
  const agents = { http: stack.agent(kept), https: stack.httpsAgent({ ...kept, ...trust }) };
  if (kind === 'host') for (const agent of Object.values(agents)) leadToHost(agent);
  return agents;
}

interface ConnectOptions {
  readonly host?: string;
  readonly family?: number;
  readonly servername?: string;
}

/** Has an agent connect to the host by the addresses it has behind the gateway, whatever it is called. */
function leadToHost(agent: http.Agent): void {
  const connecting = agent as unknown as { createConnection(options: ConnectOptions, done: unknown): Socket };
  const connect = connecting.createConnection.bind(agent);
  connecting.createConnection = (options, done) => {
    const { host = '', family, servername = '' } = options;
    const addresses = hostItself(host, family === 4 || family === 6 ? family : 0);
    if (addresses === undefined) return connect(options, done);
    const itself = {
      ...options,
      // An address would not be looked up.
      host: 'localhost',
      lookup: lookupOf(addresses),
      autoSelectFamily: true,
      // The certificate is still one of whom was asked for.
      checkServerIdentity: (_name: string, certificate: PeerCertificate) =>
        checkServerIdentity(servername === '' ? host : servername, certificate),
    };
    return connect(itself, done);
  };
}

function readCa(path: string): Buffer {
  try {
    return readFileSync(path);
  } catch (error) {
    throw new CliError((error as Error).message, HttpExit.CaFileUnreadable);
  }
}

/** The time the whole may take. */
function limitOf({ maxTime }: HttpOptions): { race<T>(work: Promise<T>): Promise<T>; clear(): void } {
  let timer: NodeJS.Timeout | undefined;
  const late = new Promise<never>((_resolve, reject) => {
    // As curl has it.
    if (maxTime === undefined || maxTime === 0) return;
    const error = new CliError('the time of --max-time is over', HttpExit.TimedOut);
    timer = setTimeout(() => reject(error), maxTime);
  });
  late.catch(() => {});
  return { race: (work) => Promise.race([work, late]), clear: () => clearTimeout(timer) };
}

/** Sends the request. Settles when the head of the answer is there. */
function ask(wish: Wish, agents: Agents, options: HttpOptions): Promise<Answer> {
  const { url, method, headers, body } = wish;
  const isTls = url.protocol === 'https:';
  const times: Times = { startMs: performance.now(), connectMs: 0, firstByteMs: 0 };
  return new Promise((resolve, reject) => {
    const request = begin(isTls ? https : http, url, {
      agent: isTls ? agents.https : agents.http,
      method,
      headers,
      family: familyOf(options),
    });
    let connected = false;
    const onConnected = (): void => {
      connected = true;
      times.connectMs = performance.now() - times.startMs;
    };
    request.once('socket', (socket: Socket) => {
      if (!socket.connecting) return onConnected();
      socket.once('connect', onConnected);
      limitConnecting(socket, options.connectTimeout);
    });
    request.once('error', (error) => reject(describe(error, connected ? '' : url.host)));
    request.once('response', (response) => {
      times.firstByteMs = performance.now() - times.startMs;
      resolve({ response, times });
    });
    // An answer that is none, such as one that switches protocols, is told of by nothing else.
    request.once('close', () => reject(new CliError('there was no answer', HttpExit.EmptyReply)));
    request.end(body);
  });
}

/** @throws UsageError for a method or a header that cannot be sent */
function begin(
  module: typeof http | typeof https,
  url: URL,
  options: https.RequestOptions,
): http.ClientRequest {
  try {
    return module.request(url, options);
  } catch (error) {
    throw new UsageError((error as Error).message);
  }
}

/** @param unreached the host that was not even connected to */
function describe(error: Error & { code?: string }, unreached: string): CliError {
  // Node's words for a connection that ended without an answer.
  if (error.message === 'socket hang up')
    return new CliError('the server closed without an answer', HttpExit.EmptyReply);
  const told = failure(error, unreached === '');
  return unreached === '' ? told : new CliError(`${unreached}: ${told.message}`, told.status);
}

function limitConnecting(socket: Socket, ms: number | undefined): void {
  if (ms === undefined || ms === 0) return;
  const error = new CliError('the time of --connect-timeout is over', HttpExit.TimedOut);
  const timer = setTimeout(() => socket.destroy(error), ms);
  socket.once('connect', () => clearTimeout(timer)).once('close', () => clearTimeout(timer));
}

/** What the answer asks for instead; undefined where it asks for nothing. */
function redirected(wish: Wish, { statusCode = 0, headers }: IncomingMessage): Wish | undefined {
  const { location } = headers;
  if (location === undefined || ![301, 302, 303, 307, 308].includes(statusCode)) return undefined;
  const url = parseUrl(location, wish.url);
  const kept = { ...wish.headers };
  // Secrets are for whom they were given, and the way they were.
  if (url.origin !== wish.url.origin)
    for (const name of ['authorization', 'cookie', 'host']) delete kept[name];
  const becomesGet =
    statusCode === 303 ? wish.method !== 'HEAD' : wish.method === 'POST' && statusCode <= 302;
  if (!becomesGet) return { ...wish, url, headers: kept };
  for (const name of ['content-length', 'content-type']) delete kept[name];
  return { url, method: 'GET', headers: kept, body: undefined };
}

/** Prints or saves the answer. */
async function take(
  { options, output }: HttpContext,
  wish: Wish,
  { response, times }: Answer,
): Promise<number> {
  const { statusCode = 0, statusMessage = '', httpVersion } = response;
  const failed = options.fail && statusCode >= 400;
  if (failed) {
    response.destroy();
    throw new CliError(`the server answered ${statusCode} ${statusMessage}`, HttpExit.HttpError);
  }
  const target = openTarget(options, output);
  if ((options.include || options.head) && !output.isJson) target.write(headText(response));
  const bytes = await copyBody(response, target, { output, options });
  output.json({
    url: wish.url.href,
    method: wish.method,
    httpVersion,
    status: statusCode,
    statusMessage,
    headers: response.headers,
    bytes,
    ...(options.output === undefined ? {} : { file: options.output }),
    connectMs: times.connectMs,
    firstByteMs: times.firstByteMs,
    totalMs: performance.now() - times.startMs,
  });
  return ExitStatus.Ok;
}

/** With `--json` the body is shown nowhere unless it goes to a file. */
function openTarget({ output: path }: HttpOptions, output: Output): Writable | Discard {
  if (path !== undefined && path !== '-') return createWriteStream(path);
  return output.isJson ? new Discard() : process.stdout;
}

/** Where nothing is kept. */
class Discard {
  write(): boolean {
    return true;
  }
}

function headText({ httpVersion, statusCode, statusMessage, rawHeaders }: IncomingMessage): string {
  const lines = [`HTTP/${httpVersion} ${statusCode} ${statusMessage}`];
  for (let i = 0; i < rawHeaders.length; i += 2) lines.push(`${rawHeaders[i]}: ${rawHeaders[i + 1]}`);
  return `${lines.join('\r\n')}\r\n\r\n`;
}

/** @returns the bytes of the body */
async function copyBody(
  response: IncomingMessage,
  target: Writable | Discard,
  { output, options }: { readonly output: Output; readonly options: HttpOptions },
): Promise<number> {
  const isShown = target === process.stdout && process.stdout.isTTY;
  const total = Number(response.headers['content-length'] ?? 0);
  const bar = options.silent || isShown ? undefined : output.progress('body', total);
  let bytes = 0;
  response.on('data', (piece: Buffer) => {
    bytes += piece.length;
    bar?.update(bytes);
  });
  try {
    if (target instanceof Discard) await finished(response.resume());
    else await pipeline(response, target, { end: target !== process.stdout });
  } catch (error) {
    throw bodyFailure(error as Error & { syscall?: string; code?: string });
  } finally {
    bar?.stop();
  }
  return bytes;
}

/** What only a file says. */
const NOT_WRITTEN = new Set(['ENOSPC', 'EDQUOT', 'EFBIG', 'EIO']);

function bodyFailure(error: Error & { syscall?: string; code?: string }): CliError {
  if (error.syscall === 'open' || NOT_WRITTEN.has(error.code ?? '')) {
    return new CliError(error.message, HttpExit.WriteError);
  }
  if (error.message === 'aborted' || error.code === 'ERR_STREAM_PREMATURE_CLOSE') {
    return new CliError('the connection ended before the body did', HttpExit.Partial);
  }
  return failure(error, true);
}
