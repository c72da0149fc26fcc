/** The code of docs/embedding.md about addresses of others, routing and translation, run as it stands there. */
import { once } from 'node:events';
import { readFileSync } from 'node:fs';
import { type AddressInfo, connect, createServer, type Server } from 'node:net';
import { compileFunction } from 'node:vm';
import { expect } from 'chai';
import * as tunstack from '../../lib/index.js';
import { eventually } from '../support/interop-wait.js';

const { createPipe, Stack, SystemClock, SystemRandom } = tunstack;
const page = readFileSync(new URL('../../docs/embedding.md', import.meta.url), 'utf8');
const clock = new SystemClock();
const random = new SystemRandom();

/** The code in a chapter of the page. */
function codeOf(heading: string): string {
  const from = page.indexOf(`\n${heading}\n`);
  expect(from, heading).to.be.above(0);
  const begin = page.indexOf('```ts\n', from) + 6;
  return page.slice(begin, page.indexOf('```', begin));
}

/** Runs it with some names given to it. @returns what it has called `results` */
function run(heading: string, given: object, results = 'undefined'): Record<string, unknown> {
  const names = { ...tunstack, clock, random, ...given };
  const call = compileFunction(
    `${codeOf(heading)}
return ${results};`,
    Object.keys(names),
  );
  return call(...Object.values(names)) as Record<string, unknown>;
}

/** Two stacks on both ends of a pipe; the second sends everything to the first. */
function pair(): [tunstack.Stack, tunstack.Stack] {
  const pipe = createPipe({ clock });
  const stacks = [1, 2].map((n) => {
    const stack = new Stack({ clock, random });
    stack.addLink(pipe[n - 1], { addresses: [`10.0.0.${n}/24`], defaultRoute: true });
    return stack;
  });
  return stacks as [tunstack.Stack, tunstack.Stack];
}

describe('docs/embedding.md', function () {
  this.timeout(30_000);
  this.slow(2000);
  const stacks: tunstack.Stack[] = [];
  let server: Server | undefined;
  afterEach(() => {
    for (const stack of stacks.splice(0)) stack.close();
    server?.close();
    server = undefined;
  });

  const begin = (): [tunstack.Stack, tunstack.Stack] => {
    const both = pair();
    stacks.push(...both);
    return both;
  };

  it('proxies connections', async () => {
    const [stack, client] = begin();
    server = createServer((socket) => socket.end('hello')).listen(0, '127.0.0.1');
    await once(server, 'listening');
    const { port } = server.address() as AddressInfo;
    const asked: string[] = [];
    const net = {
      connect: (wanted: number, host: string, options: object) => {
        asked.push(`${host}:${wanted}`);
        return connect({ ...options, host: '127.0.0.1', port: wanted === 80 ? port : 1 });
      },
    };
    run('## Accept anything', { stack, net });
    let answer = '';
    for await (const piece of client.net.connect(80, '192.0.2.7')) answer += String(piece);
    expect(answer).to.equal('hello');
    // An error that may pass: who connects tries again (RFC 1122 §4.2.3.9).
    const refused = client.net.connect(443, '192.0.2.7');
    await eventually(
      'the refusal',
      () => client.stats.icmp.inDestUnreachs,
      (count) => count > 0,
    );
    refused.destroy();
    expect(asked.slice(0, 2)).to.deep.equal(['192.0.2.7:80', '192.0.2.7:443']);
  });

  it('echoes datagrams', async () => {
    const [stack, client] = begin();
    run('### UDP flows', { stack });
    const socket = client.dgram.createSocket('udp4');
    socket.send('hello', 7, '192.0.2.7');
    const [data, { address, port }] = await once(socket, 'message');
    expect([String(data), address, port]).to.deep.equal(['hello', '192.0.2.7', 7]);
    socket.close();
  });

  it('answers pings', () => {
    const [stack] = begin();
    const listeners: { isClosed: boolean }[] = [];
    const spied = {
      listenAny: (...given: Parameters<tunstack.Stack['listenAny']>) => {
        const listener = stack.listenAny(...given);
        listeners.push(listener);
        return listener;
      },
    };
    run('### Pings', { stack: spied, isAlive: async () => true });
    expect(listeners).to.have.length(3);
  });

  it('routes', async () => {
    const [tun, near] = createPipe({ clock, names: ['tun0', 'near0'] });
    const [tunnel, far] = createPipe({ clock, mtu: 1400 });
    const { router } = run('## Forwarding', { tun, tunnel }, '{ router }') as { router: tunstack.Stack };
    const client = new Stack({ clock, random });
    client.addLink(near, { addresses: ['10.9.0.1/24'], defaultRoute: true });
    const web = new Stack({ clock, random });
    web.addLink(far, { addresses: ['10.20.0.2/24', '10.20.0.200/24'], defaultRoute: true });
    stacks.push(router, client, web);
    web.net.createServer((socket) => socket.end('hello')).listen(80);
    let answer = '';
    for await (const piece of client.net.connect(80, '10.20.0.2')) answer += String(piece);
    expect(answer).to.equal('hello');
    expect(router.stats.ip.mssClamped, 'of the SYN; that of the answer fits').to.equal(1);
    const refused = client.net.connect(80, '10.20.0.200');
    await eventually(
      'the refusal',
      () => client.stats.icmp.inDestUnreachs,
      (count) => count > 0,
    );
    refused.destroy();
  });

  it('hides', async () => {
    const [tun, near] = createPipe({ clock });
    const [uplink, far] = createPipe({ clock });
    const { router, nat } = run('## NAT', { tun, uplink }, '{ router, nat }') as {
      router: tunstack.Stack;
      nat: tunstack.Nat;
    };
    const host = new Stack({ clock, random });
    host.addLink(near, { addresses: ['10.9.0.1/24'], defaultRoute: true });
    const web = new Stack({ clock, random });
    web.addLink(far, { addresses: ['198.51.100.80/24'] });
    stacks.push(router, host, web);
    for (const stack of [host, web]) {
      stack.net.createServer((socket) => socket.end(String(socket.remoteAddress))).listen(80);
    }
    let answer = '';
    for await (const piece of host.net.connect(80, '198.51.100.80')) answer += String(piece);
    for await (const piece of web.net.connect(8080, '198.51.100.1')) answer += ` ${String(piece)}`;
    expect(answer).to.equal('::ffff:198.51.100.1 ::ffff:198.51.100.80');
    expect([...nat.sessions()]).to.have.length(2);
    nat.close();
  });
});
