import { expect } from 'chai';
import { IpPeer } from '../../support/ip-peer.js';
import { icmp4, icmp6, pattern, udp, v4, v6 } from '../../support/ip-wire.js';

describe('smoke', () => {
  it('answers echo', () => {
    const peer = new IpPeer();
    peer.receive(v4({ protocol: 1, payload: icmp4(8, 0, 0x12340001, pattern(56)) }));
    const [reply] = peer.sentIcmp();
    expect(reply.type).to.equal(0);
    expect(reply.word).to.equal(0x12340001);
    expect(reply.data).to.deep.equal(pattern(56));
    peer.receive(
      v6({ next: 58, payload: icmp6(['2001:db8::2', '2001:db8::1'], 128, 0, 0x12340001, pattern(56)) }),
    );
    const [six] = peer.sentIcmp();
    expect(six.type).to.equal(129);
    peer.receive(v4({ payload: udp('10.0.0.2', '10.0.0.1', pattern(5)) }));
    expect(peer.udp.packets).to.have.length(1);
    const path = peer.resolve('10.0.0.7');
    expect(path.unusable).to.equal('');
    path.dontFragment = false;
    expect(peer.send(path, udp('10.0.0.1', '10.0.0.7', pattern(3000)), 6)).to.equal(0);
    console.log(peer.sent().map((s) => [s.offset, s.more, s.payload.length]));
    const own = peer.resolve('10.0.0.1');
    peer.send(own, udp('10.0.0.1', '10.0.0.1', pattern(30)), 6);
    peer.loop();
    expect(peer.udp.packets).to.have.length(2);
    expect(peer.resolve('8.8.8.8').unusable).to.equal('ENETUNREACH');
    expect(peer.resolve('2001:db8::77').unusable).to.equal('');
    expect(peer.stats.drops.toJSON()).to.deep.equal({});
  });
});
