/**
 * The stack as the receiver of the comparison, on a TUN in the receiver's namespace, whose kernel forwards what
 * comes by the path. Arguments: the namespace, our address and port, and how many seconds to count. Does what
 * `kernel-ends sink` does for one connection: prints `listening`, counts from when it has come, then prints one
 * line of JSON and resets.
 */
import {
  Stack,
  SystemClock,
  SystemRandom,
  type TcpEndpoint,
  type TcpEndpointHandler,
  TunDevice,
} from '../../lib/index.js';
import type { SinkReport } from './path.js';
import { warmUp } from './warm-up.js';

const [netns, address, port, seconds] = process.argv.slice(2);
const piece = new Uint8Array(256 * 1024);

class Sink implements TcpEndpointHandler {
  readonly #endpoint: TcpEndpoint;
  bytes = 0;

  constructor(endpoint: TcpEndpoint) {
    this.#endpoint = endpoint;
    endpoint.handler = this;
    this.onReadable();
  }

  onReadable(): void {
    for (let bytes = this.#endpoint.read(piece); bytes > 0; bytes = this.#endpoint.read(piece)) {
      this.bytes += bytes;
    }
  }

  onConnect(): void {}

  onWritable(): void {}

  onEnd(): void {}

  onClose(): void {}
}

warmUp();
const stack = new Stack({ clock: new SystemClock(), random: new SystemRandom() });
const gateway = address.replace(/\d+$/, '1');
const tun = TunDevice.create({ netns, name: 'stack1', address: `${gateway}/24` });
stack.addLink(tun, { addresses: [`${address}/24`], defaultRoute: true });
stack.hold();
const listener = stack.listenTcp({ port: Number(port) });
listener.onConnection = () => {
  const endpoint = listener.accept();
  if (endpoint === undefined) return;
  const sink = new Sink(endpoint);
  setTimeout(() => {
    const peer = endpoint.remoteAddress?.toString() ?? '';
    const report: SinkReport = { seconds: Number(seconds), flows: [{ peer, bytes: sink.bytes }] };
    console.log(JSON.stringify(report));
    endpoint.abort();
    setImmediate(() => process.exit(0));
  }, Number(seconds) * 1000);
};
console.log('listening');
