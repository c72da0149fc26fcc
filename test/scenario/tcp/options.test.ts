/** Settings of TCP: of a stack, of a listener, of a socket before it connects, and of a connection that lives. */
import { expect } from 'chai';
import { Simulation } from '../../../lib/sim/simulation.js';
import { NewReno } from '../../../lib/tcp/congestion/new-reno.js';
import { registerCongestionControl } from '../../../lib/tcp/congestion/registry.js';
import type { LiveOption } from '../../../lib/tcp/live-options.js';
import { DEFAULT_TCP_OPTIONS, type TcpOptions } from '../../../lib/tcp/options.js';
import { Peer } from '../../support/peer.js';
import { finishAll } from '../../support/scenario-hooks.js';

/** As Reno in all but its name. */
registerCongestionControl('options-test', (parameters) =>
  Object.assign(new NewReno(parameters), { name: 'options-test' }),
);

const codeOf = (what: () => unknown): unknown => {
  try {
    what();
  } catch (error) {
    return (error as { code?: unknown }).code;
  }
  return undefined;
};

const OTHER_VALUES: { readonly [K in LiveOption]: TcpOptions[K] } = {
  noDelay: true,
  cork: true,
  keepAlive: true,
  keepAliveIdleMs: 5000,
  keepAliveIntervalMs: 700,
  keepAliveProbes: 3,
  userTimeoutMs: 20_000,
  synRetries: 2,
  retries1: 2,
  retries2: 7,
  sendBufferBytes: 77_777,
  receiveBufferBytes: 99_999,
  notSentLowWaterBytes: 4000,
  windowClampBytes: 30_000,
  maxSegmentBytes: 600,
  quickAck: true,
  finTimeoutMs: 1234,
  urgentInline: true,
  strictTimestamps: true,
  trafficClass: 0x48,
  hopLimit: 7,
  lingerMs: 300,
  congestionControl: 'options-test',
  pacing: true,
  maxPacingRateBps: 1e6,
};

describe('a setting of a connection', () => {
  it('is read back as it was set, on this connection alone', () => {
    const peer = Peer.established({ windowScale: 7 });
    const neighbour = peer.another().handshake();
    for (const [name, value] of Object.entries(OTHER_VALUES) as [LiveOption, never][]) {
      const before = neighbour.endpoint.getOption(name);
      expect(peer.endpoint.getOption(name), name).to.not.equal(value);
      peer.endpoint.setOption(name, value);
      expect(peer.endpoint.getOption(name), name).to.equal(value);
      expect(neighbour.endpoint.getOption(name), name).to.equal(before);
    }
    expect(neighbour.endpoint.getOption('sack')).to.equal(true);
  });

  it('is that of the stack, unless the listener or the socket says otherwise', () => {
    const tcp = { connection: { keepAliveIdleMs: 9000, synRetries: 3, hopLimit: 9 } };
    const { client, server, clock, serverAddress } = new Simulation({ client: { tcp }, server: { tcp } });
    const options = { synRetries: 4, cork: true };
    const listener = server.listenTcp({ port: 80, options });
    const connected = client.connectTcp({ address: serverAddress, port: 80, options });
    clock.advanceBy(1e6);
    for (const endpoint of [connected, listener.accept()]) {
      expect(endpoint?.getOption('keepAliveIdleMs')).to.equal(9000);
      expect(endpoint?.getOption('synRetries')).to.equal(4);
      expect(endpoint?.getOption('hopLimit')).to.equal(9);
      expect(endpoint?.getOption('cork')).to.equal(true);
      expect(endpoint?.getOption('retries2')).to.equal(DEFAULT_TCP_OPTIONS.retries2);
    }
    client.close();
    server.close();
  });

  it('of a listener counts for what it accepts from then on', () => {
    const peer = Peer.listening();
    const { listener } = peer;
    const first = peer.another().handshake();
    listener?.setOption('maxSegmentBytes', 1000);
    listener?.setOption('congestionControl', 'options-test');
    expect(listener?.getOption('maxSegmentBytes')).to.equal(1000);
    const second = peer.another();
    second.sendSyn().expect('> S. 0:0(0) ack 1 <mss 1000>').advanceMs(20).send('< . 1:1(0) ack 1');
    expect(first.endpoint.getOption('congestionControl')).to.equal('cubic');
    expect(second.endpoint.getOption('congestionControl')).to.equal('options-test');
    second.write(1500).expect('> . 1:1001(1000) ack 1').expect('> P. 1001:1501(500) ack 1');
    expect(codeOf(() => listener?.setOption('hopLimit', 256))).to.equal('ERR_OUT_OF_RANGE');
    first.drain();
  });

  it('that is wrong is refused with the code of Node, and changes nothing', () => {
    const peer = Peer.established();
    const { endpoint, stack } = peer;
    const set = (name: string, value: unknown): unknown =>
      codeOf(() => endpoint.setOption(name as LiveOption, value as never));
    expect(set('noDelay', 1)).to.equal('ERR_INVALID_ARG_TYPE');
    expect(set('lingerMs', null)).to.equal('ERR_INVALID_ARG_TYPE');
    expect(set('lingerMs', -2)).to.equal('ERR_OUT_OF_RANGE');
    expect(set('hopLimit', Number.NaN)).to.equal('ERR_OUT_OF_RANGE');
    expect(set('maxPacingRateBps', 0)).to.equal('ERR_OUT_OF_RANGE');
    expect(set('maxPacingRateBps', Number.NaN)).to.equal('ERR_OUT_OF_RANGE');
    expect(set('keepAliveProbes', 128)).to.equal('ERR_OUT_OF_RANGE');
    expect(set('congestionControl', 'none such')).to.equal('ERR_INVALID_ARG_VALUE');
    // These only count when a connection begins.
    expect(set('sack', false)).to.equal('ERR_INVALID_ARG_VALUE');
    expect(set('toString', 1)).to.equal('ERR_INVALID_ARG_VALUE');
    expect(codeOf(() => endpoint.getOption('toString' as never))).to.equal('ERR_INVALID_ARG_VALUE');
    expect(endpoint.getOption('lingerMs')).to.equal(-1);
    const listen = (options: Partial<TcpOptions>): unknown =>
      codeOf(() => stack.listenTcp({ port: 9, options }));
    expect(listen({ congestionControl: 'none such' })).to.equal('ERR_INVALID_ARG_VALUE');
    expect(listen({ delayedAckMaxMs: 500 })).to.equal('ERR_OUT_OF_RANGE');
    expect(listen({ retries2: Number.POSITIVE_INFINITY })).to.equal('ERR_OUT_OF_RANGE');
    expect(listen({ nonsense: 1 } as never)).to.equal('ERR_INVALID_ARG_VALUE');
  });
});

describe('another congestion control in mid-connection', () => {
  it('goes on with window and threshold, as Linux does, also in a recovery', () => {
    const peer = Peer.established({ mss: 1000 }).wrote(10_000);
    peer.advanceMs(20).send('< . 1:1(0) ack 10001').drain();
    peer.wrote(20_000);
    for (const end of [12_001, 13_001, 14_001]) {
      peer.send(`< . 1:1(0) ack 10001 <nop,nop,sack 11001:${end}>`);
    }
    peer.drain();
    const before = peer.endpoint.info;
    expect(before).to.include({ phase: 'recovery', congestionControl: 'cubic' });
    peer.endpoint.setCongestionControl('options-test');
    const { cwndBytes, ssthreshBytes } = before;
    expect(peer.endpoint.info).to.include({ cwndBytes, ssthreshBytes, congestionControl: 'options-test' });
    peer.advanceMs(20).ackAll().drain();
    expect(peer.endpoint.info).to.include({ phase: 'open', ssthreshBytes });
    expect(peer.endpoint.info.cwndBytes).to.be.within(ssthreshBytes, ssthreshBytes + 3000);
  });

  it('of the same name changes nothing, and before the handshake it is the one to begin with', () => {
    const peer = Peer.established();
    const { congestion } = peer.endpoint.connection.sender;
    peer.endpoint.setCongestionControl('cubic');
    expect(peer.endpoint.connection.sender.congestion).to.equal(congestion);
    finishAll();
    const client = Peer.connecting();
    client.endpoint.setCongestionControl('options-test');
    client.handshake();
    expect(client.endpoint.info.congestionControl).to.equal('options-test');
    expect(client.endpoint.info.cwndBytes).to.equal(14_600);
    client.drain();
  });
});

describe('the largest segment an application wants (Linux TCP_MAXSEG)', () => {
  it('is announced, and bounds what is sent, timestamps included', () => {
    const server = Peer.listening({ timestamps: true, options: { maxSegmentBytes: 512 } }).sendSyn();
    server.expect('> S. 0:0(0) ack 1 <mss 512>').advanceMs(20).send('< . 1:1(0) ack 1');
    server.write(600).expect('> . 1:501(500) ack 1').expect('> P. 501:601(100) ack 1');
    finishAll();
    const client = Peer.connecting({ mss: 1460, options: { maxSegmentBytes: 512 } });
    client.expect('> S 0:0(0) <mss 512>').send('< S. 0:0(0) ack 1 <mss 1460>').drain();
    client.write(600).expect('> . 1:513(512) ack 1').expect('> P. 513:601(88) ack 1');
  });

  it('changes for what is sent from now on, and takes nothing in flight for lost', () => {
    const peer = Peer.established({ tailLossProbe: false, mss: 1000 }).wrote(3000);
    peer.endpoint.setMaxSegment(500);
    peer.write(1000).expect('> . 3001:3501(500) ack 1').expect('> P. 3501:4001(500) ack 1').expectNothing();
    expect(peer.endpoint.info).to.include({ lostBytes: 0, mssBytes: 500 });
    peer.ackAll();
    // What was larger is sent again in pieces.
    peer.endpoint.setMaxSegment(0);
    peer.wrote(1000).endpoint.setMaxSegment(500);
    peer.advanceMs(1000).expect('> . 4001:4501(500) ack 1');
    peer.advanceMs(20).ackAll().drain();
    peer.endpoint.setMaxSegment(3000);
    peer.write(1000).expect('> P. 5001:6001(1000) ack 1');
  });

  it('is not what a route announces: that says nothing of what is sent (Linux advmss)', () => {
    const peer = Peer.closed();
    peer.stack.routing.routes.add({ destination: '10.0.0.2/32', port: 1, advmss: 900 });
    peer.listen().sendSyn().expect('> S. 0:0(0) ack 1 <mss 900>').advanceMs(20).send('< . 1:1(0) ack 1');
    peer.write(1460).expect('> P. 1:1461(1460) ack 1');
  });
});

describe('a clamp on the window of a connection that lives (Linux TCP_WINDOW_CLAMP)', () => {
  it('takes nothing back, and lets the window grow again once it is lifted', () => {
    const peer = Peer.established({ mss: 1000, windowScale: 7 });
    const { receiver } = peer.endpoint.connection;
    const edge = receiver?.rcvAdv;
    peer.endpoint.setWindowClamp(20_000);
    expect(receiver?.rcvAdv).to.equal(edge);
    for (let i = 0; i < 12; i++) {
      peer.sendText(10_000, 1000).drain();
      peer.read(10_000);
      peer.advanceMs(20).drain();
    }
    expect(receiver?.rcvWnd).to.be.within(9_000, 20_000 + 20_000 / 16 + 256);
    peer.endpoint.setWindowClamp(0);
    for (let i = 0; i < 12; i++) {
      peer.sendText(10_000, 1000).drain();
      peer.read(10_000);
      peer.advanceMs(20).drain();
    }
    expect(receiver?.rcvWnd).to.be.above(40_000);
  });
});

describe('the low-water mark of what is unsent (Linux TCP_NOTSENT_LOWAT)', () => {
  it('may change while somebody waits for room', () => {
    const peer = Peer.established({ mss: 1000, window: 2000 });
    peer.endpoint.setSendBuffer(10_000);
    expect(peer.offer(12_000)).to.equal(10_000);
    peer.drain();
    peer.takeEvents();
    peer.send('< . 1:1(0) ack 2001 win 2000').drain();
    peer.expectEvents();
    peer.endpoint.setNotSentLowWater(8000);
    peer.advanceMs(0).expectEvents('writable');
    peer.abort().drain();
  });
});
