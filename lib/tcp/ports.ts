/** Which local ports are taken by listeners and bound endpoints, and which are free for a new connection. */
import { StackError } from '../base/errors.js';
import { type Random, randomBelow } from '../base/random.js';
import type { IpAddress } from '../wire/ip-address.js';
import type { TcpNeighbours } from './neighbours.js';

/** A claim on a port. */
export interface PortClaim {
  readonly port: number;
  /** Unspecified: every address of the family; of both families when `dualStack`. */
  readonly address: IpAddress;
  readonly dualStack: boolean;
  /** Members of a group share a port; connections are spread over them by hash. */
  readonly reusePort: boolean;
  /** Index of the only link it is for; -1 for all. */
  readonly link: number;
}

export class TcpPorts {
  /** Who else is to know which ports are claimed. */
  neighbours: TcpNeighbours | undefined;
  readonly #claims = new Map<number, PortClaim[]>();
  readonly #first: number;
  readonly #count: number;
  readonly #reserved: ReadonlySet<number>;
  readonly #kept = new Map<number, number>();
  readonly #random: Random;

  constructor(random: Random, range: readonly [number, number], reserved: readonly number[]) {
    this.#random = random;
    this.#first = range[0];
    this.#count = range[1] - range[0] + 1;
    this.#reserved = new Set(reserved);
  }

  /** Keeps a port from being chosen as ephemeral, once more for each call: somebody beside TCP uses it. */
  keep(port: number): void {
    this.#kept.set(port, (this.#kept.get(port) ?? 0) + 1);
  }

  /** Undoes one `keep`. */
  unkeep(port: number): void {
    const count = (this.#kept.get(port) ?? 0) - 1;
    if (count > 0) this.#kept.set(port, count);
    else this.#kept.delete(port);
  }

  isClaimed(port: number): boolean {
    return this.#claims.has(port);
  }

  /** @throws StackError EADDRINUSE when another claim overlaps */
  claim(claim: PortClaim, syscall: string): void {
    const claims = this.#claims.get(claim.port) ?? [];
    for (const other of claims) {
      if (overlap(claim, other) && !(claim.reusePort && other.reusePort)) {
        throw new StackError('EADDRINUSE', syscall, String(claim.address), claim.port);
      }
    }
    claims.push(claim);
    this.#claims.set(claim.port, claims);
    if (claims.length === 1) this.neighbours?.portTaken(claim.port);
  }

  release(claim: PortClaim): void {
    const claims = this.#claims.get(claim.port);
    if (claims === undefined) return;
    const index = claims.indexOf(claim);
    if (index >= 0) claims.splice(index, 1);
    if (claims.length === 0 && this.#claims.delete(claim.port)) this.neighbours?.portFreed(claim.port);
  }

  /**
   * A port of the ephemeral range for which `isFree` holds: a random one, then its successors
   * (RFC 6056 §3.3.1). The search ends after one turn through the range.
   * @returns 0 when all are taken
   */
  ephemeral(isFree: (port: number) => boolean): number {
    const start = randomBelow(this.#random, this.#count);
    for (let i = 0; i < this.#count; i++) {
      const port = this.#first + ((start + i) % this.#count);
      const isTaken = this.#reserved.has(port) || this.#kept.has(port) || this.#claims.has(port);
      if (!isTaken && isFree(port)) return port;
    }
    return 0;
  }
}

function overlap(a: PortClaim, b: PortClaim): boolean {
  const familiesMeet = a.address.family === b.address.family || a.dualStack || b.dualStack;
  if (!familiesMeet) return false;
  // As on Linux, claims for different links live side by side, and one for a link not with one for all.
  if (a.link >= 0 && b.link >= 0 && a.link !== b.link) return false;
  return a.address.isUnspecified || b.address.isUnspecified || a.address.equals(b.address);
}
