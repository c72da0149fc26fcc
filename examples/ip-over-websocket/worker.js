/** The stack of `page.html`: in a worker, whose timers go on when nobody looks at the page. */
import { BrowserClock, BrowserRandom, Stack, webSocketLink } from '/tunstack/browser.js';

const clock = new BrowserClock();
const stack = new Stack({ clock, random: new BrowserRandom() });
const socket = new WebSocket(`ws://${location.host}/`);
stack.addLink(webSocketLink(socket, { clock, mtu: 1400 }), { addresses: ['10.8.0.2/24'] });
stack.onLinkDown = (_link, error) => postMessage(error.message);

const { readable, writable } = stack.streams.connect({ host: '10.8.0.1', port: 80 });
const request = 'GET /by-a-page HTTP/1.1\r\nHost: 10.8.0.1\r\nConnection: close\r\n\r\n';
await writable.getWriter().write(new TextEncoder().encode(request));
const response = await new Response(readable).text();
postMessage(response.split('\r\n\r\n')[1]);
stack.close();
