/** What was never meant to be used, and is: the private parts of a socket by their old names (DEP0112). */
import { deprecate } from 'node:util';
import { handleOf, kState, type SocketState, type Stateful, stopReceiving } from './state.js';

const PROPERTIES: Readonly<Record<string, keyof SocketState>> = {
  _handle: 'handle',
  _receiving: 'receiving',
  _bindState: 'bindState',
  _queue: 'queue',
  _reuseAddr: 'reuseAddr',
};

const warns = <Call extends (this: Stateful, ...args: never[]) => unknown>(call: Call, name: string): Call =>
  deprecate(call as never, `Socket.prototype.${name} is deprecated`, 'DEP0112');

/** Adds the old names to the prototype of sockets. */
export function addLegacyNames(prototype: object): void {
  for (const [name, key] of Object.entries(PROPERTIES)) {
    Object.defineProperty(prototype, name, {
      configurable: false,
      enumerable: false,
      get: warns(function (this: Stateful) {
        return this[kState][key];
      }, name),
      set: warns(function (this: Stateful, value: never) {
        (this[kState] as unknown as Record<string, unknown>)[key] = value;
      }, name),
    });
  }
  Object.assign(prototype, {
    _healthCheck: warns(function (this: Stateful) {
      handleOf(this);
    }, '_healthCheck()'),
    _stopReceiving: warns(function (this: Stateful) {
      stopReceiving(this);
    }, '_stopReceiving()'),
  });
}
