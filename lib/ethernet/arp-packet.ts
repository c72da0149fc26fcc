/** ARP for IPv4 over Ethernet (RFC 826): one flyweight to read, one function to write. */
import { MacAddress } from './mac-address.js';

export const ARP_BYTES = 28;
export const ArpOperation = { Request: 1, Reply: 2 } as const;

const HARDWARE_ETHERNET = 1;
const PROTOCOL_IPV4 = 0x0800;
const LENGTHS = 0x0604;
const NO_VIEW = new DataView(new ArrayBuffer(0));

export class ArpPacket {
  #view: DataView = NO_VIEW;
  #at = 0;

  /** Aims at the `length` bytes at `at`; false when they are no ARP for IPv4 over Ethernet. */
  parse(view: DataView, at: number, length: number): boolean {
    if (length < ARP_BYTES) return false;
    if (view.getUint16(at) !== HARDWARE_ETHERNET || view.getUint16(at + 2) !== PROTOCOL_IPV4) return false;
    if (view.getUint16(at + 4) !== LENGTHS) return false;
    const operation = view.getUint16(at + 6);
    if (operation !== ArpOperation.Request && operation !== ArpOperation.Reply) return false;
    this.#view = view;
    this.#at = at;
    return true;
  }

  get isRequest(): boolean {
    return this.#view.getUint16(this.#at + 6) === ArpOperation.Request;
  }

  get senderMac(): MacAddress {
    return MacAddress.read(this.#view, this.#at + 8);
  }

  /** The sender's IPv4 address; 0 of one that only asks whether an address is free (RFC 5227 §2.1.1). */
  get senderIp(): number {
    return this.#view.getInt32(this.#at + 14);
  }

  get targetMac(): MacAddress {
    return MacAddress.read(this.#view, this.#at + 18);
  }

  get targetIp(): number {
    return this.#view.getInt32(this.#at + 24);
  }
}

/** What an ARP packet says. */
export interface ArpFields {
  readonly operation: number;
  readonly senderMac: MacAddress;
  readonly senderIp: number;
  readonly targetMac: MacAddress;
  readonly targetIp: number;
}

export function writeArp(fields: ArpFields): Uint8Array {
  const bytes = new Uint8Array(ARP_BYTES);
  const view = new DataView(bytes.buffer);
  view.setUint16(0, HARDWARE_ETHERNET);
  view.setUint16(2, PROTOCOL_IPV4);
  view.setUint16(4, LENGTHS);
  view.setUint16(6, fields.operation);
  fields.senderMac.write(view, 8);
  view.setInt32(14, fields.senderIp);
  fields.targetMac.write(view, 18);
  view.setInt32(24, fields.targetIp);
  return bytes;
}

export const NO_MAC = new MacAddress(0, 0);
