/** Counters of IP, ICMP, group membership and UDP. */

/** Packets of both versions of IP (RFC 4293 ipSystemStats). A super-packet of segments counts as one. */
export class IpStats {
  /** Packets that came in, whatever became of them. */
  inReceives = 0;
  /** Dropped for their header: version, lengths, checksum, options, extension headers, a TTL that ran out here. */
  inHdrErrors = 0;
  /** Dropped for their addresses: impossible, not ours, not routed back, or IPv6 over a link too small for it. */
  inAddrErrors = 0;
  /** Packets for others for which no route led on, or one that refuses. */
  inNoRoutes = 0;
  /** Packets for others for which a way on was looked for. */
  inForwDatagrams = 0;
  /** Packets for others that did not fit the way on and must not be fragmented (RFC 2465 `InTooBigErrors`). */
  inTooBigErrors = 0;
  /** Dropped because nobody handles their protocol. */
  inUnknownProtos = 0;
  /** Dropped because they were shorter than their header said. */
  inTruncatedPkts = 0;
  /** Dropped because they went to many, of whom this host is none. */
  inDiscards = 0;
  /** Handed to TCP, UDP, ICMP and other protocols; a reassembled datagram counts as one. */
  inDelivers = 0;
  /** Those of them that were for no address of ours, and were taken (`listenAny`). */
  inForeign = 0;
  /** Packets with a good header and ECN field Not-ECT (RFC 3168 §5; Linux `InNoECTPkts`). */
  inNoEctPkts = 0;
  /** The same with ECT(1). */
  inEct1Pkts = 0;
  /** The same with ECT(0). */
  inEct0Pkts = 0;
  /** The same with CE: marked by a router that was congested. */
  inCePkts = 0;
  /** Packets that came in for a multicast group, joined or not. */
  inMcastPkts = 0;
  /** Packets that came in for everybody on a link. */
  inBcastPkts = 0;
  /** Packets for others that were passed on; one that is fragmented counts as one. */
  outForwDatagrams = 0;
  /** SYNs in passing whose MSS was lowered (`mssClamp`). */
  mssClamped = 0;
  /** Packets handed to IP to be sent; one that is fragmented counts as one. */
  outRequests = 0;
  /** Packets not sent because their path had lost its route or its source address. */
  outNoRoutes = 0;
  /** Packets, of ours or in passing, not sent for want of room in the link, or because they fit the path in no way. */
  outDiscards = 0;
  /** Packets that had to be fragmented. */
  outFragReqds = 0;
  /** Those of them of which every fragment was sent. */
  outFragOKs = 0;
  /** Those of which not every fragment was, and those that must not be fragmented. */
  outFragFails = 0;
  /** Fragments sent. */
  outFragCreates = 0;
  /** Fragments that came in. */
  reasmReqds = 0;
  /** Datagrams put together. */
  reasmOKs = 0;
  /** Fragments refused and incomplete datagrams given up, of which `DropReason` gives the reasons. */
  reasmFails = 0;
  /** Incomplete datagrams whose time was up. */
  reasmTimeout = 0;
  /** Gauge: bytes held by incomplete datagrams. */
  reasmBytes = 0;

  /** Counts a packet by its ECN field, 0 .. 3. */
  countEcn(field: number): void {
    if (field === 0) this.inNoEctPkts++;
    else if (field === 1) this.inEct1Pkts++;
    else if (field === 2) this.inEct0Pkts++;
    else this.inCePkts++;
  }
}

/** ICMP and ICMPv6 messages together (RFC 4293 icmpStats, and Linux's additions). */
export class IcmpStats {
  /** Messages that came in, good or bad. */
  inMsgs = 0;
  /** Those that were cut short, had a wrong checksum, or may not be believed. */
  inErrors = 0;
  /** Those with a wrong checksum; in `inErrors` too. */
  inCsumErrors = 0;
  /** Destination Unreachable that came in. */
  inDestUnreachs = 0;
  /** Time Exceeded that came in. */
  inTimeExcds = 0;
  /** Parameter Problem that came in. */
  inParmProbs = 0;
  /** Packet Too Big that came in; over IPv4, Fragmentation Needed. */
  inPktTooBigs = 0;
  /** Redirects that came in, obeyed or not. */
  inRedirects = 0;
  /** Echo requests that came in, answered or not. */
  inEchos = 0;
  /** Echo replies that came in. */
  inEchoReps = 0;
  /** Messages sent. */
  outMsgs = 0;
  /** Destination Unreachable sent. */
  outDestUnreachs = 0;
  /** Time Exceeded sent: a datagram was not reassembled in time, or a packet in passing had no hops left. */
  outTimeExcds = 0;
  /** Parameter Problem sent. */
  outParmProbs = 0;
  /** Packet Too Big sent, about packets in passing. Of IPv4 they are in `outDestUnreachs`. */
  outPktTooBigs = 0;
  /** Redirects sent. */
  outRedirects = 0;
  /** Echo requests sent. */
  outEchos = 0;
  /** Echo replies sent. */
  outEchoReps = 0;
  /** Errors kept back by the rate limits (`icmpErrorsPerSecond`, `icmpDestinationMs`). */
  outRateLimited = 0;
  /** Errors whose quotation matched no socket or failed validation. */
  inUnmatched = 0;
}

/** IGMP and MLD messages, of both families. */
export class GroupStats {
  /** Queries that came in and were obeyed. */
  inQueries = 0;
  /** Reports of other hosts, to older queriers. */
  inReports = 0;
  /** Messages that cannot be read, or do not come from the link. */
  inErrors = 0;
  /** Reports sent, of any version. */
  outReports = 0;
  /** Leave Group and Done sent, to older queriers. */
  outLeaves = 0;
}

/** Datagrams of both families (RFC 4113, and Linux's additions). */
export class UdpStats {
  /** Datagrams delivered; to several sockets, once for each. */
  inDatagrams = 0;
  /** Datagrams for a port that nobody has. */
  noPorts = 0;
  /** Datagrams dropped for any other reason, the two below included. */
  inErrors = 0;
  /** Datagrams sent; each segment of a super-packet is one. */
  outDatagrams = 0;
  /** Dropped because the receive buffer of a socket was full. */
  rcvbufErrors = 0;
  /** Not sent because the send buffer of a socket, or the link in the midst of segments, was full. */
  sndbufErrors = 0;
  /** Dropped for their checksum. */
  inCsumErrors = 0;
}
