/** `demo.pcapng`: what passed the demo's links, and who else wants to look at it. */
import { closeSync, openSync, writeSync } from 'node:fs';
import type { Clock } from '../../base/clock.js';
import type { LinkDevice } from '../../link/link-device.js';
import { PcapDevice } from '../../link/pcap.js';
import { CaptureDirection, type PacketRecord, PcapngWriter } from '../../link/pcapng-writer.js';

/** Hears of each recorded packet. */
export type PacketListener = (packet: Uint8Array, outgoing: boolean, timeNs: bigint) => void;

/** Bytes kept before they are written. */
const CHUNK_BYTES = 1 << 18;
/** The file grows no further. */
const MAX_BYTES = 64 << 20;

export class Capture {
  readonly path: string;
  bytes = 0;
  /** Hears of packets while set. */
  onPacket: PacketListener | undefined;
  readonly #fd: number;
  readonly #clock: Clock;
  readonly #epochUs: number;
  readonly #writer: PcapngWriter;
  readonly #devices: PcapDevice[] = [];
  #waiting: Uint8Array[] = [];
  #waitingBytes = 0;
  #closed = false;

  /** @throws the error of `open` where the file cannot be written */
  constructor(path: string, clock: Clock) {
    this.path = path;
    this.#fd = openSync(path, 'w');
    this.#clock = clock;
    this.#epochUs = Date.now() * 1000 - clock.nowUs();
    this.#writer = new ListeningWriter(
      (chunk) => this.#write(chunk),
      (packet, outgoing, timeNs) => this.onPacket?.(packet, outgoing, timeNs),
    );
  }

  /** Records a link from now on. */
  record(link: LinkDevice): LinkDevice {
    const device = new PcapDevice(link, {
      clock: this.#clock,
      epochUs: this.#epochUs,
      writer: this.#writer,
    });
    this.#devices.push(device);
    return device;
  }

  get packets(): number {
    return this.#devices.reduce((sum, device) => sum + device.recorded, 0);
  }

  /** Whether packets are recorded; bulk transfers fill no file. */
  set recording(on: boolean) {
    for (const device of this.#devices) device.recording = on;
  }

  /** Call it when the links are closed: their statistics come last. */
  close(): void {
    if (this.#closed) return;
    this.#closed = true;
    this.#flush();
    closeSync(this.#fd);
  }

  #write(chunk: Uint8Array): void {
    if (this.#closed || this.bytes + chunk.length > MAX_BYTES) return;
    this.bytes += chunk.length;
    this.#waiting.push(chunk);
    this.#waitingBytes += chunk.length;
    if (this.#waitingBytes >= CHUNK_BYTES) this.#flush();
  }

  #flush(): void {
    const bytes = Buffer.concat(this.#waiting);
    this.#waiting = [];
    this.#waitingBytes = 0;
    for (let at = 0; at < bytes.length; ) at += writeSync(this.#fd, bytes, at);
  }
}

/** Writes a capture, and tells of each packet. */
class ListeningWriter extends PcapngWriter {
  readonly #listener: PacketListener;

  constructor(sink: (chunk: Uint8Array) => void, listener: PacketListener) {
    super(sink, 'tunstack demo');
    this.#listener = listener;
  }

  override writePacket(packet: Uint8Array, record: PacketRecord): void {
    super.writePacket(packet, record);
    this.#listener(packet, record.direction === CaptureDirection.Out, record.timeNs);
  }
}
