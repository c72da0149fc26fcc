/** What a probe hears of a transfer over a lossy link, and that its listening changes nothing. */
import { createHash } from 'node:crypto';
import { expect } from 'chai';
import type { Probe, ProbedConnection } from '../../lib/base/probe.js';
import { Simulation } from '../../lib/sim/simulation.js';

/** Writes down what it hears, as text. */
class Recorder implements Probe {
  readonly lines: string[] = [];
  readonly connections = new Set<ProbedConnection>();
  readonly windows: number[] = [];
  lostBytes = 0;
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
