/** How a connection ends by the will of its owner: half-close, CLOSE and ABORT (RFC 9293 §3.10.4, §3.10.5). */
import type { TcpConnection } from './connection.js';
import { ConnectionEvent } from './connection-parameters.js';
import { mayWrite, TcpState } from './state.js';

export function shutdownWrite(c: TcpConnection): void {
  const { sender, state } = c;
  if (state === TcpState.SYN_SENT) {
    // Nothing was agreed with anybody: the connection is forgotten (RFC 9293 §3.10.4).
    c.end('');
    return;
  }
  if (!mayWrite(state) || sender.finQueued) return;
  sender.finQueued = true;
  // Before the handshake ends, only a FIN without text to wait for may go (RFC 9293 §3.10.4), but for Fast Open.
  const mayGo =
    state !== TcpState.SYN_RECEIVED || sender.buffer.length === 0 || c.fastOpenPlace !== undefined;
  if (mayGo) c.move('close');
}

export function shutdownRead(c: TcpConnection): void {
  const { receiver } = c;
  if (receiver === undefined) return;
  receiver.discard();
  // A peer that waits for the window to open need not wait any longer.
  if (receiver.mustUpdateWindow) c.acks.now();
}

export function close(c: TcpConnection, nowUs: number): void {
  c.isOrphan = true;
  if (c.hasUnreadText || c.lingerMs === 0) {
    c.stats.tcp.abortOnClose++;
    abort(c);
    return;
  }
  shutdownWrite(c);
  if (c.state === TcpState.FIN_WAIT_2 && c.options.finTimeoutMs < 0) {
    c.stats.tcp.abortOnLinger++;
    abort(c);
    return;
  }
  c.timers.orphaned(nowUs);
}

/** The peer has the FIN of a connection nobody owns any more: from now on it waits, where it may, for the peer's. */
export function farewellBegins(c: TcpConnection, nowUs: number): void {
  if (c.options.finTimeoutMs < 0) {
    // Both directions are as good as closed: no RST is owed (Linux `tcp_rcv_state_process`, TCP_LINGER2).
    c.stats.tcp.abortOnData++;
    c.signal(ConnectionEvent.Lingered);
    c.end('');
  } else {
    c.timers.orphaned(nowUs);
  }
}

export function abort(c: TcpConnection): void {
  const { state } = c;
  const resets =
    state === TcpState.SYN_RECEIVED ||
    state === TcpState.ESTABLISHED ||
    state === TcpState.FIN_WAIT_1 ||
    state === TcpState.FIN_WAIT_2 ||
    state === TcpState.CLOSE_WAIT;
  if (resets) c.reset(c.sender.sndNxt, true);
  c.end('');
}
