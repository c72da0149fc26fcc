/**
 * IP over a WebSocket: the side that connects. Without more it has a stack of its own, 10.8.0.2, and fetches a page
 * over it. With `--tun` it has none: it gives packets of the kernel to the WebSocket, and runs curl in a network whose
 * only way out that is.
 *
 *     npx tsx examples/ip-over-websocket/client.ts ws://127.0.0.1:8080 [--tun]
 */
import { once } from 'node:events';
import { get } from 'node:http';
import { joinLinks, openPrivateTun, Stack, SystemClock, SystemRandom, webSocketLink } from 'tunstack';
import { WebSocket } from 'ws';

const [url, ...flags] = process.argv.slice(2);
const clock = new SystemClock();
// The WebSocket connects while the first packets wait. In a browser, and in Node 22, it would be the global one.
const link = webSocketLink(new WebSocket(url, { perMessageDeflate: false }), {
  clock,
  name: 'ws0',
  mtu: 1400,
});

if (flags.includes('--tun')) {
  const tun = await openPrivateTun({ address: '10.8.0.2/24', mtu: 1400 });
  const joined = joinLinks(tun.device, link);
  const curl = tun.run('curl', ['-sS', 'http://10.8.0.1/by-the-kernel'], { stdio: 'inherit' });
  await once(curl, 'exit');
  joined.close();
  await tun.close();
} else {
  const stack = new Stack({ clock, random: new SystemRandom() });
  stack.addLink(link, { addresses: ['10.8.0.2/24'] });
  stack.onLinkDown = (_link, error) => {
    console.error(error.message);
    process.exit(1);
  };
  const request = get('http://10.8.0.1/by-a-stack', { agent: stack.agent() });
  const [response] = await once(request, 'response');
  for await (const text of response.setEncoding('utf8')) process.stdout.write(text);
  stack.close();
}
