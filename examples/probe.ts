/**
 * The congestion window over time, as CSV: one transfer over a slow path with a short queue, observed by a probe.
 *
 *     npx tsx examples/probe.ts [congestion control] [seed] > cwnd.csv
 *
 * Time is virtual: ten seconds of transfer take a moment. Nothing here needs root, a TUN or the addon.
 */
import { type Probe, type ProbedConnection, Simulation } from 'tunstack';

const congestionControl = process.argv[2] ?? 'reno';
const seed = Number(process.argv[3] ?? 1);

/** Prints a line for each ACK, and one for whatever else is worth knowing. */
class CsvProbe implements Probe {
  readonly #startUs: number;

  constructor(startUs: number) {
    this.#startUs = startUs;
    console.log('ms,event,cwnd,ssthresh,in flight,srtt ms');
  }

  onAck(connection: ProbedConnection): void {
    this.#print(connection, 'ack');
  }

  onPhase(connection: ProbedConnection, from: string, to: string): void {
    this.#print(connection, `${from} to ${to}`);
  }

  onLost(connection: ProbedConnection, bytes: number): void {
    this.#print(connection, `lost ${bytes}`);
  }

  onRetransmitted(connection: ProbedConnection, start: number, bytes: number, reason: string): void {
    this.#print(connection, `again ${start}:${start + bytes} (${reason})`);
  }

  onClosed(connection: ProbedConnection, errorCode: string): void {
    this.#print(connection, errorCode === '' ? 'closed' : errorCode);
  }

  #print(connection: ProbedConnection, event: string): void {
    const ms = ((connection.nowUs - this.#startUs) / 1000).toFixed(3);
    const { cwndBytes, ssthreshBytes, inFlightBytes, srttUs } = connection;
    console.log(
      `${ms},${event},${cwndBytes},${ssthreshBytes},${inFlightBytes},${(srttUs / 1000).toFixed(3)}`,
    );
  }
}

const startUs = 1e9;
const net = new Simulation({
  seed,
  startUs,
  upstream: { rateBps: 10e6, delayMs: 20, queueBytes: 50_000 },
  downstream: { delayMs: 20 },
  client: { probe: new CsvProbe(startUs), tcp: { connection: { congestionControl } } },
});
net.transfer({ bytes: 10_000_000 });
net.close();
