/** What a program leaves behind, by a mark in its environment that whatever it starts inherits. */
import { readdirSync, readFileSync } from 'node:fs';

let marks = 0;

/** A mark of its own: an environment variable and its value. */
export function newMark(): { readonly name: string; readonly value: string } {
  return { name: 'TUNSTACK_TEST_MARK', value: `${process.pid}.${++marks}.` };
}

/** Processes of this user that have the mark in their environment. */
export function processesWith({ name, value }: { readonly name: string; readonly value: string }): number[] {
  return readdirSync('/proc')
    .filter((pid) => /^\d+$/.test(pid))
    .filter((pid) => {
      try {
        return readFileSync(`/proc/${pid}/environ`, 'latin1').includes(`${name}=${value}`);
      } catch {
        return false; // another user's, or gone
      }
    })
    .map(Number);
}
