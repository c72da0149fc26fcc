/** The scenario harness itself: it must fail where a stack does. */
import { expect } from 'chai';
import { faultOf } from '../../support/packet-check.js';
import { forEachFamily, forEachIsn, Peer } from '../../support/peer.js';
import { forgetAll } from '../../support/scenario-hooks.js';

/** The message with which `scenario` fails. */
function failure(scenario: () => void): string {
  try {
    scenario();
  } catch (error) {
    return error instanceof Error ? error.message : String(error);
  }
  return 'it did not fail';
}

describe('a scripted peer', () => {
  it('shows what was expected, what came and how it came to this', () => {
    const peer = Peer.established({ mss: 1000 }).write(1000);
    const message = failure(() => peer.expect('> . 1:1001(1000) ack 2'));
    expect(message).to.include(
      'expected  > . 1:1001(1000) ack 2\nbut got   > P. 1:1001(1000) ack 1 win 65535',
    );
    expect(message).to.include('(flags . ≠ P., ack)');
    expect(message).to.include('20.000 * write 1000');
    expect(failure(() => peer.expect('> . 1:1(0)'))).to.include('but got   nothing');
  });

  for (const [line, difference] of [
    ['> P. 2:1002(1000)', 'sequence number'],
    ['> P. 1:1000(999)', 'length'],
    ['> P. 1:1001(1000) win 1', 'win'],
    ['> P.U 1:1001(1000) urg 9', 'flags'],
    ['> [ect0] P. 1:1001(1000)', 'ECN field'],
    ['> P. 1:1001(1000) <>', 'options'],
    ['> P. 1:1001(1000) <!TS>', 'options'],
    ['> P. 1:1001(1000) <sack *>', 'options'],
    ['> P. 1:1001(1000) <TS val 21 ecr *>', 'options'],
  ]) {
    it(`tells "${line}" by its ${difference}`, () => {
      const peer = Peer.established({ mss: 1012, timestamps: true }).write(1000);
      expect(failure(() => peer.expect(line))).to.include(difference);
    });
  }

  it('compares options loosely or strictly, as asked', () => {
    const line = '> P. 1:11(10) ack 1 win 65535';
    const write = (): Peer => Peer.established({ timestamps: true }).write(10);
    write().expect(line).expectNothing();
    write().expect(`${line} <TS val 20 ecr 1020>`);
    write().expect(`${line} <TS val * ecr *,!sack>`);
    write().expect(`${line} <nop,nop,TS val 20 ecr 1020>`, { strict: true });
    const strict = failure(() => write().expect(`${line} <TS val 20 ecr 1020>`, { strict: true }));
    expect(strict).to.include('options');
  });

  it('notices segments nobody expected, too early or too late', () => {
    const peer = Peer.established({ tailLossProbe: false, mss: 1000 }).wrote(500);
    expect(failure(() => peer.expectAfterMs(200, '> P. 1:501(500) ack 1'))).to.include(
      'nothing within 201 ms',
    );
    peer.expectAfterMs(19, '> P. 1:501(500) ack 1');
    const late = failure(() => peer.expectAfterMs(1000, '> P. 1:501(500) ack 1'));
    expect(late).to.include('after 440.000 ms');
    expect(failure(() => peer.expectNothing())).to.include('P. 1:501(500)');
  });

  it('notices text that is not what was written or sent', () => {
    const peer = Peer.established().sendText(10);
    expect(failure(() => peer.expectRead(9))).to.include('expected  9 bytes to read');
    const forged = Peer.established().send('< P. 1:4(3) ack 1', { payload: Uint8Array.of(1, 2, 3) });
    expect(failure(() => forged.expectRead(3))).to.include('the 3 bytes the peer sent');
    const own = Peer.established().send('< P. 1:4(3) ack 1', { payload: Uint8Array.of(1, 2, 3) });
    own.expectRead(Uint8Array.of(1, 2, 3));
  });

  it('finds what is wrong in itself with a packet', () => {
    const limits = { mtu: 1500, checksumOffload: false };
    const faultWith = (spoil: (bytes: Uint8Array) => void, ipv6 = false): string => {
      const peer = Peer.established({ ipv6, timestamps: true }).write(11);
      const sent = peer.last?.packet;
      if (sent === undefined) throw new Error('nothing was sent');
      const bytes = sent.bytes.slice();
      spoil(bytes);
      return faultOf({ ...sent, bytes }, limits);
    };
    for (const ipv6 of [false, true]) {
      expect(faultWith(() => {}, ipv6)).to.equal('');
      const end = ipv6 ? 40 : 20;
      expect(faultWith((bytes) => bytes.fill(0x99, bytes.length - 1), ipv6)).to.equal('TCP checksum');
      expect(faultWith((bytes) => bytes.set([0x82], end + 12), ipv6)).to.include('reserved');
      expect(faultWith((bytes) => bytes.set([0x40], end + 12), ipv6)).to.include('data offset');
    }
    expect(faultWith((bytes) => bytes.set([7], 8))).to.equal('IPv4 header checksum');
    expect(faultWith((bytes) => bytes.set([0, 9], 2))).to.include('total length');
  });

  it('fails a test that leaves something behind', () => {
    const peer = Peer.established();
    peer.stats.tcp.orphans++;
    expect(failure(() => peer.host.finish())).to.include('1 left of the gauge orphans');
    const other = Peer.established();
    other.host.clock.createAlarm(() => {}).setAt(1e18);
    expect(failure(() => other.host.finish())).to.include('alarms');
    const bad = Peer.established();
    bad.host.wire.faults.push('a fault');
    expect(failure(() => bad.host.finish())).to.include('a bad packet: a fault');
  });

  it('gives the stack any ISS, in every role and family, and says in which run a sweep failed', () => {
    let runs = 0;
    forEachIsn((isn) => {
      forEachFamily((family) => {
        for (const role of ['server', 'client'] as const) {
          const { sender, receiver } = Peer.established({ ...isn, ...family, role }).endpoint.connection;
          expect([sender.iss >>> 0, (receiver?.irs ?? 0) >>> 0]).to.deep.equal([isn.iss, isn.irs]);
          runs++;
        }
      });
    });
    expect(runs).to.equal(36 * 4);
    const message = failure(() => forEachIsn(({ iss }) => expect(iss).to.equal(0)));
    expect(message).to.match(/^with ISS 1 and IRS 0: /);
    forgetAll();
  });

  it('lets time stall and alarms ring late', () => {
    const peer = Peer.established({ tailLossProbe: false, mss: 1000 }).wrote(500);
    const { clock } = peer.host;
    peer.stallMs(10_000);
    expect(peer.nowMs).to.equal(10_020);
    peer.expect('> P. 1:501(500) ack 1').expectNothing(400);
    expect(clock.nextUs).to.be.greaterThan(clock.nowUs());
  });

  it('reaches every state in every family and role', () => {
    for (const state of ['SYN-SENT', 'SYN-RECEIVED', 'ESTABLISHED', 'FIN-WAIT-1', 'FIN-WAIT-2'] as const) {
      for (const role of ['server', 'client'] as const) {
        forEachFamily((family) => {
          for (const orphan of [false, true]) Peer.in(state, { ...family, role, orphan, timestamps: true });
        });
      }
    }
    for (const state of ['CLOSE-WAIT', 'CLOSING', 'LAST-ACK', 'TIME-WAIT', 'CLOSED', 'LISTEN'] as const) {
      forEachFamily((family) => Peer.in(state, family).expectState(state).expectNothing());
    }
  });

  it('has several peers on one stack', () => {
    const first = Peer.established();
    const second = first.another();
    second.handshake().expectState('ESTABLISHED').write(10).expect('> P. 1:11(10) ack 1');
    first.expectNothing().write(20).expect('> P. 1:21(20) ack 1');
    second.expectNothing();
    expect(first.gauges.connections).to.equal(2);
  });
});
