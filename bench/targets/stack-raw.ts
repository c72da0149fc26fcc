/** The services of the benchmark on raw endpoints. Arguments: the namespace, its address, ours. */
import { copyBytes } from '../../lib/base/copy.js';
import { IpAddress, type Stack, type TcpEndpoint, type TcpEndpointHandler } from '../../lib/index.js';
import { openBenchStack } from './bench-stack.js';
import { answerQuestionsAbout, PORT_DISCARD, PORT_ECHO, PORT_SOURCE } from './services.js';

const piece = new Uint8Array(256 * 1024);
const pieceView = new DataView(piece.buffer);
let connections = 0;

/** What every service has in common: it counts, and ends when the client ends. */
class Service implements TcpEndpointHandler {
  protected readonly endpoint: TcpEndpoint;

  constructor(endpoint: TcpEndpoint) {
    this.endpoint = endpoint;
    connections++;
  }

  onConnect(): void {}

  onReadable(): void {}

  onWritable(): void {}

  onEnd(): void {
    this.endpoint.shutdown();
  }

  onClose(): void {
    connections--;
  }
}

class Echo extends Service {
  override onReadable(): void {
    const bytes = this.endpoint.read(piece);
    if (bytes > 0) this.endpoint.write(piece, 0, bytes);
  }
}

/** Copies all it gets once, and answers the end with the number of bytes. */
class Discard extends Service {
  #bytes = 0;

  override onConnect(): void {
    this.endpoint.setSink(this);
  }

  take(_bytes: Uint8Array, at: number, length: number, view: DataView): boolean {
    copyBytes(view, at, pieceView, 0, length);
    this.#bytes += length;
    return true;
  }

  override onReadable(): void {
    for (let bytes = this.endpoint.read(piece); bytes > 0; bytes = this.endpoint.read(piece)) {
      this.#bytes += bytes;
    }
  }

  override onEnd(): void {
    const count = new DataView(new ArrayBuffer(8));
    count.setBigUint64(0, BigInt(this.#bytes));
    this.endpoint.write(new Uint8Array(count.buffer));
    this.endpoint.shutdown();
  }
}

class Source extends Service {
  override onConnect(): void {
    this.onWritable();
  }

  override onWritable(): void {
    while (this.endpoint.write(piece) === piece.length);
  }

  override onEnd(): void {
    this.endpoint.abort();
  }
}

type ServiceClass = new (endpoint: TcpEndpoint) => Service;

function listen(stack: Stack, port: number, Kind: ServiceClass): void {
  const listener = stack.listenTcp({ port, backlog: 4096, options: { noDelay: true } });
  listener.onConnection = () => {
    for (let endpoint = listener.accept(); endpoint !== undefined; endpoint = listener.accept()) {
      endpoint.handler = new Kind(endpoint);
    }
  };
}

const { stack, address } = openBenchStack(process.argv.slice(2));
listen(stack, PORT_ECHO, Echo);
listen(stack, PORT_DISCARD, Discard);
listen(stack, PORT_SOURCE, Source);

const datagrams = stack.openUdp(address.includes(':') ? 6 : 4);
datagrams.bind(IpAddress.parse(address), PORT_ECHO);
datagrams.onEvents = () => {
  for (let one = datagrams.receive(); one !== undefined; one = datagrams.receive()) {
    datagrams.send(one.payload, { destination: one.source, port: one.sourcePort });
  }
};
answerQuestionsAbout(() => connections);
