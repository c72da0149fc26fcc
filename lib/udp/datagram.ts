/** What a socket is told: datagrams that came in, and errors about those it sent. */
import { ANY_V4, type IpAddress } from '../wire/ip-address.js';

/** A received datagram. One object per socket, aimed anew at each; lent until the next is asked for. */
export class Datagram {
  /** The payload lies at `bytes[at .. at + length)`. */
  bytes: Uint8Array = new Uint8Array(0);
  /** Where in `bytes` the payload begins. */
  at = 0;
  /** Bytes of payload. */
  length = 0;
  /** Bytes it had when it came; more than `length` when `truncated`. */
  datagramBytes = 0;
  /** Whether its end did not fit the memory given to `receiveInto`, and is lost. */
  truncated = false;
  /** Who sent it. */
  source: IpAddress = ANY_V4;
  /** The port it was sent from. */
  sourcePort = 0;
  /** Where it was sent to: the address to answer from. */
  destination: IpAddress = ANY_V4;
  /** The port it was sent to. */
  destinationPort = 0;
  /** DSCP in the upper six bits, ECN in the lower two. */
  trafficClass = 0;
  /** TTL or hop limit it arrived with. */
  hopLimit = 0;
  /** Index of the link it came in on. */
  link = 0;
  /** When it came, µs. */
  nowUs = 0;

  /** The payload, as a view that is lent too. */
  get payload(): Uint8Array {
    return this.bytes.subarray(this.at, this.at + this.length);
  }
}

/** An entry of the error queue (Linux IP_RECVERR). */
export interface DatagramError {
  /** `ECONNREFUSED` and the like. */
  readonly code: string;
  /** Who found it: this host, or ICMP. */
  readonly origin: 'local' | 'icmp' | 'icmp6';
  /** ICMP type; 0 for errors of this host. */
  readonly icmpType: number;
  /** ICMP code; 0 for errors of this host. */
  readonly icmpCode: number;
  /** For `EMSGSIZE`: the largest IP packet that may go, bytes; 0 if not known. */
  readonly mtu: number;
  /** Where the datagram was sent. */
  readonly destination: IpAddress;
  /** To which port. */
  readonly destinationPort: number;
  /** Who reported it; absent for errors of this host. */
  readonly reporter?: IpAddress;
}

/** What has happened to a socket since its owner last looked; bits. */
export const UdpEvent = {
  /** Datagrams wait. */
  READABLE: 1,
  /** An error waits: `takeError`, or the error queue. */
  ERROR: 2,
  /** After a `send` that found its link full: there may be room again. */
  WRITABLE: 4,
} as const;
