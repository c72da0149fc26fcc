/**
 * pcapng, the capture format of Wireshark (draft-ietf-opsawg-pcapng): one section, any number of
 * interfaces, packets with nanosecond stamps, direction and comments. Blocks go to a sink; where they
 * are kept is the caller's business.
 */
const BLOCK = { SECTION: 0x0a0d_0d0a, INTERFACE: 1, STATISTICS: 5, PACKET: 6 } as const;
const OPTION = {
  END: 0,
  COMMENT: 1,
  SECTION_APPLICATION: 4,
  INTERFACE_NAME: 2,
  INTERFACE_RESOLUTION: 9,
  PACKET_FLAGS: 2,
  STATISTICS_RECEIVED: 4,
  STATISTICS_DROPPED: 5,
} as const;
const BYTE_ORDER_MAGIC = 0x1a2b_3c4d;
/** Raw IPv4 or IPv6, told apart by the version. */
const LINKTYPE_RAW = 101;
const LINKTYPE_ETHERNET = 1;
/** Largest packet recorded, as most capture tools have it; no packet here comes near. */
const SNAP_LENGTH = 262_144;

/** Which way a packet went, as pcapng has it. */
export const CaptureDirection = {
  /** To the stack. */
  In: 1,
  /** From the stack. */
  Out: 2,
} as const;
export type CaptureDirection = (typeof CaptureDirection)[keyof typeof CaptureDirection];

/** A packet to record. */
export interface PacketRecord {
  /** As `addInterface` gave it. */
  interfaceId: number;
  /** Nanoseconds since 1970. */
  timeNs: bigint;
  /** Which way it went. */
  direction: CaptureDirection;
  /** Shown beside the packet. */
  comment?: string;
}

interface Option {
  code: number;
  value: Uint8Array;
}

/**
 * A capture in the format of Wireshark (draft-ietf-opsawg-pcapng), which recorders of several links may
 * share.
 */
export class PcapngWriter {
  readonly #sink: (chunk: Uint8Array) => void;
  readonly #application: string;
  #interfaces = 0;

  /**
   * @param sink is given the capture piece by piece; each piece is its to keep
   * @param application named in the section header
   */
  constructor(sink: (chunk: Uint8Array) => void, application = 'tunstack') {
    this.#sink = sink;
    this.#application = application;
  }

  /**
   * Describes an interface; the first one begins the section. @returns the number of its packets
   * @param framing what its packets are; IP packets by default
   */
  addInterface(name: string, framing?: 'ethernet'): number {
    if (this.#interfaces === 0) this.#writeSection();
    const body = new Uint8Array(8);
    const view = new DataView(body.buffer);
    view.setUint16(0, framing === 'ethernet' ? LINKTYPE_ETHERNET : LINKTYPE_RAW, true);
    view.setUint32(4, SNAP_LENGTH, true);
    this.#write(BLOCK.INTERFACE, body, [
      { code: OPTION.INTERFACE_NAME, value: utf8(name) },
      { code: OPTION.INTERFACE_RESOLUTION, value: Uint8Array.of(9) },
    ]);
    return this.#interfaces++;
  }

  /** Writes a copy of `packet`. */
  writePacket(packet: Uint8Array, record: PacketRecord): void {
    const body = new Uint8Array(20 + pad(packet.length));
    const view = new DataView(body.buffer);
    view.setUint32(0, record.interfaceId, true);
    setTime(view, 4, record.timeNs);
    view.setUint32(12, packet.length, true);
    view.setUint32(16, packet.length, true);
    body.set(packet, 20);
    const options: Option[] = [{ code: OPTION.PACKET_FLAGS, value: uint32(record.direction) }];
    if (record.comment !== undefined) options.push({ code: OPTION.COMMENT, value: utf8(record.comment) });
    this.#write(BLOCK.PACKET, body, options);
  }

  /** Sums up an interface; usually the last one hears of it. */
  writeStatistics(interfaceId: number, timeNs: bigint, received: number, dropped: number): void {
    const body = new Uint8Array(12);
    const view = new DataView(body.buffer);
    view.setUint32(0, interfaceId, true);
    setTime(view, 4, timeNs);
    this.#write(BLOCK.STATISTICS, body, [
      { code: OPTION.STATISTICS_RECEIVED, value: uint64(BigInt(received)) },
      { code: OPTION.STATISTICS_DROPPED, value: uint64(BigInt(dropped)) },
    ]);
  }

  #writeSection(): void {
    const body = new Uint8Array(16);
    const view = new DataView(body.buffer);
    view.setUint32(0, BYTE_ORDER_MAGIC, true);
    view.setUint16(4, 1, true); // version 1.0
    view.setBigInt64(8, -1n, true); // of a length not said
    this.#write(BLOCK.SECTION, body, [{ code: OPTION.SECTION_APPLICATION, value: utf8(this.#application) }]);
  }

  #write(type: number, body: Uint8Array, options: readonly Option[]): void {
    let optionBytes = 4;
    for (const { value } of options) optionBytes += 4 + pad(value.length);
    const length = 12 + body.length + optionBytes;
    const block = new Uint8Array(length);
    const view = new DataView(block.buffer);
    view.setUint32(0, type, true);
    view.setUint32(4, length, true);
    block.set(body, 8);
    let at = 8 + body.length;
    for (const { code, value } of options) {
      view.setUint16(at, code, true);
      view.setUint16(at + 2, value.length, true);
      block.set(value, at + 4);
      at += 4 + pad(value.length);
    }
    // The end of options is four zero bytes, which are there.
    view.setUint32(length - 4, length, true);
    this.#sink(block);
  }
}

const pad = (length: number): number => (length + 3) & -4;

/** Encoded by hand: the core takes nothing from its host. An option holds at most 65,535 bytes. */
function utf8(text: string): Uint8Array {
  const bytes: number[] = [];
  for (const character of text.slice(0, 16_000)) {
    const code = character.codePointAt(0) ?? 0xfffd;
    if (code < 0x80) bytes.push(code);
    else if (code < 0x800) bytes.push(0xc0 | (code >> 6), 0x80 | (code & 63));
    else if (code < 0x1_0000) bytes.push(0xe0 | (code >> 12), 0x80 | ((code >> 6) & 63), 0x80 | (code & 63));
    else {
      bytes.push(
        0xf0 | (code >> 18),
        0x80 | ((code >> 12) & 63),
        0x80 | ((code >> 6) & 63),
        0x80 | (code & 63),
      );
    }
  }
  return Uint8Array.from(bytes);
}

function uint32(value: number): Uint8Array {
  const bytes = new Uint8Array(4);
  new DataView(bytes.buffer).setUint32(0, value, true);
  return bytes;
}

function uint64(value: bigint): Uint8Array {
  const bytes = new Uint8Array(8);
  new DataView(bytes.buffer).setBigUint64(0, value, true);
  return bytes;
}

/** The upper half comes first, each half in the order of the section. */
function setTime(view: DataView, at: number, timeNs: bigint): void {
  view.setUint32(at, Number(timeNs >> 32n), true);
  view.setUint32(at + 4, Number(timeNs & 0xffff_ffffn), true);
}
