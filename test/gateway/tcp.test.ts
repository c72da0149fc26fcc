/** TCP through the gateway, its host's side being the loopback of this process. */
import { randomBytes } from 'node:crypto';
import { once } from 'node:events';
import { type AddressInfo, connect, createServer, type Server, Socket } from 'node:net';
import type { Duplex } from 'node:stream';
import { expect } from 'chai';
import { SeededRandom, TcpState } from '../../lib/index.js';
import { allOf } from '../relay/support/wire.js';
import { type BedOptions, HOST, PipeBed, until } from './support/pipe-bed.js';

/** Settles when it is closed, with or without an error. */
const closed = (stream: Duplex): Promise<void> =>
  new Promise((resolve) => {
    stream.once('close', () => resolve());
  });

const portOf = (server: Server): number => (server.address() as AddressInfo).port;

describe('gateway: TCP', () => {
  let bed: PipeBed;
  let server: Server;
  /** What the server has accepted, in order. */
  let accepted: Socket[];

  async function open(options: BedOptions = {}, host = '127.0.0.1'): Promise<void> {
    bed = await PipeBed.open(options);
    accepted = [];
    server = createServer({ allowHalfOpen: true }, (socket) => {
      socket.on('error', () => {});
      accepted.push(socket);
    });
    server.listen(0, host);
    await once(server, 'listening');
  }

  afterEach(async () => {
    bed?.close();
    for (const socket of accepted ?? []) socket.destroy();
    if (server?.listening) {
      server.close();
      await once(server, 'close');
    }
  });

  const dial = (host: string = HOST[4], port = portOf(server)) =>
    bed.inside.net.connect({ host, port, allowHalfOpen: true });

  async function joined(): Promise<[ReturnType<typeof dial>, Socket]> {
    const count = accepted.length;
    const client = dial();
    client.on('error', () => {});
    await once(client, 'connect');
    await until(() => accepted.length > count, 'the server has accepted');
    return [client, accepted[count]];
  }

  const isEmpty = (): Promise<void> => until(() => bed.gateway.tcpFlows === 0, 'no connection is left');

  it('passes text both ways, and an end as an end', async () => {
    await open();
    const [client, far] = await joined();
    const [up, down] = [randomBytes(3_000_000), randomBytes(3_000_000)];
    client.end(up);
    expect((await allOf(far)).equals(up)).to.equal(true);
    far.end(down);
    expect((await allOf(client)).equals(down)).to.equal(true);
    await isEmpty();
    const { tcpRequests, tcpJoined, tcpFinished, bytesToHost, bytesToStack } = bed.gateway.stats;
    expect([tcpRequests, tcpJoined, tcpFinished]).to.deep.equal([1, 1, 1]);
    expect([bytesToHost, bytesToStack]).to.deep.equal([up.length, down.length]);
  });

  it('turns Nagle’s algorithm off before anything small could wait for an ACK, on each connection anew', async () => {
    await open();
    const calls: boolean[] = [];
    const original = Socket.prototype.setNoDelay;
    Socket.prototype.setNoDelay = function (on = true) {
      calls.push(on);
      return original.call(this, on);
    };
    try {
      for (let turn = 0; turn < 2; turn++) {
        const [client, far] = await joined();
        calls.length = 0;
        for (const word of ['one', 'two', 'three']) {
          client.write(word);
          expect(String((await once(far, 'data'))[0])).to.equal(word);
          expect(calls, word).to.deep.equal(word === 'one' ? [] : [true]);
        }
        far.end();
        client.end();
        await Promise.all([allOf(far), allOf(client.resume())]);
        await isEmpty();
        // What is long may end in a small segment.
        const [other, end] = await joined();
        calls.length = 0;
        other.write(randomBytes(537));
        await once(end, 'data');
        expect(calls).to.deep.equal([true]);
        other.destroy();
        end.destroy();
        await isEmpty();
      }
    } finally {
      Socket.prototype.setNoDelay = original;
    }
  });

  it('passes on what the host says first, and its end', async () => {
    await open();
    server.on('connection', (socket) => socket.end('welcome'));
    const client = dial();
    expect(String(await allOf(client))).to.equal('welcome');
    client.end('late');
    expect(String(await allOf(accepted[0]))).to.equal('late');
    await isEmpty();
  });

  it('passes urgent bytes on in line, and loses none', async () => {
    await open();
    const endpoint = bed.inside.connectTcp({ address: HOST[4], port: portOf(server) });
    await until(() => endpoint.state === TcpState.ESTABLISHED && accepted.length === 1, 'both are joined');
    endpoint.write(Buffer.from('one '));
    endpoint.writeUrgent(Buffer.from('!'));
    endpoint.write(Buffer.from(' two'));
    endpoint.shutdown();
    expect(String(await allOf(accepted[0]))).to.equal('one ! two');
    accepted[0].end();
    endpoint.close();
    await isEmpty();
  });

  it('passes IPv6', async function () {
    await open({}, '::1').catch(() => this.skip());
    const client = dial(HOST[6]);
    client.end('six');
    await until(() => accepted.length === 1, 'the server has accepted');
    expect(String(await allOf(accepted[0]))).to.equal('six');
    expect(accepted[0].remoteFamily).to.equal('IPv6');
    accepted[0].end();
    await isEmpty();
  });

  it('takes no more than the host does', async () => {
    await open();
    const [client, far] = await joined();
    far.pause();
    const piece = Buffer.alloc(1 << 20);
    for (let i = 0; i < 128; i++) client.write(piece);
    // The host's own buffers take some; then nothing moves any more.
    let before = -1;
    await until(() => {
      const same = before === bed.gateway.stats.bytesToHost && before > 0;
      before = bed.gateway.stats.bytesToHost;
      return same && far.readableLength >= 0 && bed.inside.stats.tcp.outSegs > 0;
    }, 'the host takes no more');
    expect(before).to.be.lessThan(128 << 20);
    far.resume();
    client.end();
    let got = 0;
    far.on('data', (bytes) => {
      got += bytes.length;
    });
    await once(far, 'end');
    expect(got).to.equal(128 << 20);
    far.end();
    client.resume();
    await isEmpty();
  }).timeout(30_000);

  it('takes no more from the host than those inside do', async () => {
    await open();
    const [client, far] = await joined();
    client.pause();
    const piece = Buffer.alloc(1 << 20);
    for (let i = 0; i < 128; i++) far.write(piece);
    far.end();
    client.end();
    far.resume();
    let got = 0;
    client.on('data', (bytes: Uint8Array) => {
      got += bytes.length;
    });
    client.resume();
    await once(client, 'end');
    expect(got).to.equal(128 << 20);
    await isEmpty();
  }).timeout(30_000);

  it('refuses where the host is refused: RST', async () => {
    await open();
    const port = portOf(server);
    server.close();
    await once(server, 'close');
    const [error] = (await once(dial(HOST[4], port), 'error')) as [NodeJS.ErrnoException];
    expect(error.code).to.equal('ECONNREFUSED');
    await isEmpty();
    expect(bed.gateway.stats.tcpUnreachable).to.equal(1);
  });

  it('is prohibited where that was asked for, and never reaches loopbacks by their own names', async () => {
    await open({ deny: ['198.51.100.0/24', '2001:db8::/32'], hostLoopback: [] });
    for (const [i, host] of ['198.51.100.7', '2001:db8::7'].entries()) {
      // To our own TCP, as RFC 5461 §4 has it, such an ICMP error is no reason to give up; to kernels it is.
      const client = dial(host).on('error', () => {});
      await until(() => bed.gateway.stats.tcpDenied === i + 1, `${host} is denied`);
      client.destroy();
    }
    // Without `hostLoopback` the gateway's own address is only its own.
    const [error] = (await once(dial(), 'error')) as [NodeJS.ErrnoException];
    expect(error.code).to.equal('ECONNREFUSED');
    expect(bed.gateway.stats.tcpDenied).to.equal(3);
    expect(accepted).to.have.length(0);
  });

  it('resets the host when those inside reset, in each state', async () => {
    await open();
    const steps: ((client: ReturnType<typeof dial>, far: Socket) => Promise<unknown> | void)[] = [
      () => {},
      (client, far) => {
        client.write('text');
        return once(far, 'data');
      },
      (client, far) => {
        client.end('text');
        far.resume();
        return once(far, 'end');
      },
      (client, far) => {
        far.end('text');
        client.resume();
        return once(client, 'end');
      },
      (_client, far) => {
        // Nobody takes it: it fills all buffers on the way.
        far.write(Buffer.alloc(64 << 20));
      },
    ];
    for (const [i, step] of steps.entries()) {
      const [client, far] = await joined();
      await step(client, far);
      const over = new Promise<NodeJS.ErrnoException | undefined>((resolve) => {
        far.once('error', resolve);
        far.once('close', () => resolve(undefined));
      });
      if (i !== 4) far.resume();
      client.resetAndDestroy();
      // Who has read to the end hears of a reset when it writes, as always with the kernel.
      const writing = setInterval(() => i === 2 && far.write('more'), 5);
      const error = await over;
      clearInterval(writing);
      expect(error?.code, `step ${i}`).to.be.oneOf(['ECONNRESET', 'EPIPE']);
      await isEmpty();
    }
  });

  it('resets those inside when the host resets, in each state', async () => {
    await open();
    const steps: ((client: ReturnType<typeof dial>, far: Socket) => Promise<unknown> | void)[] = [
      () => {},
      (client, far) => {
        far.write('text');
        return once(client, 'data');
      },
      (client, far) => {
        far.end('text');
        client.resume();
        return once(client, 'end');
      },
      (client) => {
        client.write(Buffer.alloc(64 << 20));
      },
      (_client, far) => {
        // The reset comes together with the last text.
        far.write('text');
      },
      async (client, far) => {
        client.end();
        far.resume();
        await once(far, 'end');
        far.write('text');
      },
    ];
    for (const [i, step] of steps.entries()) {
      const [client, far] = await joined();
      await step(client, far);
      const over = closed(client);
      let code: string | undefined;
      client.on('error', (error: NodeJS.ErrnoException) => {
        code = error.code;
      });
      client.resume();
      if (i === 2) far.destroy();
      else far.resetAndDestroy();
      // Neither does the gateway hear of it earlier, where it has read to the end.
      const writing = setInterval(() => i === 2 && client.write('more'), 5);
      await over;
      clearInterval(writing);
      if (i !== 2) expect(code, `step ${i}`).to.equal('ECONNRESET');
      await isEmpty();
    }
    expect(bed.gateway.stats.tcpFailed).to.be.at.least(3);
  });

  it('looks now and then whether the host has reset what it had finished', async () => {
    await open({ tcpIdleMs: 0, tcpHalfCloseIdleMs: 80_000 });
    const [client, far] = await joined();
    const [other, stays] = await joined();
    for (const socket of [client, other]) socket.resume();
    for (const socket of [far, stays]) socket.resume().end('text');
    await Promise.all([once(client, 'end'), once(other, 'end')]);
    far.resetAndDestroy();
    await closed(far);
    const unacked = () => [...bed.stack.tcp.entries()].map(({ likeness }) => likeness.sender.buffer.length);
    await until(() => Math.max(...unacked()) === 0, 'those inside have it all');
    bed.timers.advance(10_000);
    expect(bed.gateway.tcpFlows).to.equal(1);
    await until(() => bed.inside.tcp.connections === 1, 'those inside are reset');
    other.end('late');
    await isEmpty();
    expect(bed.gateway.stats).to.include({ tcpFailed: 1, tcpFinished: 1, tcpIdle: 0 });
  });

  it('forgets connections that are silent for too long, sooner when one side has finished', async () => {
    await open({ tcpIdleMs: 80_000, tcpHalfCloseIdleMs: 8000 });
    const [whole, far] = await joined();
    const [half] = await joined();
    half.end();
    accepted[1].resume();
    await once(accepted[1], 'end');
    bed.timers.advance(7000);
    expect(bed.gateway.tcpFlows).to.equal(2);
    bed.timers.advance(3000);
    expect(bed.gateway.tcpFlows).to.equal(1);
    bed.timers.advance(60_000);
    far.write('still here');
    await once(whole, 'data');
    bed.timers.advance(60_000);
    expect(bed.gateway.tcpFlows).to.equal(1);
    bed.timers.advance(30_000);
    expect(bed.gateway.tcpFlows).to.equal(0);
    expect(bed.gateway.stats.tcpIdle).to.equal(2);
    expect(bed.timers.count).to.equal(0);
  });

  it('has no more connections than it may', async () => {
    await open({ maxTcp: 2 });
    await joined();
    const [second] = await joined();
    const [error] = (await once(dial(), 'error')) as [NodeJS.ErrnoException];
    expect(error.code).to.equal('ECONNREFUSED');
    expect(bed.gateway.stats.tcpFull).to.equal(1);
    second.resetAndDestroy();
    await until(() => bed.gateway.tcpFlows === 1, 'one has gone');
    await joined();
  });

  it('gives up dialling when whoever asked has, and after a while', async () => {
    await open({ dialMs: 5000 });
    // Nobody ever answers there: a backlog of the kernel that is full.
    const full = createServer();
    full.listen({ port: 0, host: '127.0.0.1', backlog: 0 });
    await once(full, 'listening');
    const port = portOf(full);
    full.removeAllListeners('connection');
    const fillers = Array.from({ length: 8 }, () => connect(port, '127.0.0.1').on('error', () => {}));
    try {
      const gone = dial('203.0.113.1', 9);
      gone.on('error', () => {});
      await until(() => bed.gateway.stats.tcpRequests === 1, 'it was asked');
      gone.destroy();
      bed.timers.advance(5000);
      await isEmpty();
      const { tcpUnreachable, tcpCancelled } = bed.gateway.stats;
      expect(tcpUnreachable + tcpCancelled).to.equal(1);
    } finally {
      for (const filler of fillers) filler.destroy();
      full.close();
    }
    expect(bed.timers.count).to.equal(0);
  });

  it('resets everything when it is closed, and takes nothing any more', async () => {
    await open();
    const [client, far] = await joined();
    const both = [closed(client), closed(far)];
    bed.gateway.close();
    bed.gateway.close();
    await Promise.all(both);
    expect(bed.gateway.tcpFlows).to.equal(0);
    expect(bed.timers.count).to.equal(0);
    const [error] = (await once(dial(), 'error')) as [NodeJS.ErrnoException];
    expect(error.code).to.equal('ECONNREFUSED');
  });

  it('lets go of the host when the stack is closed under it', async () => {
    await open();
    const [, far] = await joined();
    const over = closed(far);
    far.resume();
    bed.stack.close();
    await over;
    await isEmpty();
  });

  it('leaves nothing of 10,000 connections with resets at random [I]', async () => {
    await open({ maxTcp: 256 });
    server.removeAllListeners('connection');
    let hostSockets = 0;
    const random = new SeededRandom(1);
    const chance = (): number => random.uint32() / 2 ** 32;
    server.on('connection', (socket) => {
      hostSockets++;
      socket.on('error', () => {});
      socket.on('close', () => hostSockets--);
      socket.on('data', (bytes) => {
        if (chance() < 0.3) socket.resetAndDestroy();
        else socket.write(bytes);
      });
      socket.on('end', () => socket.end());
    });
    const once1 = async (): Promise<void> => {
      const client = dial();
      const over = new Promise((resolve) => client.once('close', resolve));
      client.on('error', () => {});
      client.on('data', () => {
        if (chance() < 0.3) client.resetAndDestroy();
        else client.end();
      });
      if (chance() < 0.05) client.destroy();
      else client.write(Buffer.alloc(1 + Math.floor(chance() * 20_000)));
      await over;
    };
    const worker = async (): Promise<void> => {
      for (let i = 0; i < 10_000 / 50; i++) await once1();
    };
    await Promise.all(Array.from({ length: 50 }, worker));
    await isEmpty();
    await until(() => hostSockets === 0, "the host's sockets are gone");
    expect(bed.timers.count).to.equal(0);
    expect(bed.stack.tcp.unfinished).to.equal(0);
    const { tcpRequests, tcpJoined, tcpFinished, tcpFailed, tcpFull } = bed.gateway.stats;
    expect(tcpRequests).to.be.at.least(9000);
    expect(tcpFinished + tcpFailed).to.equal(tcpJoined);
    expect(tcpFull).to.equal(0);
  }).timeout(120_000);
});
