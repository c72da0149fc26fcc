/**
 * The ports of a stack by index and name.
 */
import { invariant } from '../base/errors.js';
import type { OutputPort } from './interfaces.js';

export class PortTable {
  #ports: (OutputPort | undefined)[] = [];

  add(port: OutputPort): void {
    invariant(this.#ports[port.index] === undefined, 'a port index is used once');
    while (this.#ports.length < port.index) this.#ports.push(undefined);
    this.#ports[port.index] = port;
  }

  remove(index: number): void {
    if (index < this.#ports.length) this.#ports[index] = undefined;
  }

  get(index: number): OutputPort | undefined {
    return index >= 0 && index < this.#ports.length ? this.#ports[index] : undefined;
  }

  isUp(index: number): boolean {
    return this.get(index)?.isUp ?? false;
  }

  /** Index of a port by its index or name; -1 for none. */
  indexOf(port: string | number): number {
    if (typeof port === 'number') return this.get(port) === undefined ? -1 : port;
    return this.#ports.findIndex((candidate) => candidate?.name === port);
  }

  nameOf(index: number): string {
    return this.get(index)?.name ?? String(index);
  }

  all(): OutputPort[] {
    return this.#ports.filter((port) => port !== undefined);
  }
}
