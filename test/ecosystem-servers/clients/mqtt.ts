/** `mqtt` over any `net`. */
import type { EventEmitter } from 'node:events';
import type { Duplex } from 'node:stream';
import { type IClientOptions, MqttClient } from 'mqtt';
import type { NetModule } from '../../../lib/net/net.js';
import { plain, type Story } from './scene.js';

export const MQTT_PORT = 1883;

/** A client whose hook is a function that makes its stream, each time it connects. */
export const mqttClient = (dial: () => Duplex, options: IClientOptions = {}): MqttClient =>
  new MqttClient(dial, options);

export const overTcp = (net: NetModule, host: string, options?: IClientOptions): MqttClient =>
  mqttClient(() => net.connect(MQTT_PORT, host), options);

/** What a client's next event of this name carries. Unlike `once` of Node it takes no error for a failure. */
export const next = (client: MqttClient, event: string): Promise<unknown[]> =>
  new Promise((resolve) => {
    (client as unknown as EventEmitter).once(event, (...carried: unknown[]) => resolve(carried));
  });

/** The broker is lost and does not come back, until the client gives up. */
export const lostBroker: Story = async ({ net, host, stopServer }) => {
  const told: unknown[] = [];
  const client = overTcp(net, host, { reconnectPeriod: 50, clientId: 'teller' });
  for (const name of ['connect', 'offline', 'end'] as const) client.on(name, () => told.push(name));
  // How often it tries again depends on the time; that it fails in one way only does not.
  const refused = new Promise<void>((resolve) => {
    client.on('error', (error) => {
      const failure = JSON.stringify(plain(error));
      if (!told.includes(failure)) told.push(failure);
      if (failure.includes('ECONNREFUSED')) resolve();
    });
  });
  await next(client, 'connect');
  told.push((await client.subscribeAsync('topic')).length);
  const heard = next(client, 'message');
  await client.publishAsync('topic', 'message', { qos: 2 });
  told.push(String((await heard)[1]));
  const closed = next(client, 'close');
  await stopServer();
  await closed;
  await refused;
  await client.endAsync(true);
  return told;
};
