/** Rows, columns and curves as arguments name them. */

/** Arguments that make no sense. */
export class UsageError extends Error {}

/** The named ones of a list, all without names. @throws UsageError on a name that is not there */
export function pick<T extends { readonly name: string }>(
  all: readonly T[],
  names: readonly string[] | undefined,
): T[] {
  for (const name of names ?? []) {
    if (!all.some((item) => item.name === name)) {
      throw new UsageError(`no "${name}"; there are ${all.map((item) => item.name).join(', ')}`);
    }
  }
  return all.filter((item) => names === undefined || names.includes(item.name));
}
