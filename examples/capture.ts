/**
 * Records what passes a link into a file for Wireshark or tshark. What the stack dropped says why in a
 * comment beside the packet.
 *
 *     npx tsx examples/capture.ts [file]        (capture.pcapng by default)
 *
 * Nothing here needs root, a TUN or the addon. For a TUN, wrap the `TunDevice` in the same way.
 */
import { once } from 'node:events';
import { createWriteStream } from 'node:fs';
import { createPipe, PcapDevice, Stack, SystemClock, SystemRandom } from 'tunstack';

const path = process.argv[2] ?? 'capture.pcapng';
const clock = new SystemClock();
const file = createWriteStream(path);
const [near, far] = createPipe({ clock });

const recorder = new PcapDevice(near, {
  clock,
  epochUs: Date.now() * 1000 - clock.nowUs(), // so that the stamps are of this day
  sink: (chunk) => file.write(chunk),
});
const stack = new Stack({ clock, random: new SystemRandom() });
stack.addLink(recorder, { addresses: ['10.0.0.1/24', 'fd00::1/64'] });
const other = new Stack({ clock, random: new SystemRandom() });
other.addLink(far, { addresses: ['10.0.0.2/24', 'fd00::2/64'] });

// An echo over IPv6 …
const { net } = stack;
const server = other.net.createServer((accepted) => accepted.pipe(accepted));
server.listen(7);
await once(server, 'listening');
const socket = net.connect(7, 'fd00::2');
socket.write('recorded\n');
const [answer] = await once(socket, 'data');
console.log(`echo: ${String(answer).trim()}`);
socket.end();
await once(socket, 'close');

// … a connection that nobody takes, and one more that is not recorded.
const [refusal] = await once(net.connect(8, '10.0.0.2'), 'error');
console.log(String(refusal));
recorder.recording = false;
await once(net.connect(9, '10.0.0.2'), 'error');

// Closing the stack closes its links, and the recorder writes its statistics.
stack.close();
other.close();
file.end();
await once(file, 'finish');
console.log(`${recorder.recorded} packets in ${path}`);
