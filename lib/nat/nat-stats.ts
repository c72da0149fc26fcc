/** What a translator has done, and what it has refused. */
export class NatStats {
  /** Packets of the inside that left with another source. */
  translatedOut = 0;
  /** Packets of the outside that were given a destination inside. */
  translatedIn = 0;
  /** Packets between two hosts inside by way of an outside address (RFC 4787 §6); counted in neither of the above. */
  hairpinned = 0;
  /** ICMP errors translated, with the packet they quote. */
  icmpErrors = 0;
  /** ICMP errors dropped: about nothing that is known here, or with a wrong checksum. */
  icmpDropped = 0;
  /** Sessions begun. */
  sessionsCreated = 0;
  /** Sessions that ended because nothing passed any more. */
  sessionsExpired = 0;
  /** Sessions that made room for others: ended, or never answered. */
  sessionsEvicted = 0;
  /** Flows refused because of `maxSessions`, or `maxSessionsPerSource` of one host. */
  sessionsRefused = 0;
  /** Mappings made. */
  mappingsCreated = 0;
  /** Flows refused for want of a mapping: `maxMappings`, `maxMappingsPerSource`, no port left, or no outside address. */
  mappingsRefused = 0;
  /** Packets from the outside that the filtering refused. */
  filtered = 0;
  /** Packets from the outside to inside addresses, which nobody outside can know. */
  uninvited = 0;
  /** Packets of the inside without ports, or of protocols that are not translated. */
  unsupported = 0;
  /** Packets with a header that is cut short, or known to be damaged. */
  malformed = 0;
  /** Unsolicited SYNs that were held back (RFC 5382 §4.3). */
  synsHeld = 0;
  /** Those of them that were answered by Port Unreachable. */
  synsRefused = 0;
  /** Those for which the inside sent a SYN meanwhile. */
  synsMet = 0;
  /** Unsolicited SYNs dropped at once: too many are held, or the same one came again. */
  synsDropped = 0;
  /** Gauge: sessions. */
  sessions = 0;
  /** Gauge: mappings. */
  mappings = 0;
}
