/**
 * The path: two TUNs, in the senders' namespace and in the receiver's, joined by an emulated link in real
 * time. Arguments: the two namespaces, and a `PathOptions` in JSON. Prints `ready`; when its standard input
 * ends it prints what it saw, a `PathReport`.
 */
import { TunDevice } from '../../lib/link/tun-device.js';
import { EmulatedPath, type PathOptions } from './emulated-path.js';
import { SpinningClock } from './spinning-clock.js';

const SENDER_SIDE = ['10.98.0.1/24', 'fd98::1/64'];
const RECEIVER_SIDE = ['10.98.0.2/24', 'fd98::2/64'];

const [senders, receiver, given] = process.argv.slice(2);
const options = JSON.parse(given ?? '') as PathOptions;
const near = TunDevice.create({ netns: senders ?? '', name: 'wire0', address: SENDER_SIDE });
const far = TunDevice.create({
  netns: receiver ?? '',
  name: 'wire0',
  address: RECEIVER_SIDE,
  offload: options.join,
});
const path = new EmulatedPath(new SpinningClock(), near, far, options);
console.log('ready');

process.stdin.resume();
process.stdin.on('end', () => {
  const { report } = path;
  const refused = report.refused + near.stats.txDropped + far.stats.txDropped;
  console.log(JSON.stringify({ ...report, refused }));
  process.exit(0);
});
