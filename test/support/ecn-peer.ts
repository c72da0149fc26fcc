/** Scripted peers that agree with the stack on explicit congestion notification, and words for their lines. */
import { Peer, type PeerOptions } from './peer.js';

/** Letters of the flags that stand for a counter: E is ECE, W is CWR, A is AE (RFC 9768 §3.2.2). */
export const ace = (counter: number): string =>
  `${counter & 1 ? 'E' : ''}${counter & 2 ? 'W' : ''}${counter & 4 ? 'A' : ''}`;

/** What answers a SYN or SYN-ACK that arrives with each ECN field: that field, as flags (RFC 9768 Tables 2 and 3). */
export const REFLECTED = [
  ['noecn', ace(0b010)],
  ['ect1', ace(0b011)],
  ['ect0', ace(0b100)],
  ['ce', ace(0b110)],
] as const;

const RTT_MS = 20;

/** A peer whose stack asks for accurate feedback, and one whose stack agrees to it; no SYN has been answered. */
export const asksAccurate = (options: PeerOptions = {}): Peer =>
  Peer.connecting({ ...options, options: { ...options.options, ecn: 'request-accurate' } });
export const listensAccurate = (options: PeerOptions = {}): Peer =>
  Peer.listening({ ...options, options: { ...options.options, ecn: 'accept-accurate' } });

/** A connection with classic feedback (RFC 3168), its handshake done; the stack answers unless it is the client. */
export function classicPeer(options: PeerOptions = {}): Peer {
  return options.role === 'client'
    ? answering(Peer.connecting({ ...options, options: { ...options.options, ecn: 'request' } }), 'S.E', '')
    : asking(Peer.listening(options), 'SEW', '');
}

/**
 * A connection with accurate feedback (RFC 9768), its handshake done: no SYN was marked, and options with the
 * counters were exchanged unless `counters` is false.
 */
export function accuratePeer(options: PeerOptions & { counters?: boolean } = {}): Peer {
  const { counters = true, ...rest } = options;
  const option = counters ? 'ECN e0b 1 ceb 0 e1b 1' : '';
  return rest.role === 'client'
    ? answering(asksAccurate(rest), 'S.W', option)
    : asking(listensAccurate(rest), 'SEWA', option);
}

function asking(peer: Peer, flags: string, option: string): Peer {
  peer.send(`< ${flags} 0:0(0)${synOptions(peer, '')}`).drain();
  peer.advanceMs(RTT_MS);
  const isAccurate = flags === 'SEWA';
  peer.send(
    `< .${isAccurate ? ace(2) : ''} 1:1(0) ack 1${option === '' ? '' : ` <${stamps(peer)}${option}>`}`,
  );
  peer.drain();
  return peer.expectState('ESTABLISHED');
}

function answering(peer: Peer, flags: string, option: string): Peer {
  peer.drain();
  peer.advanceMs(RTT_MS);
  peer.send(`< ${flags} 0:0(0) ack 1${synOptions(peer, option)}`).drain();
  return peer.expectState('ESTABLISHED');
}

const stamps = (peer: Peer): string =>
  peer.options.timestamps === true ? `nop,nop,TS val ${peer.tsVal} ecr ${peer.tsEcr},` : '';

function synOptions({ options, tsVal, tsEcr }: Peer, option: string): string {
  const texts = [`mss ${options.mss ?? 1460}`];
  if (options.sack !== false) texts.push('sackOK');
  if (options.timestamps === true) texts.push(`TS val ${tsVal} ecr ${options.role === 'client' ? tsEcr : 0}`);
  if (option !== '') texts.push(option);
  return ` <${texts.join(',')}>`;
}
