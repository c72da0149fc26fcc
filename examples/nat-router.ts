/**
 * A router that hides a network: programs in a network namespace (10.9.0.1) reach a web server that knows no way
 * to them, and the web's side reaches one of them by a port forward. All of it in one process, without root.
 *
 *     npx tsx examples/nat-router.ts
 *
 * The hidden network is a network namespace with the kernel, made as root or as an ordinary user where the system
 * lets one. The outside is a stack with a web server, 198.51.100.80. The router is 10.9.0.2 inside and 198.51.100.1
 * outside.
 */
import { once } from 'node:events';
import { createServer } from 'node:http';
import { createPipe, Nat, openPrivateTun, Stack, SystemClock, SystemRandom } from 'tunstack';

const clock = new SystemClock();
const random = new SystemRandom();

// The router: a stack that forwards, and translates what leaves by its outside link.
const router = new Stack({ clock, random, ip: { forwarding: true } });
const tun = await openPrivateTun({ address: '10.9.0.1/24' });
router.addLink(tun.device, { addresses: ['10.9.0.2/24'] });
const [toWeb, toRouter] = createPipe({ clock });
const outside = router.addLink(toWeb, { addresses: ['198.51.100.1/24'], defaultRoute: true });
const nat = new Nat({ stack: router, outside, filtering: 'address-dependent' });
nat.forward({ protocol: 'tcp', outsidePort: 8080, insideAddress: '10.9.0.1', insidePort: 80 });

// The outside: it has no route to 10.9.0.0/24, and needs none.
const web = new Stack({ clock, random });
web.addLink(toRouter, { addresses: ['198.51.100.80/24'] });
const server = createServer((request, response) => {
  response.end(`${request.socket.remoteAddress} asked for ${request.url}`);
});
web.serve(server, 80);
await once(server, 'listening');

tun.host.addRoute({ destination: 'default', gateway: '10.9.0.2' });

/** Starts an ordinary program in the hidden network, and hears what it prints. */
function inside(program: string) {
  const child = tun.run(process.execPath, ['-e', program], { stdio: ['ignore', 'pipe', 'inherit'] });
  child.stdout?.setEncoding('utf8');
  return child;
}

const fetched = inside(`fetch('http://198.51.100.80/page').then((r) => r.text()).then(console.log)`);
for await (const text of fetched.stdout ?? []) console.log(`from inside:  ${String(text).trimEnd()}`);
for (const { protocol, outside: seenAs, remote } of nat.sessions()) {
  console.log(`session:      ${protocol} ${seenAs.replace(/\d+$/, 'port')} to ${remote}`);
}

const hidden = inside(`
  require('node:http')
    .createServer((request, response) => response.end('hello ' + request.socket.remoteAddress))
    .listen(80, () => console.log('ready'))`);
await once(hidden.stdout ?? hidden, 'data');
const socket = web.net.connect(8080, '198.51.100.1');
socket.end('GET / HTTP/1.0\r\n\r\n');
let answer = '';
for await (const piece of socket) answer += piece;
console.log(`from outside: ${answer.split('\r\n\r\n')[1]}`);
hidden.kill();
await once(hidden, 'close');

server.close();
nat.close();
for (const stack of [router, web]) stack.close();
await tun.close();
