/** Scripted peers that agree with the stack on explicit congestion notification, and words for their lines. */
import { Peer, type PeerOptions } from './peer.js';

/** Letters of the flags that stand for a counter: E is ECE, W is CWR, A is AE (RFC 9768 §3.2.2). */
export const ace = (counter: number): string =>
  `${counter & 1 ? 'E' : ''}${counter & 2 ? 'W' : ''}${counter & 4 ? 'A' : ''}`;

const RTT_MS = 20;

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
  const ecn = rest.role === 'client' ? 'request-accurate' : 'accept-accurate';
  const chosen: PeerOptions = { ...rest, options: { ...rest.options, ecn } };
  return rest.role === 'client'
    ? answering(Peer.connecting(chosen), 'S.W', option)
    : asking(Peer.listening(chosen), 'SEWA', option);
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
