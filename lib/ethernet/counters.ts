/** What an Ethernet link has seen, sent and dropped. All only grow. */
export class EthernetCounters {
  /** Frames that came in. */
  inFrames = 0;
  /** Of these, IP packets the stack was given. */
  inPackets = 0;
  /** Frames that were shorter than their header, or from a sender that can be nobody. */
  inHeaderErrors = 0;
  /** Frames for another host. */
  inOtherHost = 0;
  /** Frames of another VLAN. */
  inOtherVlan = 0;
  /** Frames of a type nobody here understands. */
  inUnknownTypes = 0;
  /** IP packets for one host in a frame for many (RFC 1122 §3.3.6). */
  inMisaddressed = 0;
  /** Frames that were sent. */
  outFrames = 0;
  /** Frames there was no room for, of the link's own messages and of packets that had waited. */
  outQueueFull = 0;
  /** Packets larger than the link takes. */
  outTooBig = 0;
  /** Packets that what came with them contradicts. */
  outMetadata = 0;
  /** ARP messages that came in. */
  arpIn = 0;
  /** Of these, ones that could not be read, or from a sender that can be nobody. */
  arpErrors = 0;
  /** ARP messages sent. */
  arpOut = 0;
  /** Neighbour and router discovery messages that came in. */
  ndIn = 0;
  /** Of these, ones that may not be believed (RFC 4861 §6.1, §7.1, §8.1). */
  ndErrors = 0;
  /** Neighbour and router discovery messages sent. */
  ndOut = 0;
  /** Neighbours that were not found, or no longer there. */
  neighborFailures = 0;
  /** Neighbours forgotten to make room, or because nobody had used them for long. */
  neighborsCollected = 0;
  /** Packets dropped because there was no room for one more neighbour. */
  neighborTableFull = 0;
  /** Packets dropped because too many waited for an answer already. */
  neighborQueueFull = 0;
  /** Packets dropped because nobody answered. */
  neighborUnreachable = 0;
  /** Addresses of ours that somebody else was found to have or to claim. */
  addressConflicts = 0;

  /** Those that are not 0, by name. */
  toJSON(): Record<string, number> {
    return Object.fromEntries(Object.entries(this).filter(([, value]) => value !== 0));
  }
}
