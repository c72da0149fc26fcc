/** mosquitto on the kernel's side. */
import { writeFileSync } from 'node:fs';
import { join } from 'node:path';
import type { Child } from '../../support/child.js';
import { type InteropBed, KERNEL } from '../../support/interop.js';
import { MQTT_PORT } from '../clients/mqtt.js';
import type { Identity } from './certificates.js';
import { giveAway, launch } from './server.js';

export const MQTTS_PORT = 8883;

export function startMosquitto(bed: InteropBed, directory: string, tls: Identity): Promise<Child> {
  const file = join(directory, 'mosquitto.conf');
  const secrets = [`keyfile ${tls.keyFile}`, `certfile ${tls.certFile}`, `cafile ${tls.caFile}`];
  const lines = [
    'allow_anonymous true',
    'max_queued_messages 10000',
    'message_size_limit 0',
    ...[KERNEL[4], KERNEL[6]].map((host) => `listener ${MQTT_PORT} ${host}`),
    `listener ${MQTTS_PORT} ${KERNEL[4]}`,
    ...secrets,
  ];
  writeFileSync(file, `${lines.join('\n')}\n`);
  giveAway(file);
  const args = ['-c', file];
  return launch(bed, { command: 'mosquitto', args, ready: /mosquitto version .* running/ });
}
