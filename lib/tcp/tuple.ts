/** The four values that name a connection (RFC 9293 §3.3.1): two addresses, two ports. */
import { type IpAddress, type IpFamily } from '../wire/ip-address.js';

export interface Tuple {
  readonly local: IpAddress;
  readonly remote: IpAddress;
  readonly localPort: number;
  readonly remotePort: number;
  /** Index of the only link a connection lives on, that of its listener; absent or -1 for all. */
  readonly link?: number;
  /** `local` is no address of ours (`listenAny`). */
  readonly isForeign?: boolean;
}

/** Words of a tuple in a hash's input, in a fixed order. */
export const TUPLE_WORDS = 9;

/** Writes the tuple to `words`: both addresses, then both ports in one word. */
export function tupleWords(tuple: Tuple, words: Int32Array): void {
  const { local, remote } = tuple;
  words[0] = local.w0;
  words[1] = local.w1;
  words[2] = local.w2;
  words[3] = local.w3;
  words[4] = remote.w0;
  words[5] = remote.w1;
  words[6] = remote.w2;
  words[7] = remote.w3;
  words[8] = portsWord(tuple.localPort, tuple.remotePort);
}

export const portsWord = (localPort: number, remotePort: number): number => (localPort << 16) | remotePort;

export const familyOf = (tuple: Tuple): IpFamily => tuple.local.family;
