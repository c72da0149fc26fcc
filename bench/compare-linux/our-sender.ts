/**
 * The stack as the sender of the comparison, on a TUN in the senders' namespace, whose kernel forwards to the
 * path. Arguments: the namespace, the receiver's address and port, and the congestion control. Sends
 * until the receiver ends, looking at its own state every 10 ms as the kernel's sender does; then prints
 * one line of JSON.
 */
import { Stack, type TcpEndpointHandler, TunDevice } from '../../lib/index.js';
import { SystemClock } from '../../lib/stack/system-clock.js';
import { SystemRandom } from '../../lib/stack/system-random.js';
import { Percentiles } from './percentiles.js';
import { warmUp } from './warm-up.js';

export interface SenderReport {
  readonly control: string;
  readonly p50RttUs: number;
  readonly p99RttUs: number;
  readonly retransmissions: number;
}

const SAMPLE_MS = 10;
const [netns, address, port, control] = process.argv.slice(2);
const chunk = new Uint8Array(256 * 1024);

warmUp(control);
const stack = new Stack({ clock: new SystemClock(), random: new SystemRandom() });
const tun = TunDevice.create({ netns: netns ?? '', name: 'stack0', address: ['10.99.0.1/24', 'fd99::1/64'] });
stack.addLink(tun, { addresses: ['10.99.0.2/24', 'fd99::2/64'], defaultRoute: true });
stack.hold();

const endpoint = stack.connectTcp({
  address: address ?? '',
  port: Number(port),
  options: { congestionControl: control ?? '' },
});
const rtt = new Percentiles();
const sampling = setInterval(() => {
  const { rttUs } = endpoint.info;
  if (rttUs > 0) rtt.add(rttUs);
}, SAMPLE_MS);

const handler: TcpEndpointHandler = {
  onConnect: () => handler.onWritable(),
  onWritable: () => {
    while (endpoint.write(chunk) === chunk.length);
  },
  onReadable: () => {},
  onEnd: () => {},
  onClose: () => {
    clearInterval(sampling);
    const report: SenderReport = {
      control: endpoint.info.congestionControl,
      p50RttUs: rtt.at(0.5),
      p99RttUs: rtt.at(0.99),
      retransmissions: stack.stats.tcp.retransSegs,
    };
    console.log(JSON.stringify({ ...report, timeouts: stack.stats.tcp.timeouts, stats: stack.stats.tcp }));
    process.exit(0);
  },
};
endpoint.handler = handler;
