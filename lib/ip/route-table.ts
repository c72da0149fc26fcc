/**
 * One routing table of one family: a path-compressed binary trie, so that a lookup visits at most one
 * node per bit and, in practice, about log2 of the number of routes.
 *
 * IPv4 addresses take part in their mapped form with 96 bits before them; the trie's compression makes
 * these cost one comparison.
 */
import type { IpPrefix } from '../wire/ip-address.js';
import { maskWord } from './prefix-mask.js';
import type { Route } from './route.js';

export class TrieNode {
  readonly w0: number;
  readonly w1: number;
  readonly w2: number;
  readonly w3: number;
  /** Bits that count, 0 .. 128. */
  readonly bits: number;
  /** Routes to this very prefix, best first; empty in a node that only branches. */
  routes: Route[] = [];
  left: TrieNode | null = null;
  right: TrieNode | null = null;
  parent: TrieNode | null = null;

  constructor(words: Words, bits: number) {
    this.bits = bits;
    this.w0 = words.w0 & maskWord(0, bits);
    this.w1 = words.w1 & maskWord(1, bits);
    this.w2 = words.w2 & maskWord(2, bits);
    this.w3 = words.w3 & maskWord(3, bits);
  }

  covers(w0: number, w1: number, w2: number, w3: number): boolean {
    const n = this.bits;
    if (n > 96) {
      return w0 === this.w0 && w1 === this.w1 && w2 === this.w2 && ((w3 ^ this.w3) & (-1 << (128 - n))) === 0;
    }
    return (
      ((w0 ^ this.w0) & maskWord(0, n)) === 0 &&
      ((w1 ^ this.w1) & maskWord(1, n)) === 0 &&
      ((w2 ^ this.w2) & maskWord(2, n)) === 0
    );
  }
}

interface Words {
  readonly w0: number;
  readonly w1: number;
  readonly w2: number;
  readonly w3: number;
}

/** Bit `at` (0 is most significant) of an address. */
const bitOf = (words: Words, at: number): number => {
  const word = at < 64 ? (at < 32 ? words.w0 : words.w1) : at < 96 ? words.w2 : words.w3;
  return (word >>> (31 - (at & 31))) & 1;
};

/** How many leading bits two addresses share. */
function commonBits(a: Words, b: Words): number {
  if (a.w0 !== b.w0) return Math.clz32(a.w0 ^ b.w0);
  if (a.w1 !== b.w1) return 32 + Math.clz32(a.w1 ^ b.w1);
  if (a.w2 !== b.w2) return 64 + Math.clz32(a.w2 ^ b.w2);
  return a.w3 === b.w3 ? 128 : 96 + Math.clz32(a.w3 ^ b.w3);
}

const trieBits = (prefix: IpPrefix): number => (prefix.family === 4 ? prefix.length + 96 : prefix.length);

/** Whether `a` is to be tried before `b`, which was there first: exact TOS, metric, preference. */
const goesBefore = (a: Route, b: Route): boolean => {
  if (a.tos !== b.tos) return a.tos > b.tos;
  if (a.metric !== b.metric) return a.metric < b.metric;
  return a.preference > b.preference;
};

export class RouteTable {
  readonly id: number;
  #root: TrieNode | null = null;
  #count = 0;

  constructor(id: number) {
    this.id = id;
  }

  /** Routes in it. */
  get count(): number {
    return this.#count;
  }

  /** The routes to this very prefix, best first. */
  at(prefix: IpPrefix): readonly Route[] {
    return this.#find(prefix)?.routes ?? [];
  }

  /**
   * The most specific node that covers an address. Walking from it by `parent` meets every other
   * that does, from specific to general.
   */
  deepest(w0: number, w1: number, w2: number, w3: number): TrieNode | null {
    let node = this.#root;
    let found: TrieNode | null = null;
    while (node !== null && node.covers(w0, w1, w2, w3)) {
      found = node;
      const at = node.bits;
      if (at === 128) break;
      const word = at < 64 ? (at < 32 ? w0 : w1) : at < 96 ? w2 : w3;
      node = ((word >>> (31 - (at & 31))) & 1) === 0 ? node.left : node.right;
    }
    return found;
  }

  /** Adds a route behind (or before) its equals; a better one always comes first. */
  insert(route: Route, beforeEquals = false): void {
    const routes = this.#nodeFor(route.prefix).routes;
    const stays = (old: Route): boolean => (beforeEquals ? goesBefore(old, route) : !goesBefore(route, old));
    let place = 0;
    while (place < routes.length && stays(routes[place])) place++;
    routes.splice(place, 0, route);
    this.#count++;
  }

  /** Puts `route` in the place of `old`, which has the same prefix, TOS and metric. */
  replace(old: Route, route: Route): void {
    const routes = this.#find(old.prefix)?.routes;
    const place = routes?.indexOf(old) ?? -1;
    if (routes !== undefined && place >= 0) routes[place] = route;
  }

  /** Removes this very route; false when it is not here. */
  remove(route: Route): boolean {
    const node = this.#find(route.prefix);
    const place = node?.routes.indexOf(route) ?? -1;
    if (node === null || place < 0) return false;
    node.routes.splice(place, 1);
    this.#count--;
    this.#prune(node);
    return true;
  }

  *[Symbol.iterator](): IterableIterator<Route> {
    const waiting: TrieNode[] = this.#root === null ? [] : [this.#root];
    for (let node = waiting.pop(); node !== undefined; node = waiting.pop()) {
      yield* node.routes;
      if (node.right !== null) waiting.push(node.right);
      if (node.left !== null) waiting.push(node.left);
    }
  }

  #find(prefix: IpPrefix): TrieNode | null {
    const a = prefix.address;
    const bits = trieBits(prefix);
    let node = this.deepest(a.w0, a.w1, a.w2, a.w3);
    while (node !== null && node.bits > bits) node = node.parent;
    return node !== null && node.bits === bits ? node : null;
  }

  #nodeFor(prefix: IpPrefix): TrieNode {
    const words: Words = prefix.address;
    const bits = trieBits(prefix);
    let parent: TrieNode | null = null;
    let node = this.#root;
    while (node !== null) {
      const shared = Math.min(commonBits(words, node), bits, node.bits);
      if (shared < node.bits) return this.#split(node, shared, words, bits);
      if (node.bits === bits) return node;
      parent = node;
      node = bitOf(words, node.bits) === 0 ? node.left : node.right;
    }
    const leaf = new TrieNode(words, bits);
    this.#attach(parent, leaf);
    return leaf;
  }

  /** Makes room above `node`, which shares only `shared` bits with the new prefix. */
  #split(node: TrieNode, shared: number, words: Words, bits: number): TrieNode {
    const above = new TrieNode(words, shared);
    this.#attach(node.parent, above);
    this.#attach(above, node);
    if (shared === bits) return above;
    const leaf = new TrieNode(words, bits);
    this.#attach(above, leaf);
    return leaf;
  }

  /** Hangs `child` under `parent`, in place of whatever is on that side. */
  #attach(parent: TrieNode | null, child: TrieNode): void {
    child.parent = parent;
    if (parent === null) this.#root = child;
    else if (bitOf(child, parent.bits) === 0) parent.left = child;
    else parent.right = child;
  }

  /** Takes away nodes that neither hold a route nor branch. */
  #prune(start: TrieNode): void {
    let node: TrieNode | null = start;
    while (node !== null && node.routes.length === 0 && (node.left === null || node.right === null)) {
      const child: TrieNode | null = node.left ?? node.right;
      const parent: TrieNode | null = node.parent;
      if (child !== null) {
        this.#attach(parent, child);
        return;
      }
      if (parent === null) this.#root = null;
      else if (parent.left === node) parent.left = null;
      else parent.right = null;
      node = parent;
    }
  }
}
