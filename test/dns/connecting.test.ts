/** `connect`, `listen` and `dgram` find names by the stack's own DNS, and try what they find (RFC 8305). */
import { execFileSync } from 'node:child_process';
import nodeDns from 'node:dns';
import { once } from 'node:events';
import type { AddressInfo, LookupFunction, Socket } from 'node:net';
import { expect } from 'chai';
import { createPipe } from '../../lib/link/pipe-device.js';
import type { DnsOptions } from '../../lib/stack/dns-options.js';
import { Stack } from '../../lib/stack/stack.js';
import { SystemClock } from '../../lib/stack/system-clock.js';
import { SystemRandom } from '../../lib/stack/system-random.js';
import '../../lib/dgram/stack-dgram.js';
import '../../lib/net/stack-net.js';
import { address, NameServer, zone } from './support/name-server.js';

const clock = new SystemClock();
const random = new SystemRandom();

/** A client, and a far stack with a name server and services. */
class World {
  readonly client: Stack;
  readonly far = new Stack({ clock, random });
  readonly names: NameServer;

  constructor(dns: DnsOptions = {}) {
    this.client = new Stack({ clock, random, dns: { servers: ['10.0.0.53'], search: ['test'], ...dns } });
    const [near, far] = createPipe({ clock });
    this.client.addLink(near, { addresses: ['10.0.0.1/24', 'fd00::1/64'] });
    this.far.addLink(far, { addresses: ['10.0.0.53/24', '10.0.0.54/24', 'fd00::53/64'] });
    this.names = new NameServer(
      this.far,
      '10.0.0.53',
      zone(
        address('web.test', '10.0.0.53'),
        address('both.test', 'fd00::53'),
        address('both.test', '10.0.0.54'),
        address('six.test', 'fd00::53'),
      ),
    );
  }

  /** Where an echo server listens on the far stack. */
  async echo(host?: string): Promise<number> {
    const server = this.far.net.createServer((socket) => socket.pipe(socket));
    server.listen(0, ...(host === undefined ? [] : [host]));
    await once(server, 'listening');
    return (server.address() as AddressInfo).port;
  }

  close(): void {
    this.client.close();
    this.far.close();
  }
}

async function echoed(socket: Socket): Promise<string> {
  socket.end('hello');
  let text = '';
  for await (const chunk of socket) text += chunk;
  return text;
}

/** What a socket tells on its way, in order. */
function attempts(socket: Socket): unknown[][] {
  const log: unknown[][] = [];
  for (const event of [
    'lookup',
    'connectionAttempt',
    'connectionAttemptFailed',
    'connectionAttemptTimeout',
    'connect',
  ]) {
    socket.on(event, (...args: unknown[]) =>
      log.push([event, ...args.map((arg) => (arg instanceof Error ? arg.message : arg))]),
    );
  }
  return log;
}

describe('dns: connecting by name', () => {
  let world: World;
  afterEach(() => world?.close());

  it('asks the name servers of the stack, in its search domains', async () => {
    world = new World();
    const port = await world.echo();
    const socket = world.client.net.connect({ host: 'web', port });
    const log = attempts(socket);
    expect(await echoed(socket)).to.equal('hello');
    expect(log).to.deep.equal([
      ['lookup', null, '10.0.0.53', 4, 'web'],
      ['connectionAttempt', '10.0.0.53', port, 4],
      ['connect'],
    ]);
    expect(world.names.asked).to.have.members(['A web.test', 'AAAA web.test']);
  });

  it('finds names of the hosts table without name servers', async () => {
    world = new World({ servers: [], hosts: { 'db.internal': '10.0.0.53' } });
    const port = await world.echo();
    expect(await echoed(world.client.net.connect(port, 'db.internal'))).to.equal('hello');
    expect(world.names.asked).to.deep.equal([]);
  });

  it('asks servers that were set later', async () => {
    world = new World({ servers: [] });
    world.client.dns.setServers(['10.0.0.53']);
    const port = await world.echo();
    expect(await echoed(world.client.net.connect(port, 'web'))).to.equal('hello');
  });

  it('asks the host where the stack has neither', async () => {
    world = new World({ servers: [] });
    const original = nodeDns.lookup;
    const asked: unknown[] = [];
    const replaced: LookupFunction = (name, _options, callback) => {
      asked.push(name);
      process.nextTick(callback, null, [{ address: '10.0.0.53', family: 4 }]);
    };
    (nodeDns as { lookup: unknown }).lookup = replaced;
    try {
      const port = await world.echo();
      expect(await echoed(world.client.net.connect(port, 'somewhere.example'))).to.equal('hello');
      expect(asked).to.deep.equal(['somewhere.example']);
    } finally {
      (nodeDns as { lookup: unknown }).lookup = original;
    }
  });

  it('ends what is asked when the stack is closed, without waiting for an answer', async () => {
    world = new World({ servers: ['10.0.0.99'], tries: 1, timeoutMs: 300_000 });
    const asked = world.client.dns.promises
      .resolve4('web.test')
      .catch((error: NodeJS.ErrnoException) => error.code);
    await new Promise(setImmediate);
    world.client.close();
    expect(await asked).to.equal('ECONNREFUSED');
  });

  it('fails as Node does when there is no such name', async () => {
    world = new World();
    const socket = world.client.net.connect(80, 'none.test');
    const [error] = (await once(socket, 'error')) as [NodeJS.ErrnoException];
    expect(error).to.include({
      message: 'getaddrinfo ENOTFOUND none.test',
      code: 'ENOTFOUND',
      errno: -3008,
      syscall: 'getaddrinfo',
      hostname: 'none.test',
    });
  });

  it('connects to the first family that answers, and tells of the other', async () => {
    world = new World();
    // Only over IPv6; the order puts IPv4 before unique local addresses.
    const port = await world.echo('fd00::53');
    const socket = world.client.net.connect({ host: 'both.test', port });
    const log = attempts(socket);
    expect(await echoed(socket)).to.equal('hello');
    expect(socket.autoSelectFamilyAttemptedAddresses).to.deep.equal([
      `10.0.0.54:${port}`,
      `fd00::53:${port}`,
    ]);
    expect(log.slice(2)).to.deep.equal([
      ['connectionAttempt', '10.0.0.54', port, 4],
      ['connectionAttemptFailed', '10.0.0.54', port, 4, `connect ECONNREFUSED 10.0.0.54:${port}`],
      ['connectionAttempt', 'fd00::53', port, 6],
      ['connect'],
    ]);
  });

  it('leaves an address that does not answer after a quarter of a second', async () => {
    world = new World({ hosts: { 'slow.test': ['10.0.0.99', 'fd00::53'] } });
    const port = await world.echo();
    const socket = world.client.net.connect({ host: 'slow.test', port });
    const log = attempts(socket);
    expect(await echoed(socket)).to.equal('hello');
    expect(log.map(([event]) => event)).to.include('connectionAttemptTimeout');
    expect(socket.remoteAddress ?? 'fd00::53').to.equal('fd00::53');
  });

  it('fails with all errors when no address answers', async () => {
    world = new World();
    const socket = world.client.net.connect({ host: 'both.test', port: 9 });
    const [error] = (await once(socket, 'error')) as [AggregateError & { code: string }];
    expect(error).to.be.instanceOf(AggregateError);
    expect(error.code).to.equal('ECONNREFUSED');
    expect(error.errors.map(({ message }) => message)).to.deep.equal([
      'connect ECONNREFUSED 10.0.0.54:9',
      'connect ECONNREFUSED fd00::53:9',
    ]);
  });

  it('binds and sends UDP by name', async () => {
    world = new World({ hosts: { here: '10.0.0.1' } });
    const there = world.far.dgram.createSocket('udp4');
    there.bind(7000, '10.0.0.53');
    await once(there, 'listening');
    const here = world.client.dgram.createSocket('udp4');
    here.bind(0, 'here');
    await once(here, 'listening');
    expect(here.address().address).to.equal('10.0.0.1');
    here.send('hello', 7000, 'web.test');
    const [message, from] = (await once(there, 'message')) as [Buffer, { address: string }];
    expect([String(message), from.address]).to.deep.equal(['hello', '10.0.0.1']);
  });

  it('listens by name', async () => {
    world = new World({ hosts: { here: '10.0.0.1' } });
    const server = world.client.net.createServer();
    server.listen(8000, 'here');
    await once(server, 'listening');
    expect((server.address() as AddressInfo).address).to.equal('10.0.0.1');
  });

  it('keeps the process alive while it asks, and not longer', () => {
    const script = `
      import { Stack, SystemClock, SystemRandom } from './lib/index.ts';
      const stack = new Stack({ clock: new SystemClock(), random: new SystemRandom(),
        dns: { servers: ['127.0.0.1'], timeoutMs: 50, tries: 2 } });
      stack.openUdp(4).bind((await import('./lib/index.ts')).IpAddress.parse('127.0.0.1'), 53);
      stack.dns.resolve4('a.test', (error) => console.log(error.code));
    `;
    const args = ['--import', 'tsx', '--input-type=module', '-e', script];
    expect(execFileSync(process.execPath, args, { encoding: 'utf8', timeout: 9000 })).to.equal('ETIMEOUT\n');
  });

  describe('the defaults of a process', () => {
    const script = `
      import net from 'node:net';
      import { Stack, SystemClock, SystemRandom } from './lib/index.ts';
      const stack = new Stack({ clock: new SystemClock(), random: new SystemRandom() });
      const show = (net) => [net.getDefaultAutoSelectFamily(), net.getDefaultAutoSelectFamilyAttemptTimeout()];
      console.log(JSON.stringify([show(stack.net), show(net), stack.dns.getDefaultResultOrder()]));
      stack.net.setDefaultAutoSelectFamily(false);
      stack.net.setDefaultAutoSelectFamilyAttemptTimeout(5);
      console.log(JSON.stringify(show(stack.net)));
    `;
    const flags: readonly (readonly [string, readonly unknown[]])[] = [
      ['--no-network-family-autoselection', [false, 250, 'verbatim']],
      ['--network-family-autoselection-attempt-timeout=123', [true, 123, 'verbatim']],
      ['--dns-result-order=ipv4first', [true, 250, 'ipv4first']],
    ];
    for (const [flag, [selects, timeoutMs, order]] of flags) {
      it(`follow ${flag}`, () => {
        const args = [flag, '--import', 'tsx', '--input-type=module', '-e', script];
        const lines = execFileSync(process.execPath, args, { encoding: 'utf8', timeout: 9000 })
          .trim()
          .split('\n');
        const [ours, node, resultOrder] = JSON.parse(lines[0]);
        expect(ours).to.deep.equal(node);
        expect([...ours, resultOrder]).to.deep.equal([selects, timeoutMs, order]);
        expect(JSON.parse(lines[1])).to.deep.equal([false, 10]);
      });
    }
  });
});
