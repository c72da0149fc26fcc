/** What a probe hears of a transfer over a lossy link, and that its listening changes nothing. */
import { createHash } from 'node:crypto';
import { expect } from 'chai';
import type { Probe, ProbedConnection, RetransmissionReason } from '../../lib/base/probe.js';
import { Simulation } from '../../lib/sim/simulation.js';

/** Writes down what it hears, as text. */
class Recorder implements Probe {
  readonly lines: string[] = [];
  readonly connections = new Set<ProbedConnection>();
  readonly windows: number[] = [];
  /** Bytes sent again, by reason. */
  readonly again: Partial<Record<RetransmissionReason, number>> = {};
  lostBytes = 0;
  sentBytes = 0;
  timeouts = 0;
  acks = 0;

  onState(connection: ProbedConnection, from: string, to: string): void {
    this.connections.add(connection);
    this.lines.push(`${from} to ${to}`);
  }

  onAck(connection: ProbedConnection): void {
    this.acks++;
    const { sndUna, sndNxt, unackedBytes } = connection;
    expect(sndNxt - sndUna).to.equal(unackedBytes);
    this.windows.push(connection.cwndBytes);
  }

  onPhase(_connection: ProbedConnection, from: string, to: string): void {
    this.lines.push(`${from} to ${to}`);
  }

  onLost(_connection: ProbedConnection, bytes: number): void {
    this.lostBytes += bytes;
  }

  onSent(connection: ProbedConnection, start: number, bytes: number): void {
    expect(start).to.equal(this.sentBytes + 1);
    this.sentBytes += bytes;
    expect(connection.unackedBytes).to.be.at.least(bytes);
  }

  onRetransmitted(
    connection: ProbedConnection,
    start: number,
    bytes: number,
    reason: RetransmissionReason,
  ): void {
    expect(start).to.be.within(connection.sndUna, connection.sndNxt - bytes);
    this.again[reason] = (this.again[reason] ?? 0) + bytes;
  }

  onTimeout(connection: ProbedConnection): void {
    this.timeouts++;
    expect(connection.phase).to.equal('loss');
  }

  onClosed(connection: ProbedConnection, errorCode: string): void {
    this.lines.push(`closed ${errorCode}`.trimEnd());
    expect(connection.state).to.equal('CLOSED');
  }
}

interface Run {
  readonly client?: Probe;
  readonly server?: Probe;
  readonly drop?: readonly number[];
}

/** A transfer of 200,000 bytes from client to server; a digest of all packets. */
function run({ client, server, drop = [] }: Run): string {
  const hash = createHash('sha256');
  const note = (packet: Uint8Array): boolean => {
    hash.update(packet);
    return false;
  };
  const path = { delayMs: 20, rateBps: 1e7 };
  const net = new Simulation({
    seed: 7,
    upstream: { ...path, drop, dropIf: note },
    downstream: { ...path, dropIf: note },
    client: client === undefined ? {} : { probe: client },
    server: server === undefined ? {} : { probe: server },
  });
  expect(net.transfer({ bytes: 200_000 })).to.equal(200_000);
  net.rest();
  hash.update(String(net.clock.nowUs()));
  net.close();
  return hash.digest('hex');
}

describe('a probe', () => {
  it('hears of states, windows, phases and losses on both sides', () => {
    const [client, server] = [new Recorder(), new Recorder()];
    run({ client, server, drop: [30, 31] });
    expect(client.lines).to.deep.equal([
      'CLOSED to SYN-SENT',
      'SYN-SENT to ESTABLISHED',
      'open to recovery',
      'recovery to open',
      'ESTABLISHED to FIN-WAIT-1',
      'FIN-WAIT-1 to FIN-WAIT-2',
      'FIN-WAIT-2 to TIME-WAIT',
      'closed',
    ]);
    expect(server.lines).to.deep.equal([
      'SYN-RECEIVED to ESTABLISHED',
      'ESTABLISHED to CLOSE-WAIT',
      'CLOSE-WAIT to LAST-ACK',
      'LAST-ACK to CLOSED',
      'closed',
    ]);
    expect(client.lostBytes).to.be.within(2 * 1448, 4 * 1448);
    expect(client.again).to.deep.equal({ recovery: client.lostBytes });
    expect(client.sentBytes).to.equal(200_000);
    expect(server.lostBytes).to.equal(0);
    expect(client.acks).to.be.above(50);
    // Slow start, then less; and the window is seen to change at that ACK.
    const top = client.windows.indexOf(Math.max(...client.windows));
    expect(client.windows[top]).to.be.above(2 * client.windows[0]);
    expect(Math.min(...client.windows.slice(top))).to.be.at.most(0.8 * client.windows[top]);
    const [connection] = client.connections;
    expect(connection).to.include({ id: 1, localAddress: '10.0.0.1', remotePort: 5000, state: 'CLOSED' });
    expect(connection.deliveredBytes).to.equal(200_001);
    expect([...server.connections][0]).to.include({ id: 1, localPort: 5000, receivedBytes: 200_000 });
  });

  it('hears why something is sent again: a probe for a lost tail, and what it brings to light', () => {
    // A SYN and 139 segments, of which the last two are lost.
    const client = new Recorder();
    run({ client, drop: [139, 140] });
    expect(client.again['tail-loss-probe']).to.be.within(1, 1448);
    expect(client.again.recovery).to.equal(1448);
    expect(client.again['time-out']).to.equal(undefined);
    expect(client.timeouts).to.equal(0);
  });

  it('hears of time-outs, and of what they send again', () => {
    // All that is sent between 100 and 2000 ms is lost.
    const blackout = new Recorder();
    const net = new Simulation({
      seed: 7,
      upstream: {
        delayMs: 20,
        rateBps: 1e7,
        dropIf: () => net.clock.nowUs() - 1e9 > 1e5 && net.clock.nowUs() - 1e9 < 2e6,
      },
      downstream: { delayMs: 20 },
      client: { probe: blackout },
    });
    expect(net.transfer({ bytes: 200_000 })).to.equal(200_000);
    net.rest();
    const [connection] = blackout.connections;
    const again = Object.values(blackout.again).reduce((sum, bytes) => sum + bytes, 0);
    expect(again).to.equal(connection.retransmittedBytes);
    expect(blackout.again['time-out']).to.be.above(10 * 1448);
    expect(blackout.timeouts).to.be.within(2, 5);
    expect(blackout.lines).to.include.members(['open to loss', 'loss to open']);
    expect(Math.min(...blackout.windows)).to.be.at.most(10 * 1448);
    net.close();
  });

  it('changes no packet, and the time of none, by listening', () => {
    const plain = run({ drop: [30, 31, 90] });
    expect(run({ drop: [30, 31, 90], client: new Recorder(), server: new Recorder() })).to.equal(plain);
    // One without any method too.
    expect(run({ drop: [30, 31, 90], client: {} })).to.equal(plain);
    expect(run({ drop: [30, 31] })).to.not.equal(plain);
  });

  it('of one endpoint hears of that alone, from when it is set until it is taken away', () => {
    const net = new Simulation({ seed: 1 });
    const listener = net.server.listenTcp({ port: 80 });
    const [one, other] = [1, 2].map(() => net.client.connectTcp({ address: net.serverAddress, port: 80 }));
    const recorder = new Recorder();
    one.setProbe(recorder);
    net.clock.advanceBy(1e6);
    expect(recorder.lines).to.deep.equal(['SYN-SENT to ESTABLISHED']);
    one.write(new Uint8Array(1000));
    net.clock.advanceBy(1e6);
    expect(recorder.acks).to.equal(1);
    one.setProbe(undefined);
    one.write(new Uint8Array(1000));
    one.abort();
    other.abort();
    net.clock.advanceBy(1e6);
    expect(recorder.acks).to.equal(1);
    expect(recorder.lines.length).to.equal(1);
    listener.close();
    net.close();
  });
});
