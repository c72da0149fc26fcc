/** All 64 combinations of flags in all eleven states: row E14 of robustness.md, as a table. */
import { expect } from 'chai';
import { Peer, type PeerState } from '../../support/peer.js';
import { finishAll } from '../../support/scenario-hooks.js';

/** What happens to a segment that has the first flags and has not the second ones. The first that fits counts. */
interface Rule {
  readonly has: string;
  readonly hasNot?: string;
  /** The one segment sent in answer; none by default. `END` stands for what the segment would have acknowledged. */
  readonly reply?: string;
  readonly to: PeerState;
  /** What the application hears of an end; nothing by default. */
  readonly closes?: string;
}

interface Case {
  readonly name: string;
  readonly state: PeerState;
  readonly sequence: number;
  readonly ack: number;
  readonly rules: readonly Rule[];
  /** How many combinations; 16 leaves out PSH and URG. 64 by default. */
  readonly combinations?: number;
}

const LETTERS = ['F', 'S', 'R', '.', 'P', 'U'] as const;
const ANY = '';

const CLOSED: Case = {
  name: 'any segment',
  state: 'CLOSED',
  sequence: 7,
  ack: 77,
  rules: [
    { has: 'R', to: 'CLOSED' },
    { has: '.', reply: 'R 77:77(0) win 0', to: 'CLOSED' },
    { has: ANY, reply: 'R. 0:0(0) ack END win 0', to: 'CLOSED' },
  ],
};

const LISTEN: Case = {
  name: 'any segment',
  state: 'LISTEN',
  sequence: 0,
  ack: 77,
  rules: [
    { has: 'R', to: 'LISTEN' },
    { has: '.', reply: 'R 77:77(0) win 0', to: 'LISTEN' },
    { has: 'SF', to: 'LISTEN' },
    { has: 'S', reply: 'S. 0:0(0) ack 1', to: 'SYN-RECEIVED' },
    { has: ANY, to: 'LISTEN' },
  ],
};

const SYN_SENT: readonly Case[] = [
  {
    name: 'an ACK of the SYN',
    state: 'SYN-SENT',
    sequence: 0,
    ack: 1,
    rules: [
      { has: 'R.', to: 'CLOSED', closes: 'close ECONNREFUSED' },
      { has: 'R', to: 'SYN-SENT' },
      { has: 'S.F', reply: '. 1:1(0) ack 2', to: 'CLOSE-WAIT' },
      { has: 'S.', reply: '. 1:1(0) ack 1', to: 'ESTABLISHED' },
      { has: 'S', reply: 'S. 0:0(0) ack 1', to: 'SYN-RECEIVED' },
      { has: ANY, to: 'SYN-SENT' },
    ],
  },
  {
    name: 'an ACK of something else',
    combinations: 16,
    state: 'SYN-SENT',
    sequence: 0,
    ack: 5000,
    rules: [
      { has: 'R', to: 'SYN-SENT' },
      { has: '.', reply: 'R 5000:5000(0) win 0', to: 'SYN-SENT' },
      { has: 'S', reply: 'S. 0:0(0) ack 1', to: 'SYN-RECEIVED' },
      { has: ANY, to: 'SYN-SENT' },
    ],
  },
];

const SYN_RECEIVED: readonly Case[] = [
  {
    name: 'the right numbers',
    state: 'SYN-RECEIVED',
    sequence: 1,
    ack: 1,
    rules: [
      { has: 'R', to: 'LISTEN' },
      { has: 'S.', reply: 'R 1:1(0) win 0', to: 'LISTEN' },
      { has: 'S', reply: 'R. * ack END win 0', to: 'LISTEN' },
      { has: ANY, hasNot: '.', to: 'SYN-RECEIVED' },
      { has: 'F', reply: '. 1:1(0) ack 2', to: 'CLOSE-WAIT' },
      { has: ANY, to: 'ESTABLISHED' },
    ],
  },
  {
    name: 'a number beyond the window',
    combinations: 16,
    state: 'SYN-RECEIVED',
    sequence: 200_000,
    ack: 1,
    rules: [
      { has: 'R', to: 'SYN-RECEIVED' },
      { has: ANY, reply: 'S. 0:0(0) ack 1', to: 'SYN-RECEIVED' },
    ],
  },
  {
    name: 'an ACK of something else',
    combinations: 16,
    state: 'SYN-RECEIVED',
    sequence: 1,
    ack: 5000,
    rules: [
      { has: 'R', to: 'LISTEN' },
      { has: 'S.', reply: 'R 5000:5000(0) win 0', to: 'LISTEN' },
      { has: 'S', reply: 'R. * ack END win 0', to: 'LISTEN' },
      { has: ANY, hasNot: '.', to: 'SYN-RECEIVED' },
      { has: ANY, reply: 'R 5000:5000(0) win 0', to: 'SYN-RECEIVED' },
    ],
  },
];

/** A synchronized state: where both streams stand, what an RST tells, and what an ACK and a FIN lead to. */
interface Synchronized {
  readonly state: PeerState;
  readonly rcvNxt: number;
  readonly sndNxt: number;
  readonly reset: string;
  readonly acked: Omit<Rule, 'has'>;
  readonly finished: Omit<Rule, 'has'>;
}

const SYNCHRONIZED: readonly Synchronized[] = [
  {
    state: 'ESTABLISHED',
    rcvNxt: 1,
    sndNxt: 1,
    reset: 'close ECONNRESET',
    acked: { to: 'ESTABLISHED' },
    finished: { reply: '. 1:1(0) ack 2', to: 'CLOSE-WAIT' },
  },
  {
    state: 'FIN-WAIT-1',
    rcvNxt: 1,
    sndNxt: 2,
    reset: 'close ECONNRESET',
    acked: { to: 'FIN-WAIT-2' },
    finished: { reply: '. 2:2(0) ack 2', to: 'TIME-WAIT', closes: 'close' },
  },
  {
    state: 'FIN-WAIT-2',
    rcvNxt: 1,
    sndNxt: 2,
    reset: 'close ECONNRESET',
    acked: { to: 'FIN-WAIT-2' },
    finished: { reply: '. 2:2(0) ack 2', to: 'TIME-WAIT', closes: 'close' },
  },
  {
    state: 'CLOSE-WAIT',
    rcvNxt: 2,
    sndNxt: 1,
    reset: 'close EPIPE',
    acked: { to: 'CLOSE-WAIT' },
    finished: { reply: '. 1:1(0) ack 2', to: 'CLOSE-WAIT' },
  },
  {
    state: 'CLOSING',
    rcvNxt: 2,
    sndNxt: 2,
    reset: 'close',
    acked: { to: 'TIME-WAIT', closes: 'close' },
    finished: { reply: '. 2:2(0) ack 2', to: 'TIME-WAIT', closes: 'close' },
  },
  {
    state: 'LAST-ACK',
    rcvNxt: 2,
    sndNxt: 2,
    reset: 'close',
    acked: { to: 'CLOSED', closes: 'close' },
    finished: { to: 'CLOSED', closes: 'close' },
  },
];

function casesOf({ state, rcvNxt, sndNxt, reset, acked, finished }: Synchronized): readonly Case[] {
  const challenge = { reply: `. ${sndNxt}:${sndNxt}(0) ack ${rcvNxt}`, to: state };
  const front: readonly Rule[] = [
    { has: 'R', to: 'CLOSED', closes: reset },
    { has: 'S', ...challenge },
    { has: ANY, hasNot: '.', to: state },
  ];
  return [
    {
      name: 'the right numbers',
      state,
      sequence: rcvNxt,
      ack: sndNxt,
      rules: [...front, { has: 'F', ...finished }, { has: ANY, ...acked }],
    },
    {
      name: 'a number beyond the window',
      combinations: 16,
      state,
      sequence: rcvNxt + 200_000,
      ack: sndNxt,
      rules: [
        { has: 'R', to: state },
        { has: ANY, ...challenge },
      ],
    },
    {
      name: 'another number in the window',
      combinations: 16,
      state,
      sequence: rcvNxt + 10,
      ack: sndNxt,
      rules: [
        { has: 'R', ...challenge },
        { has: 'S', ...challenge },
        { has: ANY, hasNot: '.', to: state },
        // A FIN out of order is told where the stream stands, and so is one behind the end.
        { has: 'F', ...outOfOrderFin(acked, challenge) },
        { has: ANY, ...acked },
      ],
    },
    {
      name: 'an ACK of what was not sent',
      combinations: 16,
      state,
      sequence: rcvNxt,
      ack: sndNxt + 5000,
      rules: [...front, { has: ANY, ...challenge }],
    },
  ];
}

/** The ACK counts, the FIN waits for what is missing; who is closed by the ACK says nothing. */
const outOfOrderFin = (acked: Omit<Rule, 'has'>, challenge: Omit<Rule, 'has'>): Omit<Rule, 'has'> =>
  acked.to === 'CLOSED' ? acked : { ...challenge, ...acked };

const TIME_WAIT: readonly Case[] = [
  {
    name: 'the right numbers',
    state: 'TIME-WAIT',
    sequence: 2,
    ack: 2,
    rules: [
      { has: 'RS', to: 'TIME-WAIT' },
      { has: 'R', to: 'CLOSED' },
      { has: 'S', reply: '. 2:2(0) ack 2', to: 'TIME-WAIT' },
      { has: 'F', reply: '. 2:2(0) ack 2', to: 'TIME-WAIT' },
      { has: ANY, to: 'TIME-WAIT' },
    ],
  },
  {
    name: 'a number beyond the window',
    combinations: 16,
    state: 'TIME-WAIT',
    sequence: 200_002,
    ack: 2,
    rules: [
      { has: 'R', to: 'TIME-WAIT' },
      { has: 'S', hasNot: '.F', reply: 'S. 65539:65539(0) ack 200003', to: 'SYN-RECEIVED' },
      { has: ANY, reply: '. 2:2(0) ack 2', to: 'TIME-WAIT' },
    ],
  },
];

const CASES: readonly Case[] = [
  CLOSED,
  LISTEN,
  ...SYN_SENT,
  ...SYN_RECEIVED,
  ...SYNCHRONIZED.flatMap(casesOf),
  ...TIME_WAIT,
];

describe('every combination of flags', () => {
  for (const one of CASES) {
    it(`has its one effect in ${one.state}: ${one.name} (RFC 9293 §3.10.7) [E14]`, () => {
      for (let bits = 0; bits < (one.combinations ?? 64); bits++) {
        tryFlags(
          one,
          LETTERS.filter((_, i) => bits & (1 << i)),
        );
        finishAll();
      }
    });
  }

  it('is tried in every state [E14]', () => {
    const states = new Set(CASES.map(({ state }) => state));
    expect(states.size).to.equal(11);
  });
});

function tryFlags(one: Case, letters: readonly string[]): void {
  const flags = letters.join('') || '-';
  const rule = one.rules.find(
    ({ has, hasNot = '' }) =>
      has.split('').every((letter) => letters.includes(letter)) &&
      !hasNot.split('').some((letter) => letters.includes(letter)),
  );
  if (rule === undefined) throw new Error(`no rule for ${flags} in ${one.state}`);
  const peer = Peer.in(one.state, { role: one.state === 'SYN-SENT' ? 'client' : 'server' });
  const ack = letters.includes('.') ? ` ack ${one.ack}` : '';
  const urgent = letters.includes('U') ? ' urg 1' : '';
  const { sequence } = one;
  peer.send(`< ${flags} ${sequence}:${sequence}(0)${ack} win 65535${urgent}`);
  const where = `${flags} in ${one.state}`;
  const end = sequence + (letters.includes('S') ? 1 : 0) + (letters.includes('F') ? 1 : 0);
  if (rule.reply !== undefined) {
    // Numbers of an RST to nobody are absolute, and said to be relative by the harness.
    const zero = peer.relativeOf(0);
    peer.expect(`> ${rule.reply.replace('END', String(end)).replace('*', `${zero}:${zero}(0)`)}`);
  }
  peer.expectNothing();
  expect(stateOf(peer, rule.to), where).to.equal(rule.to);
  const ends = peer.takeEvents().filter((event) => event.startsWith('close'));
  expect(ends, where).to.deep.equal(rule.closes === undefined ? [] : [rule.closes]);
}

/** A connection that has ended leaves its listener, which the harness may call CLOSED or LISTEN. */
function stateOf(peer: Peer, expected: PeerState): string {
  const { state } = peer;
  return state === 'LISTEN' && expected === 'CLOSED' ? 'CLOSED' : state;
}
