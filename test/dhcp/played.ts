/** One side of DHCP played by hand, message by message, on an Ethernet in virtual time. */
import { type DhcpMessage, DhcpOption, DhcpType, readDhcp, writeDhcp } from '../../lib/dhcp/message.js';
import { addressBytes, addressIn, uint32Bytes } from '../../lib/dhcp/option-values.js';
import { readUdp, type UdpPacket, writeUdp } from '../../lib/dhcp/udp-packet.js';
import { MacAddress } from '../../lib/ethernet/mac-address.js';
import { ANY_V4, IpAddress } from '../../lib/wire/ip-address.js';
import { frameOf, type Lan, viewOf } from '../ethernet/lan.js';

const IPV4 = 0x0800;
export const EVERYBODY = 'ff:ff:ff:ff:ff:ff';

/** A message that passed, and how. */
export interface Heard {
  readonly atMs: number;
  readonly name: string;
  readonly message: DhcpMessage;
  readonly udp: UdpPacket;
  /** Whether the frame was for everybody. */
  readonly isToAll: boolean;
}

/** What differs from a message without anything in it. */
export interface Said extends Partial<Omit<DhcpMessage, 'options' | 'type'>> {
  readonly options?: readonly (readonly [number, Uint8Array])[];
  readonly source?: string;
  readonly destination?: string;
  /** Ethernet addresses of the frame. */
  readonly from?: string;
  readonly to?: string;
}

export const ip = (text: string): Uint8Array => addressBytes([IpAddress.parse(text)]);
export const seconds = uint32Bytes;

/** Hears all messages on an Ethernet from now on. */
export function hear(lan: Lan): Heard[] {
  const heard: Heard[] = [];
  lan.listen((frame) => {
    if (viewOf(frame).getUint16(12) !== IPV4) return;
    const udp = readUdp(frame.slice(14));
    const message = udp === undefined ? undefined : readDhcp(udp.payload);
    const name = Object.entries(DhcpType).find(([, type]) => type === message?.type)?.[0];
    if (udp === undefined || message === undefined || name === undefined) return;
    heard.push({ atMs: lan.clock.nowUs() / 1000, name, message, udp, isToAll: frame[0] === 255 });
  });
  return heard;
}

/** Says something as a server (from port 67) or as a client. */
export function say(lan: Lan, type: number, said: Said): void {
  const { options = [], source = '0.0.0.0', destination = '255.255.255.255', from, to, ...fields } = said;
  const isRequest = said.isRequest ?? false;
  const mac = said.mac ?? MacAddress.parse('52:54:00:00:00:77');
  const payload = writeDhcp({
    isRequest,
    transaction: 0,
    seconds: 0,
    isBroadcast: false,
    clientAddress: ANY_V4,
    yourAddress: ANY_V4,
    relay: ANY_V4,
    ...fields,
    mac,
    type,
    options: new Map(options),
  });
  const packet = writeUdp({
    source: IpAddress.parse(source),
    destination: IpAddress.parse(destination),
    sourcePort: isRequest ? 68 : 67,
    destinationPort: isRequest ? 67 : 68,
    payload,
  });
  const ends = { from: from ?? (isRequest ? mac.toString() : '52:54:00:00:00:01'), to: to ?? EVERYBODY };
  lan.inject(frameOf({ ...ends, type: IPV4 }, packet));
  lan.advanceMs(0);
}

/** The usual answer of a server to what a client said last: 10.0.0.15/24 for an hour, from 10.0.0.1. */
export function answer(lan: Lan, to: Heard, type: number, said: Said = {}): void {
  const given: (readonly [number, Uint8Array])[] =
    type === DhcpType.Nak
      ? []
      : [
          [DhcpOption.LeaseTime, seconds(3600)],
          [DhcpOption.SubnetMask, ip('255.255.255.0')],
        ];
  say(lan, type, {
    transaction: to.message.transaction,
    mac: to.message.mac,
    yourAddress: type === DhcpType.Nak ? ANY_V4 : IpAddress.parse('10.0.0.15'),
    source: '10.0.0.1',
    ...said,
    options: [[DhcpOption.ServerId, ip('10.0.0.1')], ...given, ...(said.options ?? [])],
  });
}

/** The address in an option, as text. */
export const addressOf = (message: DhcpMessage, code: number): string | undefined =>
  addressIn(message, code)?.toString();
