/** The lower half of IPv6 addresses that a link makes for itself. */
import { ArgumentTypeError, ArgumentValueError } from '../base/errors.js';
import type { Random } from '../base/random.js';
import { SipHash } from '../base/siphash.js';
import { IpAddress } from '../wire/ip-address.js';
import type { MacAddress } from './mac-address.js';

/** Bytes of the secret of RFC 7217. */
const SECRET_BYTES = 16;
/** RFC 5453 §3: anycast addresses of a subnet, fdff:ffff:ffff:ff80 .. ff. */
const RESERVED_HIGH = 0xfdff_ffff | 0;
const RESERVED_LOW = 0xffff_ff80;

/** Makes the addresses of one link within a prefix of 64 bits. */
export interface InterfaceIdentifiers {
  /** The address; another for each `attempt`, where it can make another. Undefined where it cannot. */
  addressIn(prefix: IpAddress, attempt: number): IpAddress | undefined;
}

/** From the Ethernet address (RFC 4291 App. A): the same everywhere, and the only one. */
export function eui64Identifiers(mac: MacAddress): InterfaceIdentifiers {
  const w2 = ((mac.high ^ 0x0200) << 16) | ((mac.low >>> 24) << 8) | 0xff;
  const w3 = 0xfe00_0000 | (mac.low & 0x00ff_ffff);
  return {
    addressIn: (prefix, attempt) => (attempt === 0 ? IpAddress.v6(prefix.w0, prefix.w1, w2, w3) : undefined),
  };
}

/**
 * Another in each network, and always the same there (RFC 7217 §5): a keyed hash of prefix, Ethernet address and
 * attempt.
 * @throws ArgumentTypeError, ArgumentValueError for a secret that is not 16 bytes
 */
export function stableIdentifiers(secret: Uint8Array, mac: MacAddress): InterfaceIdentifiers {
  if (!(secret instanceof Uint8Array)) throw new ArgumentTypeError('secret must be a Uint8Array');
  if (secret.length !== SECRET_BYTES) {
    throw new ArgumentValueError(`secret must have ${SECRET_BYTES} bytes, not ${secret.length}`);
  }
  const hash = new SipHash(keyFrom(secret));
  const words = new Int32Array(5);
  return {
    addressIn(prefix, attempt) {
      words.set([prefix.w0, prefix.w1, mac.high, mac.low, attempt]);
      hash.hash(words, words.length);
      const reserved = hash.high === RESERVED_HIGH && hash.low >>> 0 >= RESERVED_LOW;
      // RFC 7217 §5 step 2: a reserved one is treated as a duplicate.
      if (reserved || (hash.high | hash.low) === 0) return undefined;
      return IpAddress.v6(prefix.w0, prefix.w1, hash.high, hash.low);
    },
  };
}

/** The secret as the key of a hash, which asks for it word by word. */
function keyFrom(secret: Uint8Array): Random {
  const view = new DataView(secret.buffer, secret.byteOffset, secret.length);
  let next = 0;
  return { uint32: () => view.getUint32(4 * (next++ % 4)) };
}
