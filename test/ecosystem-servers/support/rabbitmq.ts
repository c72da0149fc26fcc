/** RabbitMQ on the kernel's side: a node of its own, with nothing of it outside its directory. */
import { mkdtempSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import type { Child } from '../../support/child.js';
import { type InteropBed, KERNEL } from '../../support/interop.js';
import { AMQP_PORT, AMQPS_PORT, LOGIN } from '../clients/amqp.js';
import type { Identity } from './certificates.js';
import { giveAway, launch } from './server.js';

/** The program itself: what is on the path changes to a user of its own, and writes where the system logs. */
export const RABBITMQ = '/usr/lib/rabbitmq/bin/rabbitmq-server';

/** Starts a node that knows nothing of those before it. It and its port mapper end with the child. */
export function startRabbitmq(bed: InteropBed, directory: string, tls: Identity): Promise<Child> {
  const node = mkdtempSync(join(directory, 'rabbitmq-'));
  const file = (name: string, ...lines: string[]): string => {
    const path = join(node, name);
    writeFileSync(path, `${lines.join('\n')}\n`);
    giveAway(path);
    return path;
  };
  giveAway(node);
  const configuration = file(
    'rabbitmq.conf',
    ...[KERNEL[4], KERNEL[6]].map((host, i) => `listeners.tcp.${i + 1} = ${host}:${AMQP_PORT}`),
    ...[KERNEL[4], KERNEL[6]].map((host, i) => `listeners.ssl.${i + 1} = ${host}:${AMQPS_PORT}`),
    `ssl_options.cacertfile = ${tls.caFile}`,
    `ssl_options.certfile = ${tls.certFile}`,
    `ssl_options.keyfile = ${tls.keyFile}`,
    'loopback_users = none',
    `default_user = ${LOGIN.username}`,
    `default_pass = ${LOGIN.password}`,
    'log.console = true',
    'log.file = false',
  );
  const env = {
    HOME: node,
    ERL_EPMD_ADDRESS: '127.0.0.1',
    RABBITMQ_NODENAME: 'tests@localhost',
    RABBITMQ_MNESIA_BASE: node,
    RABBITMQ_LOG_BASE: node,
    RABBITMQ_CONFIG_FILE: configuration,
    RABBITMQ_CONF_ENV_FILE: '/dev/null',
    RABBITMQ_ENABLED_PLUGINS_FILE: file('enabled_plugins', '[].'),
    RABBITMQ_PID_FILE: join(node, 'pid'),
    // Its schedulers would spin while they wait for work.
    RABBITMQ_SERVER_ADDITIONAL_ERL_ARGS: '+sbwt none +sbwtdcpu none +sbwtdio none',
  };
  return launch(bed, { command: RABBITMQ, args: [], ready: /Server startup complete/, env });
}
