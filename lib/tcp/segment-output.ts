/** What TCP asks of the layer that carries its segments. `stack/` joins it to IP. */
export interface SegmentOutput {
  /**
   * Lends room for a segment of `transportBytes` bytes, header included. False while the link is full;
   * the connection is then asked again when it is not.
   */
  begin(transportBytes: number): boolean;
  /** The lent room, valid from `begin` to `commit`: the TCP header goes to `at`. */
  readonly view: DataView;
  readonly bytes: Uint8Array;
  readonly at: number;
  /** Largest segment, header included, that `begin` would lend room for: above the MSS with offload. */
  readonly maxTransportBytes: number;
  /** Whether it takes super-packets; otherwise every segment is sent by itself, however small the MSS. */
  readonly takesSuperPackets: boolean;
  /** Whether what was begun last goes nowhere: no path takes it, and it is lost as on any network. */
  readonly goesNowhere: boolean;
  /**
   * Instead of being written, the last `length` bytes of the segment begun are taken from `memory` at `at` before
   * anything else arrives; until then they must stay as they are. False where they must be written.
   */
  lend(memory: Uint8Array, at: number, length: number): boolean;
  /** ECN field for the next segment. */
  setEcn(ecn: number): void;
  /**
   * Sends what was written. The checksum field is zero, whoever implements this completes it.
   * @param segmentSize text bytes per segment of a super-packet, 0 for a plain one
   */
  commit(transportBytes: number, segmentSize: number): void;
}
