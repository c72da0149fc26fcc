/** How links end that are made from real channels of Node. */
import { spawn } from 'node:child_process';
import { once } from 'node:events';
import type { AddressInfo } from 'node:net';
import { MessageChannel, Worker } from 'node:worker_threads';
import { expect } from 'chai';
import { WebSocket, WebSocketServer } from 'ws';
import { Stack, SystemClock, SystemRandom } from '../../lib/index.js';
import { byteStreamLink } from '../../lib/link/byte-stream-link.js';
import { messagePortLink } from '../../lib/link/message-port-link.js';
import type { PacketLink } from '../../lib/link/packet-link.js';
import { webSocketLink } from '../../lib/link/web-socket-link.js';
import { run } from '../support/child.js';
import { tcpPair } from './channels.js';

const clock = new SystemClock();

/** A stack on a link, and why the link went down. */
function stackOn(link: PacketLink): { stack: Stack; down: Promise<Error & { code?: string }> } {
  const stack = new Stack({ clock, random: new SystemRandom() });
  stack.addLink(link, { addresses: ['10.0.0.1/24'] });
  const down = new Promise<Error>((heard) => {
    stack.onLinkDown = (_device, error) => heard(error);
  });
  return { stack, down };
}

describe('links of channels: how they end', function () {
  this.timeout(30_000);

  it('leaves nothing that keeps a process alive once everything is closed', async () => {
    const { stdout } = await run(
      process.execPath,
      ['--import', 'tsx', 'test/links/support/all-channels.ts'],
      {
        limitMs: 25_000,
      },
    );
    expect(stdout).to.equal('all closed\n');
  });

  it('hears that the thread at the other end was ended', async () => {
    const { port1, port2 } = new MessageChannel();
    const { stack, down } = stackOn(messagePortLink(port1, { clock, mtu: 1500 }));
    const program = `const { parentPort, workerData } = require('worker_threads');
      workerData.port.on('message', () => {});
      parentPort.postMessage('ready');`;
    const worker = new Worker(program, { eval: true, workerData: { port: port2 }, transferList: [port2] });
    await once(worker, 'message');
    await worker.terminate();
    expect((await down).code).to.equal('ENETDOWN');
    stack.close();
  });

  it('hears that a connection below it was reset', async () => {
    const [here, there] = await tcpPair();
    const { stack, down } = stackOn(byteStreamLink(here, { clock, mtu: 1500 }));
    there.resetAndDestroy();
    expect((await down).code).to.equal('ECONNRESET');
    expect(here.destroyed).to.equal(true);
    stack.close();
  });

  it('ends a connection whose other end sends what is no packet, and hears no more of it', async () => {
    const [here, there] = await tcpPair();
    const { stack, down } = stackOn(byteStreamLink(here, { clock, mtu: 1500 }));
    there.on('error', () => {});
    there.write('SSH-2.0-OpenSSH_9.2p1\r\n');
    const error = await down;
    expect(error.code).to.equal('EPROTO');
    expect(error.message).to.equal(
      'link: the stream is not one of packets: IP version 5 at byte 0 of the stream',
    );
    there.resume();
    await once(there, 'close');
    stack.close();
  });

  it('lets go of the standard streams of a program that never reads', async () => {
    const child = spawn('sleep', ['60'], { stdio: ['pipe', 'pipe', 'inherit'] });
    const { stdin, stdout } = child;
    const link = byteStreamLink({ readable: stdout, writable: stdin }, { clock, mtu: 60_000 });
    link.open(() => {});
    for (let batch = link.borrow(); batch !== undefined; batch = link.borrow()) {
      batch.appendPacket(new Uint8Array(60_000));
      link.send(batch);
    }
    expect(stdin.writableNeedDrain).to.equal(true);
    link.close();
    await once(stdin, 'close');
    expect([stdin.destroyed, stdout.destroyed]).to.deep.equal([true, true]);
    child.kill();
  });

  it('closes a WebSocket that was paused as soon as the other side agrees', async () => {
    const server = new WebSocketServer({ port: 0, host: '127.0.0.1' });
    await once(server, 'listening');
    const socket = new WebSocket(`ws://127.0.0.1:${(server.address() as AddressInfo).port}`);
    const [there] = (await once(server, 'connection')) as [WebSocket];
    // Nobody opens it, so that it is full soon.
    const link = webSocketLink(socket, { clock, mtu: 1500, queuePackets: 300 });
    for (let i = 0; i < 400; i++) there.send(new Uint8Array(1500));
    for (let i = 0; !socket.isPaused; i++) {
      if (i === 10_000) throw new Error('it is never paused');
      await new Promise((turn) => setImmediate(turn));
    }
    const closed = once(socket, 'close');
    link.close();
    const [code] = (await closed) as [number];
    expect(code).to.equal(1000);
    server.close();
  });

  it('closes a WebSocket that still connects', async () => {
    const server = new WebSocketServer({ port: 0, host: '127.0.0.1' });
    await once(server, 'listening');
    const socket = new WebSocket(`ws://127.0.0.1:${(server.address() as AddressInfo).port}`);
    // It says that it failed to connect, which the link hears.
    const closed = new Promise<void>((heard) => socket.once('close', () => heard()));
    webSocketLink(socket, { clock, mtu: 1500 }).close();
    await closed;
    expect(socket.readyState).to.equal(WebSocket.CLOSED);
    server.close();
  });
});
