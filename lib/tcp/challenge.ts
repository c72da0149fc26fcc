/** Answers to segments that could not be accepted. */
import type { TcpConnection } from './connection.js';

/**
 * Answers with an ACK: a challenge, in the words of RFC 5961. Limited per connection, so that two confused peers
 * come to rest (RFC 5961 §7).
 */
export function challenge(c: TcpConnection, nowUs: number, isLimited: boolean): void {
  if (isLimited) {
    if (nowUs - c.lastInvalidAckUs < c.parameters.invalidAckIntervalUs) {
      c.stats.tcp.challengeAcksSkipped++;
      return;
    }
    c.lastInvalidAckUs = nowUs;
  }
  c.stats.tcp.challengeAcks++;
  c.acks.now();
}
