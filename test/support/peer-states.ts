/** Ready-made states of a connection, each reached as a real peer would reach it. */
import type { PeerOptions } from './peer-options.js';

/** The eleven states of RFC 9293 §3.3.2. */
export const PEER_STATES = [
  'CLOSED',
  'LISTEN',
  'SYN-SENT',
  'SYN-RECEIVED',
  'ESTABLISHED',
  'FIN-WAIT-1',
  'FIN-WAIT-2',
  'CLOSE-WAIT',
  'CLOSING',
  'LAST-ACK',
  'TIME-WAIT',
] as const;
export type PeerState = (typeof PEER_STATES)[number];

/** As much of a peer as it takes to move it. */
interface Movable {
  sendSyn(): this;
  handshake(): this;
  send(text: string): this;
  shutdown(): this;
  close(): this;
  expectState(state: PeerState): this;
}

/** The beginnings a state may need. */
interface Beginnings<P> {
  closed(options: PeerOptions): P;
  listening(options: PeerOptions): P;
  connecting(options: PeerOptions): P;
}

/** Brings a new peer there. @throws AssertionError when the stack is then in another state */
export function enterState<P extends Movable>(
  state: PeerState,
  options: PeerOptions & { orphan?: boolean },
  begin: Beginnings<P>,
): P {
  const peer =
    options.role === 'client' ? fromClient(state, options, begin) : fromServer(state, options, begin);
  if (state !== 'LISTEN' && state !== 'CLOSED') closeFrom(peer, state, options.orphan === true);
  return peer.expectState(state);
}

function fromServer<P extends Movable>(state: PeerState, options: PeerOptions, begin: Beginnings<P>): P {
  if (state === 'CLOSED') return begin.closed(options);
  if (state === 'SYN-SENT') return begin.connecting(options);
  const peer = begin.listening(options);
  if (state === 'LISTEN') return peer;
  return state === 'SYN-RECEIVED' ? peer.sendSyn() : peer.handshake();
}

function fromClient<P extends Movable>(state: PeerState, options: PeerOptions, begin: Beginnings<P>): P {
  if (state === 'CLOSED') return begin.closed(options);
  const peer = begin.connecting(options);
  if (state === 'SYN-SENT') return peer;
  return state === 'SYN-RECEIVED' ? peer.sendSyn() : peer.handshake();
}

/** From ESTABLISHED on: who closes first decides the way. */
function closeFrom(peer: Movable, state: PeerState, isOrphan: boolean): void {
  const finish = (): Movable => (isOrphan ? peer.close() : peer.shutdown());
  switch (state) {
    case 'FIN-WAIT-1':
      finish();
      break;
    case 'FIN-WAIT-2':
      finish().send('< . 1:1(0) ack 2');
      break;
    case 'CLOSING':
      finish().send('< F. 1:1(0) ack 1');
      break;
    case 'TIME-WAIT':
      finish().send('< . 1:1(0) ack 2').send('< F. 1:1(0) ack 2');
      break;
    case 'CLOSE-WAIT':
      peer.send('< F. 1:1(0) ack 1');
      break;
    case 'LAST-ACK':
      peer.send('< F. 1:1(0) ack 1');
      finish();
      break;
    default:
      break;
  }
}
