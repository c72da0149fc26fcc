/**
 * Loaded before a test: gives those who ask for `dgram` that of a stack, and those who ask for Node's internals of
 * it the stack's. The stack's package is named by `?dist=`, a URL.
 */
import Module from 'node:module';

const { Stack, SystemClock, SystemRandom } = await import(
  new URL(import.meta.url).searchParams.get('dist') ?? ''
);
const { dgram } = new Stack({ clock: new SystemClock(), random: new SystemRandom() });

function internals() {
  const socket = dgram.createSocket('udp4');
  const symbols = Object.getOwnPropertySymbols(socket);
  socket.close();
  const kStateSymbol = symbols.find(({ description }) => description === 'state symbol');
  return { kStateSymbol, _createSocketHandle: dgram._createSocketHandle };
}

const load = Module._load;
Module._load = function (request, ...rest) {
  if (request === 'dgram' || request === 'node:dgram') return dgram;
  if (request === 'internal/dgram') return internals();
  return Reflect.apply(load, this, [request, ...rest]);
};
