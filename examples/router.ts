/**
 * A router: two networks that see each other only through a stack, which passes packets on by routes and
 * rules, says by ICMP what it cannot pass on, and slows down the one behind it as a far network would.
 *
 *     npx tsx examples/router.ts
 *
 * The first network is a network namespace with the kernel (10.9.0.1), made as root or as an ordinary user
 * where the system lets one. The second is a stack with a web server (10.20.0.2), 5 ms and a link of 1,400
 * bytes away. The router is 10.9.0.2 on the one and 10.20.0.1 on the other.
 */
import { once } from 'node:events';
import { createServer } from 'node:http';
import { createPipe, EmulatedLink, openPrivateTun, Stack, SystemClock, SystemRandom } from 'tunstack';

const clock = new SystemClock();
const random = new SystemRandom();

// Off by default: a stack is a host unless told otherwise.
const router = new Stack({ clock, random, ip: { forwarding: true, reversePathFilter: 'strict' } });
const tun = await openPrivateTun({ address: '10.9.0.1/24' });
router.addLink(tun.device, { addresses: ['10.9.0.2/24'] });

// A pipe with a bad road at this end. SYNs that pass are told how large segments may be there.
const [near, far] = createPipe({ clock, mtu: 1400, names: ['far0', 'web0'] });
const slow = { delayMs: 5 };
const road = new EmulatedLink(near, { clock, random, outgoing: slow, incoming: slow });
router.addLink(road, { addresses: ['10.20.0.1/24'], ip: { mssClamp: 'path' } });

// Some of the second network is closed to the first, and says so.
router.routing.rules.add({ priority: 100, iif: tun.device.name, to: '10.20.0.128/25', action: 'prohibit' });

const web = new Stack({ clock, random });
web.addLink(far, { addresses: ['10.20.0.2/24', '10.20.0.200/24'] });
web.routing.routes.add({ destination: 'default', gateway: '10.20.0.1' });
const server = createServer((request, response) => {
  response.end(`${request.socket.remoteAddress} asked for ${request.url}`);
});
web.serve(server, 80);
await once(server, 'listening');

/** What an ordinary program of the first network prints. */
async function inside(program: string): Promise<string> {
  const child = tun.run(process.execPath, ['-e', program], { stdio: ['ignore', 'pipe', 'inherit'] });
  let output = '';
  child.stdout?.setEncoding('utf8').on('data', (piece: string) => {
    output += piece;
  });
  await once(child, 'close');
  return output.trimEnd();
}

const ask = (url: string): string =>
  `fetch('${url}').then((response) => response.text()).then(console.log, ({ cause }) => console.log(cause.message))`;

tun.host.addRoute({ destination: '10.20.0.0/24', gateway: '10.9.0.2' });
console.log(`allowed:   ${await inside(ask('http://10.20.0.2/page'))}`);
console.log(`closed:    ${await inside(ask('http://10.20.0.200/page'))}`);

const { ip, icmp } = router.stats;
console.log(`passed on: ${ip.outForwDatagrams} packets, the MSS of ${ip.mssClamped} of them lowered`);
console.log(`refused:   ${icmp.outDestUnreachs} with a word to the sender`);

server.close();
for (const stack of [router, web]) stack.close();
await tun.close();
