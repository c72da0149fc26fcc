/** `tunstack ping`. */
import type { CommandContext } from '../frame/context.js';
import { CliError, ExitStatus } from '../frame/errors.js';
import type { Output } from '../frame/output.js';
import { type FamilyOptions, familyOf } from '../network/family.js';
import { findAddress, warnOfSolitude } from '../network/names.js';
import { openNetwork } from '../network/network.js';
import type { NetworkOptions } from '../network/options.js';
import { type PingEvent, Pinger } from './pinger.js';
import { summaryLines } from './statistics.js';

export interface PingOptions extends NetworkOptions, FamilyOptions {
  readonly count?: number;
  /** ms. */
  readonly interval: number;
  readonly timeout: number;
  readonly deadline?: number;
  readonly size: number;
  readonly ttl: number;
  readonly tos: number;
  readonly df: boolean;
  readonly quiet: boolean;
}

/** As ping has them: no reply, or not all by the deadline, and every other trouble. */
const NO_REPLY = 1;
const TROUBLE = 2;

export async function ping(context: CommandContext<PingOptions>): Promise<number> {
  const { options, output, signal, args } = context;
  // No deadline is 0, as ping has it.
  const { count = 0, deadline = 0 } = options;
  const [host] = args;
  const network = await openNetwork(context, options);
  const destination = await findAddress(network, host, { family: familyOf(options), status: TROUBLE });
  signal.throwIfAborted();
  warnOfSolitude(output, network, destination);
  const named = host === destination.toString() ? host : `${host} (${destination})`;
  output.line(`PING ${named}: ${options.size} data bytes`);
  let unsent = '';
  const pinger = new Pinger({
    stack: network.stack,
    destination,
    intervalMs: options.interval,
    timeoutMs: options.timeout,
    size: options.size,
    hopLimit: options.ttl,
    trafficClass: options.tos,
    dontFragment: options.df,
    signal,
    ...(count === 0 ? {} : { count }),
    ...(deadline === 0 ? {} : { deadlineMs: deadline }),
    onEvent: (event) => {
      if (event.type === 'unsent') unsent = event.code;
      show(output, event, { from: destination.toString(), quiet: options.quiet });
    },
  });
  await pinger.run();
  const summary = pinger.statistics.summary(pinger.elapsedUs);
  output.jsonLine({ type: 'summary', host, address: destination.toString(), ...summary });
  output.line();
  for (const line of summaryLines(host, summary)) output.line(line);
  if (summary.received > 0) return deadline > 0 && summary.received < count ? NO_REPLY : ExitStatus.Ok;
  if (unsent === '' || unsent === 'ENOBUFS') return NO_REPLY;
  throw new CliError(`nothing could be sent: ${unsent}`, TROUBLE);
}

function show(output: Output, event: PingEvent, how: { from: string; quiet: boolean }): void {
  output.jsonLine(event);
  if (how.quiet) return;
  if (event.type === 'unsent') {
    output.line(`icmp_seq=${event.sequence} not sent: ${event.code}`);
  } else if (event.type === 'error') {
    output.line(`From ${event.from} icmp_seq=${event.sequence} ${event.message}`);
  } else {
    const time = event.rttMs >= 100 ? event.rttMs.toFixed(0) : event.rttMs.toPrecision(3);
    const marks = `${event.duplicate ? ' (DUP!)' : ''}${event.corrupted ? ' (wrong data)' : ''}`;
    const about = `icmp_seq=${event.sequence} ttl=${event.hopLimit} time=${time} ms`;
    output.line(`${event.bytes} bytes from ${how.from}: ${about}${marks}`);
  }
}
