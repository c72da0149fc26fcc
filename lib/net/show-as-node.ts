/** Lets what looks like Node's also look like it to those who list members, or ask functions for their parameters. */

/** Members of `ours` that `theirs` has too are listed where Node's are, and take as many arguments. */
export function showAsNode(ours: object, theirs: object): void {
  for (const key of Reflect.ownKeys(ours)) {
    const own = Object.getOwnPropertyDescriptor(ours, key);
    const model = Object.getOwnPropertyDescriptor(theirs, key);
    if (own?.configurable !== true || model === undefined) continue;
    if (typeof own.value === 'function' && typeof model.value === 'function') {
      const { length } = model.value as { length: number };
      Object.defineProperty(own.value, 'length', { value: length, configurable: true });
    }
    Object.defineProperty(ours, key, { ...own, enumerable: model.enumerable === true });
  }
}
