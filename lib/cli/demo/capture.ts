/** `demo.pcapng`: what passed the demo's links, and who else wants to look at it. */
import type { Clock } from '../../base/clock.js';
import type { LinkDevice } from '../../link/link-device.js';
import { PcapDevice } from '../../link/pcap.js';
import { CaptureDirection, type PacketRecord, PcapngWriter } from '../../link/pcapng-writer.js';
import { CaptureFile } from '../capture/file.js';

/** Hears of each recorded packet. */
export type PacketListener = (packet: Uint8Array, outgoing: boolean, timeNs: bigint) => void;

/** The file grows no further. */
const MAX_BYTES = 64 << 20;

export class Capture {
  readonly path: string;
  /** Hears of packets while set. */
  onPacket: PacketListener | undefined;
  readonly #file: CaptureFile;
  readonly #clock: Clock;
  readonly #epochUs: number;
  readonly #writer: PcapngWriter;
  readonly #devices: PcapDevice[] = [];

  /** @throws CliError where the file cannot be written */
  constructor(path: string, clock: Clock) {
    this.path = path;
    this.#file = new CaptureFile(path);
    this.#clock = clock;
    this.#epochUs = Date.now() * 1000 - clock.nowUs();
    this.#writer = new ListeningWriter(
      (chunk) => {
        if (this.bytes + chunk.length <= MAX_BYTES) this.#file.write(chunk);
      },
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

  /** Written so far. */
  get bytes(): number {
    return this.#file.bytes;
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
    this.#file.close();
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
