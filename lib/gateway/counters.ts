/** What a gateway has done, and what it refused. */

/** Counters of a gateway, from its beginning on. */
export interface GatewayStats {
  /** TCP connections asked for from inside, or from the host at a published port. */
  tcpRequests: number;
  /** Of these, how many were joined to one of the other side. */
  tcpJoined: number;
  /** Refused: the destination is denied, or is none that leads anywhere. */
  tcpDenied: number;
  /** Refused: there are as many as there may be, or the host has no more sockets. */
  tcpFull: number;
  /** Not joined, as the other side could not be reached. */
  tcpUnreachable: number;
  /** Given up before the other side was reached: by whoever asked, as too late for an answer, or as the gateway closed. */
  tcpCancelled: number;
  /** Joined, and over with both sides finished. */
  tcpFinished: number;
  /** Joined, and over because one side failed: the other was reset. */
  tcpFailed: number;
  /** Joined, and reset as nothing happened for too long. */
  tcpIdle: number;
  /** UDP flows taken, from inside or at a published port. */
  udpFlows: number;
  /** UDP flows refused: there are as many as there may be, or no socket of the host's is to be had. */
  udpFull: number;
  /** Datagrams that left by the host's sockets. */
  udpToHost: number;
  /** Datagrams that came from there. */
  udpToStack: number;
  /**
   * Datagrams dropped: denied destinations, and senders that nobody inside could answer. Where a flow begins with one,
   * those that follow to the same destination within five seconds are dropped without being counted here.
   */
  udpDenied: number;
  /** Datagrams the host's sockets, or the stack, did not take. */
  udpFailed: number;
  /** Questions to the name service. */
  dnsQueries: number;
  /** Answers passed back. */
  dnsAnswers: number;
  /**
   * Questions not asked: there are as many waiting as there may be, or they are none; or there is no name server, or no
   * socket of the host's for it, which is answered by SERVFAIL.
   */
  dnsDropped: number;
  /** Questions nobody answered in time. */
  dnsTimeouts: number;
  /** What came from a name server and answers no question. */
  dnsStray: number;
  /** Echo requests answered for other hosts. */
  echoAnswered: number;
  /** Echo requests not answered, those to denied destinations included. */
  echoDropped: number;
  /** Bytes of TCP that left by the host's sockets. */
  bytesToHost: number;
  /** Bytes of TCP that came from there. */
  bytesToStack: number;
}

/** All at zero. */
export const newGatewayStats = (): GatewayStats => ({
  tcpRequests: 0,
  tcpJoined: 0,
  tcpDenied: 0,
  tcpFull: 0,
  tcpUnreachable: 0,
  tcpCancelled: 0,
  tcpFinished: 0,
  tcpFailed: 0,
  tcpIdle: 0,
  udpFlows: 0,
  udpFull: 0,
  udpToHost: 0,
  udpToStack: 0,
  udpDenied: 0,
  udpFailed: 0,
  dnsQueries: 0,
  dnsAnswers: 0,
  dnsDropped: 0,
  dnsTimeouts: 0,
  dnsStray: 0,
  echoAnswered: 0,
  echoDropped: 0,
  bytesToHost: 0,
  bytesToStack: 0,
});
