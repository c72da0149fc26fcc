/** A scripted peer that connects to an address that is nobody's, and the listener for any address that hears of it. */
import type { AnyTcpListener, AnyTcpOptions, TcpRequest } from '../../lib/stack/any-tcp.js';
import type { TcpEndpoint } from '../../lib/stack/tcp-endpoint.js';
import { Peer, type PeerOptions } from './peer.js';

/** Addresses that the stack does not have. */
export const FOREIGN_V4 = '198.51.100.7';
export const FOREIGN_V6 = '2001:db8:f::7';

export interface AnyPeerOptions extends PeerOptions {
  /** What the listener takes; everything by default. */
  any?: AnyTcpOptions;
  /** Called with each request; it waits by default. */
  onRequest?: (request: TcpRequest) => void;
}

export class AnyPeer {
  readonly peer: Peer;
  readonly listener: AnyTcpListener;
  /** Requests so far, and why those ended that were cancelled. */
  readonly requests: TcpRequest[] = [];
  readonly cancelled: string[] = [];

  constructor(options: AnyPeerOptions = {}) {
    const { any = {}, onRequest, ...rest } = options;
    const stackAddress = rest.ipv6 === true ? FOREIGN_V6 : FOREIGN_V4;
    this.peer = Peer.closed({ stackAddress, ...rest });
    this.listener = this.peer.stack.listenAnyTcp(any, (request) => {
      this.requests.push(request);
      request.onCancel = (reason) => this.cancelled.push(reason);
      onRequest?.(request);
    });
  }

  /** The request that came last. */
  get request(): TcpRequest {
    const request = this.requests.at(-1);
    if (request === undefined) throw new Error('no request came');
    return request;
  }

  /** Accepts the last request for the peer. */
  accept(options: Parameters<TcpRequest['accept']>[0] = {}): TcpEndpoint {
    const endpoint = this.peer.host.adopt(this.request.accept(options));
    this.peer.adopt(endpoint);
    this.peer.host.settle();
    return endpoint;
  }

  /** A connection that was accepted, its handshake done, nothing untaken. */
  static established(options: AnyPeerOptions = {}): AnyPeer {
    const any = new AnyPeer(options);
    any.peer.sendSyn();
    any.accept();
    any.peer.drain();
    any.peer.advanceMs(20);
    any.peer.send('< . 1:1(0) ack 1');
    any.peer.takeEvents();
    return any;
  }
}
