/**
 * One stack answers for everybody: datagrams to any address and port, and pings. Behind it is another stack, which
 * thinks that it talks with the whole Internet.
 *
 *     npx tsx examples/any-datagrams.ts
 */
import { once } from 'node:events';
import { createPipe, IpAddress, Stack, SystemClock, SystemRandom } from 'tunstack';

const clock = new SystemClock();
const [near, far] = createPipe({ clock });
const everybody = new Stack({ clock, random: new SystemRandom() });
const inside = new Stack({ clock, random: new SystemRandom() });
everybody.addLink(near, { addresses: ['10.0.0.1/24'], defaultRoute: true });
inside.addLink(far, { addresses: ['10.0.0.2/24'], defaultRoute: true });

// Nobody may send mail to a file server, and all else is echoed by whom it was sent to.
const flows = everybody.listenAny({ protocol: 'udp' }, (request) => {
  const { sourceAddress, destinationAddress, destinationPort } = request;
  console.log(`${sourceAddress} asks for ${destinationAddress} port ${destinationPort}`);
  if (destinationPort === 25) {
    request.reject('prohibited');
    return;
  }
  const flow = request.accept();
  flow.onDatagram = (data, address, port) => flow.send(data, address, port);
});
const pings = everybody.listenAny({ protocol: 'icmp' }, (request) => {
  console.log(`${request.sourceAddress} pings ${request.destinationAddress}`);
  request.reply();
});

const socket = inside.dgram.createSocket('udp4');
for (const address of ['192.0.2.1', '198.51.100.2', '203.0.113.3']) {
  socket.send(`hello ${address}`, 7, address);
  const [text, from] = await once(socket, 'message');
  console.log(`"${text}" from ${from.address} port ${from.port}`);
}
console.log(`${flows.counts.accepted} flow: it has one source, whatever it sends to`);

const other = inside.dgram.createSocket('udp4');
other.connect(25, '192.0.2.1');
await once(other, 'connect');
other.send('EHLO');
const [error] = await once(other, 'error');
console.log(`refused: ${error.code}`);

const answered = new Promise<void>((resolve) => {
  inside.ip.echo.add(1, { reply: () => resolve(), error: () => {} });
});
const payload = new Uint8Array(56);
inside.ip.sendEchoRequest({
  destination: IpAddress.parse('192.0.2.99'),
  identifier: 1,
  sequence: 1,
  payload,
});
await answered;
console.log('and the ping was answered');

socket.close();
other.close();
flows.close();
pings.close();
inside.close();
everybody.close();
