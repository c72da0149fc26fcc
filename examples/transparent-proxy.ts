/**
 * A transparent proxy: programs in a network namespace connect to whatever address they like, and this process
 * decides about each connection before it is answered. It dials first and accepts only when that worked, so that a
 * program sees a refusal where there is one, and not a connection that breaks at once.
 *
 *     npx tsx examples/transparent-proxy.ts
 *
 * The namespace is made as root or as an ordinary user where the system lets one. Its only way out is the TUN of the
 * stack, which has no address but its own. What stands for the internet here is a web server of this process.
 */
import { once } from 'node:events';
import { createServer } from 'node:http';
import { type AddressInfo, connect } from 'node:net';
import { type NetTcpRequest, openPrivateTun, relay, Stack, SystemClock, SystemRandom } from 'tunstack';

const internet = createServer((request, response) => {
  response.end(`${request.headers.host} says hello`);
}).listen(0, '127.0.0.1');
await once(internet, 'listening');
const { port } = internet.address() as AddressInfo;

const tun = await openPrivateTun({ address: ['10.9.0.1/24', 'fd09::1/64'] });
for (const gateway of ['10.9.0.2', 'fd09::2']) {
  tun.host.addRoute({ destination: 'default', gateway, link: tun.device.name });
}
const stack = new Stack({ clock: new SystemClock(), random: new SystemRandom() });
stack.addLink(tun.device, { addresses: ['10.9.0.2/24', 'fd09::2/64'], defaultRoute: true });

/** Dials, and only then answers: with the same refusal, if it was refused. */
function proxy(request: NetTcpRequest): void {
  // A real one would dial `request.destinationAddress`.
  const dialled = connect({ host: '127.0.0.1', port, allowHalfOpen: true });
  // The program has given up meanwhile.
  request.onCancel = () => dialled.destroy();
  dialled.once('error', () => request.reject());
  dialled.once('connect', () => {
    if (request.isPending) void relay(request.accept({ allowHalfOpen: true }), dialled);
  });
}

const listener = stack.listenAny({ protocol: 'tcp' }, (request) => {
  const { destinationAddress, destinationPort } = request;
  if (destinationAddress === '203.0.113.66') request.reject('prohibited');
  else if (destinationPort === 80) proxy(request);
  else request.reject();
});

/** What an ordinary program of the namespace hears from an address. */
async function inside(host: string, at: number): Promise<string> {
  const program = `require('node:http').get({ host: '${host}', port: ${at}, agent: false }, (response) =>
      response.setEncoding('utf8').on('data', console.log)).on('error', ({ code }) => console.log(code))`;
  const child = tun.run(process.execPath, ['-e', program], { stdio: ['ignore', 'pipe', 'inherit'] });
  let output = '';
  child.stdout?.setEncoding('utf8').on('data', (piece: string) => {
    output += piece;
  });
  await once(child, 'close');
  return output.trimEnd();
}

for (const host of ['198.51.100.7', '192.0.2.1', '2001:db8::1']) console.log(await inside(host, 80));
console.log(`port 81: ${await inside('198.51.100.7', 81)}`);
console.log(`forbidden: ${await inside('203.0.113.66', 80)}`);

const { requests, accepted, rejected } = listener.counts;
console.log(`${requests} requests: ${accepted} accepted, ${rejected} rejected`);
listener.close();
stack.close();
await tun.close();
internet.close();
