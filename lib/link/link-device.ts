/**
 * What a stack asks of a link. A TUN, a pipe, a lossy wire, a WireGuard tunnel or a WebSocket: any
 * object that yields and takes batches of IP packets.
 */
import type { IpAddress } from '../wire/ip-address.js';
import type { LinkHost } from './link-host.js';
import type { PacketBatch } from './packet-batch.js';

/** What a stack asks of a link: any object that yields and takes batches of IP packets. */
export interface LinkDevice {
  /** For routes, rules and messages: `tun0`. */
  readonly name: string;
  /** Largest IP packet on the wire, bytes. */
  readonly mtu: number;
  /**
   * Largest packet it takes, bytes. Above `mtu` when it accepts super-packets, which carry a segment
   * size and are split behind it; equal to `mtu` otherwise.
   */
  readonly maxPacketBytes: number;
  /** Whether it completes transport checksums (`ChecksumState.Partial`) of what it is given to send. */
  readonly checksumOffload: boolean;
  /** Whether it also takes UDP super-packets (USO); false when absent. */
  readonly udpSegmentation?: boolean;
  /**
   * Whether texts of packets it sends may lie elsewhere (`PacketBatch.lendText`), where it completes checksums; false
   * when absent.
   */
  readonly gathers?: boolean;
  /** What its packets are: frames with an Ethernet header, for an `EthernetLink`; IP packets when absent. */
  readonly framing?: 'ethernet';
  /**
   * Whether it must know the first hop of each packet (`PacketBatch.setNextHop`), as links do that have many
   * neighbours; false when absent.
   */
  readonly resolves?: boolean;
  /** Meets the stack it was added to; called once, before `open`. For links with neighbours. */
  attach?(host: LinkHost): void;
  /**
   * The stack was given an address on this link. @returns whether it must not be used yet: `LinkHost.settle` or
   * `removeAddress` follows
   * @param probe whether to find out first if somebody has it; the link decides where that is not said
   */
  addressAdded?(address: IpAddress, probe: boolean | undefined): boolean;
  /** The stack lost an address on this link. */
  addressRemoved?(address: IpAddress): void;
  /**
   * Starts it; called once. `onBatch` hears each batch that comes in, which is lent until it returns.
   * It is never called from within `send`, so that receiving never nests in sending.
   */
  open(onBatch: (batch: PacketBatch) => void): void;
  /**
   * A batch to append packets to, with room for at least one of `maxPacketBytes`; undefined while the
   * link is full, and `onWritable` follows. The same batch is lent again until it is sent.
   */
  borrow(): PacketBatch | undefined;
  /** Sends what was appended to the borrowed batch, which is no longer the borrower's afterwards. */
  send(batch: PacketBatch): void;
  /** Set by the stack; called when a link that was full takes packets again. */
  onWritable: () => void;
  /** Set by the stack; called once when the link has failed for good. No packet follows. */
  onDown: (error: Error) => void;
  /** Ends it. Packets not yet sent are dropped. May be called twice. */
  close(): void;
  /**
   * The link keeps the host process alive while open, which is so at first. Links without a host have
   * neither.
   */
  ref?(): void;
  /** It does not keep it alive. */
  unref?(): void;
}
