/** Classes that may be called like functions, as the constructors of `node:net` may. */

type Class<Instance extends object> = new (...args: never[]) => Instance;

/**
 * `Base` with `Base()` for `new Base()`, and `Base.call(this, …)` for the constructors of old that
 * inherit by `util.inherits`.
 * @param initialize what the constructor does, for an object that exists already
 */
export function callable<Instance extends object, C extends Class<Instance>>(
  base: C,
  initialize: (instance: Instance, args: unknown[]) => void,
): C {
  const proxy = new Proxy(base, {
    apply(target, self: unknown, args: unknown[]): unknown {
      if (!(self instanceof target)) return Reflect.construct(target, args) as Instance;
      initialize(self, args);
      return undefined;
    },
  });
  Object.defineProperty(base.prototype, 'constructor', { value: proxy, writable: true, configurable: true });
  return proxy;
}
