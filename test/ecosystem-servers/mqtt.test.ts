/** `mqtt` over a stack, with mosquitto on the other side. */
import { once } from 'node:events';
import http, { type Server } from 'node:http';
import https from 'node:https';
import type { AddressInfo } from 'node:net';
import { pipeline } from 'node:stream/promises';
import { expect } from 'chai';
import { connect, type MqttClient } from 'mqtt';
import { createWebSocketStream, WebSocketServer } from 'ws';
import type { Child } from '../support/child.js';
import { FAMILIES, type InteropBed, KERNEL, STACK } from '../support/interop.js';
import { lostBroker, MQTT_PORT, mqttClient, next, overTcp } from './clients/mqtt.js';
import { type Identity, identity } from './support/certificates.js';
import { content, sha256 } from './support/content.js';
import { MQTTS_PORT, startMosquitto } from './support/mosquitto.js';
import { bedWith, dataDirectory } from './support/server.js';
import { toldAlike } from './support/story.js';

describe('mqtt and mosquitto', function () {
  this.timeout(60_000);
  this.slow(5000);
  let bed: InteropBed;
  let server: Child;
  let authority: Identity;
  let directory: string;
  before(async function () {
    bed = await bedWith(this, { mosquitto: 'mosquitto' });
    directory = dataDirectory(bed);
    authority = await identity(directory);
    server = await startMosquitto(bed, directory, authority);
  });
  after(() => bed?.close());
  afterEach(() => bed?.isIdle());

  /** Publishes messages of many sizes and qualities to itself, and compares what comes back. */
  async function echoes(client: MqttClient): Promise<void> {
    const errors: Error[] = [];
    client.on('error', (error) => errors.push(error));
    await next(client, 'connect');
    await client.subscribeAsync('echo', { qos: 2 });
    const heard: string[] = [];
    const sent: string[] = [];
    const sizes = [0, 1, 1400, 65_536, 1_000_000, 5_000_000];
    const complete = new Promise<void>((resolve) => {
      client.on('message', (_topic, message) => {
        if (heard.push(sha256(message)) === 3 * sizes.length) resolve();
      });
    });
    for (const qos of [0, 1, 2] as const) {
      for (const bytes of sizes) {
        const message = content(bytes, qos);
        sent.push(sha256(message));
        await client.publishAsync('echo', message, { qos });
      }
    }
    await complete;
    expect(heard).to.deep.equal(sent);
    // The broker closes on DISCONNECT, and answers what TLS says after that with a reset: no error of ours.
    await client.endAsync();
    expect(errors).to.deep.equal([]);
  }

  for (const family of FAMILIES) {
    it(`carries messages of all sizes and qualities, IPv${family}`, () =>
      echoes(overTcp(bed.net, KERNEL[family])));
  }

  it('carries them over TLS', () => {
    const place = { host: KERNEL[4], port: MQTTS_PORT, ca: authority.ca };
    return echoes(mqttClient(() => bed.stack.tls.connect(place)));
  });

  for (const secured of [false, true]) {
    it(`carries them over ${secured ? 'a secured WebSocket' : 'a WebSocket'}`, async () => {
      const { server: web, port } = await webSockets(secured);
      const { ca, servername } = authority;
      const wish = { ca, servername };
      const agent = secured ? bed.stack.httpsAgent(wish) : bed.stack.agent();
      try {
        const url = `${secured ? 'wss' : 'ws'}://${STACK[4]}:${port}`;
        await echoes(connect(url, { wsOptions: { agent }, ...wish }));
      } finally {
        agent.destroy();
        web.close();
      }
    });
  }

  /** A server of WebSockets on the stack before the broker, which has none of its own: both ways through the stack. */
  async function webSockets(secured: boolean): Promise<{ server: Server; port: number }> {
    const { key, cert } = authority;
    const server = secured ? https.createServer({ key, cert }) : http.createServer();
    new WebSocketServer({ server }).on('connection', (socket) => {
      const stream = createWebSocketStream(socket);
      void pipeline(stream, bed.net.connect(MQTT_PORT, KERNEL[4]), stream).catch(() => {});
    });
    bed.stack.serve(server, 0);
    await once(server, 'listening');
    return { server, port: (server.address() as AddressInfo).port };
  }

  it('hands a thousand messages in order to two subscribers', async () => {
    const [publisher, ...subscribers] = [1, 2, 3].map(() => overTcp(bed.net, KERNEL[4]));
    for (const subscriber of subscribers) await subscriber.subscribeAsync('many/+', { qos: 1 });
    const complete = subscribers.map(
      (subscriber) =>
        new Promise<number[]>((resolve) => {
          const heard: number[] = [];
          subscriber.on('message', (_topic, message) => {
            if (heard.push(Number(message)) === 1000) resolve(heard);
          });
        }),
    );
    await Promise.all(
      Array.from({ length: 1000 }, (_, i) => publisher.publishAsync('many/x', String(i), { qos: 1 })),
    );
    const inOrder = Array.from({ length: 1000 }, (_, i) => i);
    expect(await Promise.all(complete)).to.deep.equal([inOrder, inOrder]);
    await Promise.all([publisher, ...subscribers].map((client) => client.endAsync()));
  });

  it('leaves its last will when its connection breaks, and connects again', async () => {
    const listener = overTcp(bed.net, KERNEL[4]);
    await listener.subscribeAsync('will');
    const will = { topic: 'will', payload: Buffer.from('gone'), qos: 1 as const, retain: false };
    const client = overTcp(bed.net, KERNEL[4], { reconnectPeriod: 20, will });
    await next(client, 'connect');
    const heard = next(listener, 'message');
    const back = next(client, 'connect');
    client.stream.destroy(new Error('broken'));
    client.on('error', () => {});
    expect(String((await heard)[1])).to.equal('gone');
    await back;
    await Promise.all([client, listener].map((one) => one.endAsync()));
  });

  it('reports a connection that was reset, and connects again', async () => {
    const client = overTcp(bed.net, KERNEL[4], { reconnectPeriod: 20 });
    await next(client, 'connect');
    const failed = next(client, 'error');
    const back = next(client, 'connect');
    await bed.exec('ss', '-K', 'sport', '=', String(MQTT_PORT));
    expect((await failed)[0]).to.include({ code: 'ECONNRESET', message: 'read ECONNRESET' });
    await back;
    await client.endAsync();
  });

  it('notices by its pings when nobody answers any more', async () => {
    const client = overTcp(bed.net, KERNEL[4], { keepalive: 1, reconnectPeriod: 0 });
    await next(client, 'connect');
    const closed = next(client, 'close');
    client.on('error', () => {});
    await bed.shell(
      'nft add table inet hush; nft add chain inet hush in "{ type filter hook input priority 0; policy drop; }"',
    );
    try {
      await closed;
    } finally {
      await bed.shell('nft delete table inet hush');
    }
    await client.endAsync(true);
  });

  it('reports a lost broker and a refused connection as over node:net', async () => {
    await server.kill();
    const module = new URL('./clients/mqtt.ts', import.meta.url).href;
    const tale = { story: lostBroker, module, name: 'lostBroker' };
    const told = await toldAlike(bed, tale, () => startMosquitto(bed, directory, authority));
    expect(JSON.stringify(told)).to.include('connect ECONNREFUSED 10.9.0.1:1883');
  });
});
