/** The parts of the encrypting link: its handshake against published vectors, and the tunnel against a hostile wire. */
import { createPrivateKey, createPublicKey } from 'node:crypto';
import { expect } from 'chai';
import { Handshake, type KeyPair, makeKeys, open, seal } from '../../examples/encrypted-link/noise.js';
import { ReplayWindow } from '../../examples/encrypted-link/replay-window.js';
import { Tunnel } from '../../examples/encrypted-link/tunnel.js';
import { SeededRandom } from '../../lib/sim/seeded-random.js';
import { VirtualClock } from '../../lib/sim/virtual-clock.js';

const EMPTY = new Uint8Array(0);
const bytes = (hex: string): Buffer => Buffer.from(hex, 'hex');

/** A pair of keys from a private one of 32 bytes, in the wrapping that Node reads. */
function keysOf(hex: string): KeyPair {
  const key = Buffer.concat([bytes('302e020100300506032b656e04220420'), bytes(hex)]);
  const privateKey = createPrivateKey({ key, format: 'der', type: 'pkcs8' });
  const { x = '' } = createPublicKey(privateKey).export({ format: 'jwk' });
  return { privateKey, publicBytes: Buffer.from(x, 'base64url') };
}

/** Noise_KK_25519_ChaChaPoly_SHA256 of the vectors of cacophony, which implementations of Noise share. */
const VECTOR = {
  prologue: '4a6f686e2047616c74',
  initiator: 'e61ef9919cde45dd5f82166404bd08e38bceb5dfdfded0a34c8df7ed542214d1',
  initiatorEphemeral: '893e28b9dc6ca8d611ab664754b8ceb7bac5117349a4439a6b0569da977c464a',
  responder: '4a3acbfdb163dec651dfa3194dece676d437029c62a408b4c5ea9114246e4893',
  responderEphemeral: 'bbdb4cdbd309f1a1f2e1456967fe288cadd6f712d65dc7b7793d5e63da6b375b',
  /** Payload and message, from the initiator first and in turn: two of the handshake, four behind it. */
  messages: [
    [
      '4c756477696720766f6e204d69736573',
      'ca35def5ae56cec33dc2036731ab14896bc4c75dbb07a61f879f8e3afa4c79440177015efc1fe7a37c629af7120a96274e6ab7afcc9261901d0e09ae32a5bb96',
    ],
    [
      '4d757272617920526f746862617264',
      '95ebc60d2b1fa672c1f46a8aa265ef51bfe38e7ccb39ec5be34069f144808843b274d3429adc47ca093ba63ef90f8da89fda108db471dccfa4894aa7b00003',
    ],
    ['462e20412e20486179656b', '966b05bc69ec01b8454d3160a214e6f24a3d884eb31ec2408af63f'],
    ['4361726c204d656e676572', '0ad887fba4f611bbb4afe44ba3556b8164332ca7d5934634d63d80'],
    [
      '4a65616e2d426170746973746520536179',
      '012b28ae646ae7830e2c5472cb023eab071c1db3d8413ec69b513b83832f974c2d',
    ],
    [
      '457567656e2042f6686d20766f6e2042617765726b',
      'bb3e6a48160d9c5971d37f975727294e0d868342db31832e54d07191ab0ca3c3703b5ed3d9',
    ],
  ],
};

describe('encrypted-link: the handshake', () => {
  const initiator = keysOf(VECTOR.initiator);
  const responder = keysOf(VECTOR.responder);
  const both = (): [Handshake, Handshake] => [
    new Handshake(
      [initiator, responder.publicBytes],
      true,
      bytes(VECTOR.prologue),
      keysOf(VECTOR.initiatorEphemeral),
    ),
    new Handshake(
      [responder, initiator.publicBytes],
      false,
      bytes(VECTOR.prologue),
      keysOf(VECTOR.responderEphemeral),
    ),
  ];

  it('is that of Noise, byte for byte', () => {
    const [a, b] = both();
    const [[firstText, first], [secondText, second], ...rest] = VECTOR.messages;
    expect(Buffer.from(a.writeFirst(bytes(firstText))).toString('hex')).to.equal(first);
    expect(b.readFirst(bytes(first))).to.deep.equal(bytes(firstText));
    expect(Buffer.from(b.writeSecond(bytes(secondText))).toString('hex')).to.equal(second);
    expect(a.readSecond(bytes(second))).to.deep.equal(bytes(secondText));
    expect(a.keys()).to.deep.equal(b.keys());
    for (const [i, [text, message]] of rest.entries()) {
      const key = i % 2 === 0 ? a.keys().ofInitiator : a.keys().ofResponder;
      const counter = i >> 1;
      expect(Buffer.from(seal(key, counter, bytes(text), EMPTY)).toString('hex')).to.equal(message);
      expect(open(key, counter, bytes(message), EMPTY)).to.deep.equal(bytes(text));
      expect(open(key, counter + 1, bytes(message), EMPTY)).to.equal(undefined);
    }
  });

  it('takes no message with any bit changed, and then the right one all the same', () => {
    const [a, b] = both();
    const first = a.writeFirst(EMPTY);
    const second = (b.readFirst(first), b.writeSecond(EMPTY));
    const [, other] = both();
    for (let bit = 0; bit < first.length * 8; bit++) {
      const changed = Buffer.from(first);
      changed[bit >> 3] ^= 1 << (bit & 7);
      // The top bit of a key on this curve does not count; that it was changed does.
      expect(other.readFirst(changed), `bit ${bit}`).to.equal(undefined);
    }
    expect(other.readFirst(first)).to.deep.equal(Buffer.alloc(0));
    for (let bit = 0; bit < second.length * 8; bit++) {
      const changed = Buffer.from(second);
      changed[bit >> 3] ^= 1 << (bit & 7);
      expect(a.readSecond(changed), `bit ${bit}`).to.equal(undefined);
    }
    for (let length = 0; length < second.length; length++) {
      expect(a.readSecond(second.subarray(0, length))).to.equal(undefined);
    }
    // Points of small order would make the key known to everybody.
    expect(a.readSecond(new Uint8Array(48))).to.equal(undefined);
    expect(a.readSecond(second)).to.deep.equal(Buffer.alloc(0));
    expect(a.keys()).to.deep.equal(b.keys());
  });

  it('is for those two alone, who have seen the same before', () => {
    const [a] = both();
    const first = a.writeFirst(EMPTY);
    const stranger = makeKeys();
    const prologue = bytes(VECTOR.prologue);
    const wrong = [
      new Handshake([stranger, initiator.publicBytes], false, prologue),
      new Handshake([responder, stranger.publicBytes], false, prologue),
      new Handshake([responder, initiator.publicBytes], false, EMPTY),
    ];
    for (const one of wrong) expect(one.readFirst(first)).to.equal(undefined);
  });
});

describe('encrypted-link: the window against replays', () => {
  it('takes each number once, as a list of all of them would, within 2048', () => {
    const random = new SeededRandom(11);
    const window = new ReplayWindow();
    const seen = new Set<number>();
    let highest = -1;
    for (let i = 0; i < 50_000; i++) {
      const jump = random.uint32() % 1000 === 0 ? random.uint32() % 10_000 : random.uint32() % 5000;
      const counter = Math.max(0, highest + 3 - (jump % 3000) + (jump > 4990 ? 5000 : 0));
      const expected = !seen.has(counter) && highest - counter < 2048;
      expect(window.take(counter), `${counter} after ${highest}`).to.equal(expected);
      seen.add(counter);
      highest = Math.max(highest, counter);
    }
    for (const far of [2 ** 32, 2 ** 33 + 1, 2 ** 52]) {
      expect([window.take(far), window.take(far), window.take(far - 1)]).to.deep.equal([true, false, true]);
      expect(window.take(far - 2048)).to.equal(false);
    }
  });
});

describe('encrypted-link: the tunnel', () => {
  /** Two ends in virtual time, and a wire that `pass` stands on. */
  function world(options: { rekeyPackets?: number } = {}) {
    const clock = new VirtualClock();
    const keys = [makeKeys(), makeKeys()];
    const wire: Buffer[] = [];
    const received: number[][] = [[], []];
    const state = { passes: (_datagram: Buffer): readonly Uint8Array[] => [_datagram] };
    const ends: Tunnel[] = [];
    const make = (i: number): Tunnel => {
      const tunnel = new Tunnel({
        clock,
        keys: keys[i],
        peerKey: keys[1 - i].publicBytes,
        isInitiator: i === 0,
        mtu: 1400,
        ...options,
        transmit(datagram) {
          const copy = Buffer.from(datagram);
          wire.push(copy);
          const alarm = clock.createAlarm(() => {
            for (const one of state.passes(copy)) ends[1 - i]?.receive(one);
          });
          alarm.setAt(clock.nowUs() + 1000);
        },
        close() {},
      });
      tunnel.link.open((batch) => {
        for (let slot = 0; slot < batch.count; slot++) received[i].push(batch.bytes[batch.offset(slot)]);
      });
      return tunnel;
    };
    // The initiator says something as soon as it is there.
    ends[1] = make(1);
    ends[0] = make(0);
    const send = (i: number, mark: number): boolean => {
      const batch = ends[i].link.borrow();
      if (batch === undefined) return false;
      batch.appendPacket(Uint8Array.of(mark, 1, 2, 3));
      ends[i].link.send(batch);
      return true;
    };
    const run = (seconds: number): void => clock.advanceBy(seconds * 1e6);
    return { wire, received, state, ends, send, run };
  }

  it('carries packets both ways, each number of a session once, and the first as soon as there are keys', () => {
    const { wire, received, ends, send, run } = world();
    expect(send(0, 1)).to.equal(true);
    run(0.1);
    for (let i = 0; i < 50; i++) {
      send(0, 2);
      send(1, 3);
      run(0.01);
    }
    expect([received[1].length, received[0].length]).to.deep.equal([51, 50]);
    const heads = wire.filter(([kind]) => kind === 3).map((one) => one.subarray(0, 13).toString('hex'));
    expect(new Set(heads).size).to.equal(heads.length);
    expect(ends.map(({ forged, replayed }) => forged + replayed)).to.deep.equal([0, 0]);
  });

  it('takes no datagram with any bit changed, and is none the worse', () => {
    for (const kind of [1, 2, 3]) {
      const { received, state, ends, send, run } = world();
      state.passes = (datagram) => {
        if (datagram[0] !== kind) return [datagram];
        const changed = Array.from({ length: datagram.length * 8 }, (_, bit) => {
          const copy = Buffer.from(datagram);
          copy[bit >> 3] ^= 1 << (bit & 7);
          return copy;
        });
        return [...changed, ...changed.map((_one, length) => datagram.subarray(0, length >> 3)), datagram];
      };
      run(0.5);
      send(0, 7);
      send(1, 8);
      run(0.5);
      expect(received, `kind ${kind}`).to.deep.equal([[8], [7]]);
      expect(ends.map(({ handshakes }) => handshakes)).to.deep.equal([1, 1]);
      expect(ends[0].forged + ends[1].forged).to.be.above(500);
    }
  });

  it('takes nothing twice, and begins nothing for a first message of before', () => {
    const { wire, received, ends, send, run } = world();
    run(0.5);
    send(0, 1);
    run(0.5);
    const all = [...wire];
    for (let i = 0; i < 3; i++) for (const one of all) for (const end of ends) end.receive(one);
    run(0.5);
    expect(received).to.deep.equal([[], [1]]);
    expect(ends.map(({ handshakes }) => handshakes)).to.deep.equal([1, 1]);
    expect(ends[1].replayed).to.be.at.least(6);
    expect(wire.filter(([kind]) => kind === 2)).to.have.length(1);
    send(1, 2);
    run(0.5);
    expect(received[0]).to.deep.equal([2]);
  });

  it('replaces its keys after two minutes, though nobody says anything, and after many packets', () => {
    const idle = world();
    idle.run(600);
    expect(idle.ends.map(({ handshakes }) => handshakes)).to.deep.equal([5, 5]);
    idle.send(1, 1);
    idle.run(1);
    expect(idle.received[0]).to.deep.equal([1]);
    const busy = world({ rekeyPackets: 10 });
    for (let i = 0; i < 100; i++) {
      busy.send(i & 1, i);
      busy.run(0.1);
    }
    expect(busy.ends[0].handshakes).to.be.within(8, 14);
    expect(busy.received[0].length + busy.received[1].length).to.equal(100);
  });

  it('forgets keys that cannot be replaced: what is sent then waits for new ones', () => {
    const { wire, received, state, ends, send, run } = world();
    run(1);
    const old: Buffer[] = [];
    state.passes = (datagram) => {
      if (datagram[0] === 3) old.push(datagram);
      return [];
    };
    send(0, 1);
    run(200);
    const { length } = wire.filter(([kind]) => kind === 3);
    for (const i of [0, 1]) expect(send(i, 2)).to.equal(true);
    run(1);
    expect(wire.filter(([kind]) => kind === 3)).to.have.length(length);
    const { forged } = ends[1];
    for (const one of old) ends[1].receive(one);
    expect([ends[1].forged, received[1].length]).to.deep.equal([forged + old.length, 0]);
    state.passes = (datagram) => [datagram];
    run(2);
    expect(received).to.deep.equal([[2], [2]]);
  });
});
