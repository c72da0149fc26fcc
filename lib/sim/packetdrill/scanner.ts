/** Reads a script from left to right: white space, comments, words and numbers. */
import { PacketdrillSyntaxError } from './script.js';

const BLANK = /(?:\s+|\/\/[^\n]*|\/\*[\s\S]*?\*\/|#[^\n]*)*/y;
const WORD = /[A-Za-z_]\w*/y;
const INTEGER = /0[xX][0-9a-fA-F]+|\d+/y;
const SECONDS = /\d+(?:\.(?!\.\.)\d*)?|\.\d+/y;

export class Scanner {
  readonly text: string;
  at = 0;

  constructor(text: string) {
    this.text = text;
  }

  /** Of the place it stands at, from 1. */
  get line(): number {
    return this.lineAt(this.at);
  }

  lineAt(place: number): number {
    let line = 1;
    for (let i = this.text.indexOf('\n'); i >= 0 && i < place; i = this.text.indexOf('\n', i + 1)) line++;
    return line;
  }

  /** Passes over white space and comments. */
  skip(): void {
    BLANK.lastIndex = this.at;
    BLANK.exec(this.text);
    this.at = BLANK.lastIndex;
  }

  get isAtEnd(): boolean {
    this.skip();
    return this.at >= this.text.length;
  }

  /** Takes what `pattern`, which must be sticky, matches here. */
  match(pattern: RegExp): RegExpExecArray | undefined {
    this.skip();
    return this.matchHere(pattern);
  }

  /** As `match`, with nothing passed over. */
  matchHere(pattern: RegExp): RegExpExecArray | undefined {
    pattern.lastIndex = this.at;
    const found = pattern.exec(this.text);
    if (found === null) return undefined;
    this.at = pattern.lastIndex;
    return found;
  }

  isNext(literal: string): boolean {
    this.skip();
    return this.text.startsWith(literal, this.at);
  }

  take(literal: string): boolean {
    if (!this.isNext(literal)) return false;
    this.at += literal.length;
    return true;
  }

  /** Takes a whole word, and only that one. */
  takeWord(wanted: string): boolean {
    this.skip();
    const before = this.at;
    if (this.matchHere(WORD)?.[0] === wanted) return true;
    this.at = before;
    return false;
  }

  expect(literal: string): void {
    if (!this.take(literal)) this.fail(`"${literal}" expected`);
  }

  word(): string | undefined {
    return this.match(WORD)?.[0];
  }

  integer(): number | undefined {
    const found = this.match(INTEGER);
    return found === undefined ? undefined : Number(found[0]);
  }

  /** @returns µs */
  seconds(): number | undefined {
    const found = this.match(SECONDS);
    return found === undefined ? undefined : Math.round(Number(found[0]) * 1e6);
  }

  /** Takes everything up to `end`, and that too. */
  until(end: string): string {
    const place = this.text.indexOf(end, this.at);
    if (place < 0) this.fail(`"${end}" is missing`);
    const taken = this.text.slice(this.at, place);
    this.at = place + end.length;
    return taken;
  }

  fail(message: string): never {
    const [rest] = this.text.slice(this.at, this.at + 40).split('\n', 1);
    throw new PacketdrillSyntaxError(this.line, rest === '' ? message : `${message} at "${rest.trim()}"`);
  }
}
