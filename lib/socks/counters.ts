/** What a tunnel counts. */

/** What a tunnel through a SOCKS proxy has done; all numbers only grow. */
export interface SocksTunnelStats {
  /** TCP connections asked for inside. */
  tcpRequests: number;
  /** Those the proxy has connected. */
  tcpConnected: number;
  /** Those the proxy refused, with a code of its own. */
  tcpRefused: number;
  /** Those for which the proxy was not reached, went away, did not answer in time or not as it should. */
  tcpFailed: number;
  /** Those that those inside gave up while the proxy was asked. */
  tcpCancelled: number;
  /** Those refused because there were `maxTcp`. */
  tcpFull: number;
  /** Those joined that finished in both directions. */
  tcpFinished: number;
  /** Those joined that ended otherwise: reset by one side, idle, or by `close`. */
  tcpReset: number;
  /** Bytes from inside to the proxy. */
  bytesOut: number;
  /** Bytes from the proxy to the inside. */
  bytesIn: number;
  /** UDP flows asked for inside, name service apart. */
  udpRequests: number;
  /** Those for which the proxy made an association. */
  udpAssociated: number;
  /** Those it did not, or that were not asked for (`udp`). */
  udpRefused: number;
  /** Datagrams given to the proxy. */
  udpOut: number;
  /** Datagrams from the proxy given to the inside. */
  udpIn: number;
  /** Datagrams lost on this host: from the proxy and malformed, or what a full socket or link did not take. */
  udpDropped: number;
  /** Questions to name servers carried over TCP. */
  dnsQueries: number;
  /** Answers to them given to the inside. */
  dnsAnswers: number;
  /** Those of them that were too long for who asked, and cut short (RFC 1035 §4.2.1). */
  dnsTruncated: number;
  /** Questions answered with a failure of our own: nobody was reached, or there was no answer in time. */
  dnsFailed: number;
  /** Messages dropped: no question, no answer to one, or too many at once. */
  dnsDropped: number;
  /** Times the proxy did not take our user name and password, or our ways to authenticate. */
  proxyUnauthorized: number;
  /** Times it spoke no SOCKS. */
  proxyMalformed: number;
  /** Times it was not reached, nor its relay for datagrams, or it ended the connection before it replied. */
  proxyUnreachable: number;
  /** Times it did not reply in time. */
  proxyTimeouts: number;
}

export const newTunnelStats = (): SocksTunnelStats => ({
  tcpRequests: 0,
  tcpConnected: 0,
  tcpRefused: 0,
  tcpFailed: 0,
  tcpCancelled: 0,
  tcpFull: 0,
  tcpFinished: 0,
  tcpReset: 0,
  bytesOut: 0,
  bytesIn: 0,
  udpRequests: 0,
  udpAssociated: 0,
  udpRefused: 0,
  udpOut: 0,
  udpIn: 0,
  udpDropped: 0,
  dnsQueries: 0,
  dnsAnswers: 0,
  dnsTruncated: 0,
  dnsFailed: 0,
  dnsDropped: 0,
  proxyUnauthorized: 0,
  proxyMalformed: 0,
  proxyUnreachable: 0,
  proxyTimeouts: 0,
});
