/** The Ethernet header: one flyweight, aimed anew at each frame. */

export const ETHERNET_HEADER_BYTES = 14;
/** Bytes an 802.1Q tag adds. */
export const VLAN_TAG_BYTES = 4;

export const EtherType = { Ipv4: 0x0800, Arp: 0x0806, Vlan: 0x8100, Ipv6: 0x86dd } as const;

/** Highest number of a VLAN (IEEE 802.1Q §9.6). */
export const MAX_VLAN = 4094;

/** Bytes of a header in a VLAN, or (0) in none. */
export const headerBytesOf = (vlan: number): number =>
  vlan === 0 ? ETHERNET_HEADER_BYTES : ETHERNET_HEADER_BYTES + VLAN_TAG_BYTES;

const NO_VIEW = new DataView(new ArrayBuffer(0));

export class EthernetFrame {
  view: DataView = NO_VIEW;
  /** First byte of the destination. */
  at = 0;
  destinationHigh = 0;
  destinationLow = 0;
  sourceHigh = 0;
  sourceLow = 0;
  /** What the payload is: the type behind the tag, where there is one. */
  etherType = 0;
  /** Number of the VLAN; 0 without a tag, and for one that says only how urgent the frame is. */
  vlan = 0;
  payloadAt = 0;
  payloadBytes = 0;

  /** Aims at the frame of `length` bytes at `at`; false when it is shorter than its header. */
  parse(view: DataView, at: number, length: number): boolean {
    if (length < ETHERNET_HEADER_BYTES) return false;
    this.view = view;
    this.at = at;
    this.destinationHigh = view.getUint16(at);
    this.destinationLow = view.getInt32(at + 2);
    this.sourceHigh = view.getUint16(at + 6);
    this.sourceLow = view.getInt32(at + 8);
    this.etherType = view.getUint16(at + 12);
    this.vlan = 0;
    let headerBytes = ETHERNET_HEADER_BYTES;
    if (this.etherType === EtherType.Vlan) {
      headerBytes += VLAN_TAG_BYTES;
      if (length < headerBytes) return false;
      this.vlan = view.getUint16(at + 14) & 0x0fff;
      this.etherType = view.getUint16(at + 16);
    }
    this.payloadAt = at + headerBytes;
    this.payloadBytes = length - headerBytes;
    return true;
  }

  /** Whether it was sent to a group or to everybody. */
  get isToMany(): boolean {
    return (this.destinationHigh & 0x0100) !== 0;
  }
}

/** Who a frame is for, from, and what is in it. One object, filled anew. */
export class FrameHeader {
  destinationHigh = 0;
  destinationLow = 0;
  sourceHigh = 0;
  sourceLow = 0;
  /** Number of the VLAN; 0 for no tag. */
  vlan = 0;

  /** Bytes of the header. */
  get bytes(): number {
    return headerBytesOf(this.vlan);
  }

  write(view: DataView, at: number, etherType: number): void {
    view.setUint16(at, this.destinationHigh);
    view.setInt32(at + 2, this.destinationLow);
    view.setUint16(at + 6, this.sourceHigh);
    view.setInt32(at + 8, this.sourceLow);
    if (this.vlan === 0) {
      view.setUint16(at + 12, etherType);
      return;
    }
    view.setUint16(at + 12, EtherType.Vlan);
    view.setUint16(at + 14, this.vlan);
    view.setUint16(at + 16, etherType);
  }
}
