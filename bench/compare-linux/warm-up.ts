/**
 * Transfers in virtual time, until V8 has compiled what sends and receives: a fresh process interprets its first
 * tens of thousands of packets, and would show that and not how the stack does.
 */
import { Simulation } from '../../lib/sim/simulation.js';

const TRANSFERS = 4;
const BYTES = 16 << 20;

/** Half of the transfers meet losses, so that recovery is warm too. */
export function warmUp(congestionControl?: string): void {
  const tcp = congestionControl === undefined ? {} : { connection: { congestionControl } };
  for (let seed = 1; seed <= TRANSFERS; seed++) {
    const path = { rateBps: 1e9, delayMs: 10, loss: seed % 2 === 0 ? 0 : 0.001 };
    const simulation = new Simulation({ seed, superPackets: true, client: { tcp }, upstream: path });
    simulation.transfer({ bytes: BYTES });
    simulation.close();
  }
}
