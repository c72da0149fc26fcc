/** `tunstack capture`: what passes between the stack and its link, as text, JSON and pcapng. */
import { CaptureDirection, IpAddress, type PacketRecord, PcapDevice, PcapngWriter } from '../../index.js';
import type { CommandContext } from '../frame/context.js';
import { UsageError } from '../frame/errors.js';
import { bytesText } from '../frame/text.js';
import { delivered } from '../network/delivery.js';
import { openNetwork } from '../network/network.js';
import type { NetworkOptions } from '../network/options.js';
import { endLeftovers } from '../run/leftovers.js';
import { runProgram } from '../run/program.js';
import { programSide } from '../run/run.js';
import { type ServiceOptions, startServices } from '../run/services.js';
import { CaptureFile } from './file.js';
import { type PacketFields, PacketText, readPacket } from './packet-text.js';

export interface CaptureOptions extends NetworkOptions, ServiceOptions {
  readonly write?: string;
  readonly count?: number;
  readonly protocol: readonly string[];
  readonly port: readonly number[];
  readonly host: readonly string[];
  readonly dropped: boolean;
  readonly hex: boolean;
  readonly quiet: boolean;
}

const LAST_WORDS_MS = 500;

type CaptureContext = CommandContext<CaptureOptions>;

export async function capture(context: CaptureContext): Promise<number> {
  const { options, args, output, signal } = context;
  if (options.write === '-' && output.isJson)
    throw new UsageError('-w - and --json both want standard output');
  const file = options.write === undefined ? undefined : new CaptureFile(options.write);
  // After the link, which has the last word in it.
  if (file !== undefined) context.defer(() => file.close());
  const printer = new Printer(context, file);
  const network = await openNetwork(context, options, {
    wrap: (device, clock) => {
      const epochUs = Date.now() * 1000 - clock.nowUs();
      return new PcapDevice(device, { clock, epochUs, writer: printer });
    },
  });
  await startServices(network.stack, options);
  const { tun } = network;
  if (tun === undefined && args.length > 0)
    throw new UsageError('a program runs in a namespace of its own only');
  const ways = [printer.done, context.interrupted().then(() => 0)];
  if (tun !== undefined && args.length > 0) {
    // Standard output is the capture's.
    const stdio = ['inherit', 2, 2] as const;
    context.defer(() => endLeftovers(tun.pid));
    ways.push(runProgram(context, { ...programSide(context, network, tun), line: args, stdio }));
  } else {
    output.note(`capturing on ${network.name}, where the stack is ${network.addresses.join(' and ')}`);
  }
  const status = await Promise.race(ways);
  // A program that was told to end has a word to say about its status.
  const ended = signal.aborted && ways.length > 2 ? await ways[2] : status;
  // The end of its connections may follow the end of a program.
  if (!signal.aborted && ways.length > 2) await delivered(network.stack, LAST_WORDS_MS);
  const { passed, packets } = printer;
  const place = options.write === '-' ? 'on standard output' : `in ${options.write}`;
  const where = file === undefined ? '' : `, ${bytesText(file.bytes)} ${place}`;
  output.note(`${packets} of ${passed} packets captured${where}`);
  return ended;
}

/** Picks packets, prints them, and lets them through to the file. */
class Printer extends PcapngWriter {
  /** Packets that passed, and those that were picked. */
  passed = 0;
  packets = 0;
  /** Settles with 0 when `-c` packets were picked. */
  readonly done: Promise<number>;
  readonly #options: CaptureOptions;
  readonly #output: CaptureContext['output'];
  readonly #text = new PacketText();
  readonly #protocols: ReadonlySet<string>;
  readonly #ports: ReadonlySet<number>;
  readonly #hosts: ReadonlySet<string>;
  #finish: (status: number) => void = () => {};

  constructor({ options, output }: CaptureContext, file: CaptureFile | undefined) {
    super((chunk) => file?.write(chunk), 'tunstack capture');
    this.#options = options;
    this.#output = output;
    this.#protocols = new Set(options.protocol);
    this.#ports = new Set(options.port);
    // As packets spell them.
    this.#hosts = new Set(options.host.map((host) => IpAddress.parse(host).toString()));
    this.done = new Promise((resolve) => {
      this.#finish = resolve;
    });
  }

  override writePacket(packet: Uint8Array, record: PacketRecord): void {
    this.passed++;
    const { count = Number.POSITIVE_INFINITY } = this.#options;
    const view = new DataView(packet.buffer, packet.byteOffset, packet.byteLength);
    const fields = readPacket(view);
    if (this.packets >= count || !this.#isWanted(fields, record)) return;
    this.packets++;
    super.writePacket(packet, record);
    this.#print(view, fields, record);
    if (this.packets >= count) this.#finish(0);
  }

  #isWanted(fields: PacketFields | undefined, { comment }: PacketRecord): boolean {
    if (this.#options.dropped && comment === undefined) return false;
    const filters = this.#protocols.size + this.#ports.size + this.#hosts.size;
    if (fields === undefined) return filters === 0;
    const { protocol, sourcePort = 0, destinationPort = 0, source, destination } = fields;
    return (
      (this.#protocols.size === 0 || this.#protocols.has(protocol)) &&
      (this.#ports.size === 0 || this.#ports.has(sourcePort) || this.#ports.has(destinationPort)) &&
      (this.#hosts.size === 0 || this.#hosts.has(source) || this.#hosts.has(destination))
    );
  }

  #print(
    view: DataView,
    fields: PacketFields | undefined,
    { timeNs, direction, comment }: PacketRecord,
  ): void {
    const { quiet, write, hex } = this.#options;
    if (quiet || write === '-') return;
    const outgoing = direction === CaptureDirection.Out;
    const text =
      fields === undefined ? `malformed, length ${view.byteLength}` : this.#text.line(view, fields, outgoing);
    this.#output.jsonLine({
      time: Number(timeNs / 1000n) / 1e6,
      direction: outgoing ? 'out' : 'in',
      ...(fields === undefined ? { length: view.byteLength } : toldOf(fields)),
      text,
      ...(comment === undefined ? {} : { comment }),
    });
    const remark = comment === undefined ? '' : ` (${comment})`;
    this.#output.line(`${timeText(timeNs)} ${outgoing ? 'Out' : 'In '} ${text}${remark}`);
    if (!hex) return;
    for (const line of hexLines(view)) this.#output.line(line);
  }
}

/** Of the fields those that mean something without the bytes. */
function toldOf(fields: PacketFields): object {
  const { version, protocol, source, sourcePort, destination, destinationPort, length, hopLimit } = fields;
  return { version, protocol, source, sourcePort, destination, destinationPort, length, hopLimit };
}

/** `15:04:05.123456`, of this place. */
function timeText(timeNs: bigint): string {
  const date = new Date(Number(timeNs / 1_000_000n));
  const two = (value: number): string => String(value).padStart(2, '0');
  const us = String((timeNs / 1000n) % 1_000_000n).padStart(6, '0');
  return `${two(date.getHours())}:${two(date.getMinutes())}:${two(date.getSeconds())}.${us}`;
}

const HEX_BYTES = 16;

/** As `tcpdump -x` prints them. */
function hexLines(view: DataView): string[] {
  const lines: string[] = [];
  for (let at = 0; at < view.byteLength; at += HEX_BYTES) {
    const bytes = Buffer.from(view.buffer, view.byteOffset + at, Math.min(HEX_BYTES, view.byteLength - at));
    const words = bytes.toString('hex').replaceAll(/(.{4})(?=.)/g, '$1 ');
    lines.push(`        0x${at.toString(16).padStart(4, '0')}:  ${words}`);
  }
  return lines;
}
