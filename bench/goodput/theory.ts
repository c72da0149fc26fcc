/** What a flow should carry by the formulas, Mbit/s of text: the line a measured figure stands beside. */

/** Text of a full segment with timestamps, and the packet around it, bytes. */
export const SEGMENT_BYTES = 1448;
export const PACKET_BYTES = 1500;

export interface PathFacts {
  readonly rateBps: number;
  readonly rttMs: number;
  /** Probability that a packet is lost, and that a packet is the first of those lost together. */
  readonly lossRate: number;
  readonly lossEventRate: number;
}

/**
 * Mean window of NewReno in segments: M. Mathis et al., "The Macroscopic Behavior of the TCP Congestion
 * Avoidance Algorithm" (1997), with growth counted in bytes, so that delayed ACKs do not slow it.
 */
const renoWindow = (lossEventRate: number): number => Math.sqrt(1.5 / lossEventRate);

/** Mean window of CUBIC in segments (RFC 9438 §5.1, with C = 0.4 and β = 0.7); Reno's where that is larger (§4.3). */
function cubicWindow(lossEventRate: number, rttSeconds: number): number {
  const cubic = 1.054 * (rttSeconds / lossEventRate) ** 0.75;
  return Math.max(cubic, renoWindow(lossEventRate));
}

/** @throws Error for a congestion control without a formula */
export function theoryMbps(control: string, path: PathFacts): number {
  const { rateBps, rttMs, lossRate, lossEventRate } = path;
  const link = ((rateBps * SEGMENT_BYTES) / PACKET_BYTES / 1e6) * (1 - lossRate);
  if (lossEventRate === 0 || control === 'bbr') return link;
  const rttSeconds = rttMs / 1000;
  if (control !== 'reno' && control !== 'cubic') throw new Error(`no formula for ${control}`);
  const window = control === 'reno' ? renoWindow(lossEventRate) : cubicWindow(lossEventRate, rttSeconds);
  return Math.min(link, (window * SEGMENT_BYTES * 8) / rttSeconds / 1e6);
}
