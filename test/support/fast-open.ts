/** What scenarios of TCP Fast Open have in common: cookies, asked for and handed out. */
import { expect } from 'chai';
import { Peer, type PeerOptions, type SentSegment } from './peer.js';

/** A listener that takes text with SYNs. */
export const openListener = (options: PeerOptions = {}): Peer =>
  Peer.listening({ ...options, options: { fastOpen: true, ...options.options } });

/** The cookie in the options of a segment, as hexadecimal bytes; '' for none, and for a request of one. */
export function cookieOf(segment: SentSegment | undefined): string {
  const option = segment?.line.options?.find((text) => text.startsWith('FO'));
  return option === undefined ? '' : option.slice(3);
}

/** The cookie a listener gives to the peer's address, asked for from another port. */
export function askCookie(peer: Peer, port = 30_000): string {
  const asking = peer.another({ port });
  asking.send('< S 0:0(0) win 65535 <mss 1460,FO>');
  const cookie = cookieOf(asking.take());
  expect(cookie, 'a cookie of 8 bytes').to.match(/^[0-9a-f]{16}$/);
  asking.send('< R 1:1(0)');
  return cookie;
}

/** The cookie a scripted server gives. */
export const SERVER_COOKIE = '0123456789abcdef';

/** A stack whose client has learned the server's cookie, and its MSS, from a connection that is over. */
export function knowingClient(options: PeerOptions = {}): Peer {
  const { mss = 1460 } = options;
  const first = Peer.connecting({ ...options, options: { fastOpen: true, ...options.options }, data: 0 });
  first.drain();
  first.advanceMs(20).send(`< S. 0:0(0) ack 1 win 65535 <mss ${mss},sackOK,FO ${SERVER_COOKIE}>`);
  first.abort().drain();
  return first;
}

/** Another connection of the same client to the same server. */
export function connectAgain(client: Peer, options: PeerOptions = {}): Peer {
  const peer = client.another({
    ...client.options,
    options: { fastOpen: true, ...client.options.options },
    ...options,
  });
  (peer.direction as { destinationPort: number }).destinationPort = 0;
  return peer.connect();
}
