/**
 * The paths of a socket that sends to many: each destination has one place, which a newcomer takes
 * over. The cache grows while newcomers push others out, up to a limit.
 */
import { ANY_V4, type IpAddress } from '../wire/ip-address.js';
import type { DatagramPath } from './carrier.js';

const FIRST_PLACES = 4;
const MAX_PLACES = 1024;

/** What a path is asked for by. */
export class PathKey {
  destination: IpAddress = ANY_V4;
  /** Undefined: IP chooses. */
  source: IpAddress | undefined = undefined;
  port = 0;
  /** 0: any. */
  link = 0;
}

interface Entry extends Readonly<PathKey> {
  readonly path: DatagramPath;
}

export class PathCache {
  #places: (Entry | undefined)[] = [];
  readonly #maxPlaces: number;

  /** @param maxPlaces paths it keeps at most; a power of two from 4 */
  constructor(maxPlaces = MAX_PLACES) {
    this.#maxPlaces = maxPlaces;
  }

  /** @returns undefined for one that is not known, or was resolved in another state of the routes */
  find(key: PathKey, generation: number): DatagramPath | undefined {
    if (this.#places.length === 0) return undefined;
    const entry = this.#places[placeOf(key, this.#places.length)];
    if (entry === undefined || entry.path.generation !== generation || !isSame(entry, key)) return undefined;
    return entry.path;
  }

  add(key: PathKey, path: DatagramPath): void {
    if (this.#places.length === 0) this.#places = new Array<Entry | undefined>(FIRST_PLACES).fill(undefined);
    const other = this.#places[placeOf(key, this.#places.length)];
    const pushedOut = other !== undefined && other.path.generation === path.generation && !isSame(other, key);
    if (pushedOut && this.#places.length < this.#maxPlaces) this.#grow();
    const { destination, source, port, link } = key;
    this.#places[placeOf(key, this.#places.length)] = { destination, source, port, link, path };
  }

  clear(): void {
    this.#places = [];
  }

  #grow(): void {
    const before = this.#places;
    this.#places = new Array<Entry | undefined>(before.length * 2).fill(undefined);
    for (const entry of before) {
      if (entry !== undefined) this.#places[placeOf(entry, this.#places.length)] = entry;
    }
  }
}

function isSame(a: Readonly<PathKey>, b: Readonly<PathKey>): boolean {
  if (a.port !== b.port || a.link !== b.link) return false;
  if (a.destination !== b.destination && !a.destination.equals(b.destination)) return false;
  return a.source === b.source || (a.source !== undefined && b.source?.equals(a.source) === true);
}

/** A collision costs one look at the routes: no reason for a keyed hash. */
function placeOf(key: Readonly<PathKey>, places: number): number {
  const { destination, source, port } = key;
  const words = destination.w3 ^ Math.imul(destination.w1 ^ destination.w2, 0x85eb_ca6b) ^ (port << 16);
  const mixed = Math.imul(words, 0x9e37_79b1);
  return ((mixed >>> 16) ^ (source === undefined ? 0 : source.w3)) & (places - 1);
}
