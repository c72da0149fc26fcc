/**
 * Noise_KK_25519_ChaChaPoly_SHA256 (noiseprotocol.org, revision 34): a handshake of two messages between two who know
 * each other's public keys. Each proves that it has the private one, and both get keys that nobody can compute later,
 * even with all the private ones (forward secrecy). Who has stolen the private key of one can play anybody to that one
 * in the first message, but not in what follows; and who has recorded a first message can say it again, which is for
 * `tunnel.ts` to tell.
 */
import {
  createCipheriv,
  createDecipheriv,
  createHash,
  createPublicKey,
  diffieHellman,
  generateKeyPairSync,
  hkdfSync,
  type KeyObject,
} from 'node:crypto';

/** A pair of X25519 keys; the public one as its 32 bytes. */
export interface KeyPair {
  readonly privateKey: KeyObject;
  readonly publicBytes: Uint8Array;
}

export const KEY_BYTES = 32;
export const TAG_BYTES = 16;
const NAME = 'Noise_KK_25519_ChaChaPoly_SHA256';
const EMPTY = new Uint8Array(0);

export function makeKeys(): KeyPair {
  const { publicKey, privateKey } = generateKeyPairSync('x25519');
  const { x = '' } = publicKey.export({ format: 'jwk' });
  return { privateKey, publicBytes: Buffer.from(x, 'base64url') };
}

/** What both compute from the private key of one and the public key of the other. @throws for a key that is none */
function agree(ours: KeyPair, theirs: Uint8Array): Uint8Array {
  const x = Buffer.from(theirs).toString('base64url');
  const publicKey = createPublicKey({ key: { kty: 'OKP', crv: 'X25519', x }, format: 'jwk' });
  return diffieHellman({ privateKey: ours.privateKey, publicKey });
}

/** The nonce of message number `counter`: never the same twice under one key. */
function nonceOf(counter: number): Uint8Array {
  const nonce = new Uint8Array(12);
  new DataView(nonce.buffer).setBigUint64(4, BigInt(counter), true);
  return nonce;
}

/** Encrypts `text`, and protects it and `associated` from change. */
export function seal(key: Uint8Array, counter: number, text: Uint8Array, associated: Uint8Array): Uint8Array {
  const cipher = createCipheriv('chacha20-poly1305', key, nonceOf(counter), { authTagLength: TAG_BYTES });
  cipher.setAAD(associated, { plaintextLength: text.length });
  return Buffer.concat([cipher.update(text), cipher.final(), cipher.getAuthTag()]);
}

/** Undoes `seal`; undefined for what was not made with this key, or was changed. */
export function open(
  key: Uint8Array,
  counter: number,
  sealed: Uint8Array,
  associated: Uint8Array,
): Uint8Array | undefined {
  const textBytes = sealed.length - TAG_BYTES;
  if (textBytes < 0) return undefined;
  const decipher = createDecipheriv('chacha20-poly1305', key, nonceOf(counter), { authTagLength: TAG_BYTES });
  decipher.setAAD(associated, { plaintextLength: textBytes });
  decipher.setAuthTag(sealed.subarray(textBytes));
  const text = decipher.update(sealed.subarray(0, textBytes));
  try {
    decipher.final();
    return text;
  } catch {
    return undefined;
  }
}

/** Keys of the session that a handshake ends in: one for each direction. */
export interface SessionKeys {
  readonly ofInitiator: Uint8Array;
  readonly ofResponder: Uint8Array;
}

/** One side of a handshake: everything said so far goes into a hash, everything agreed on into a key. */
export class Handshake {
  readonly #own: KeyPair;
  readonly #peer: Uint8Array;
  readonly #ephemeral: KeyPair;
  #hash: Uint8Array;
  #chain: Uint8Array;
  #key: Uint8Array = EMPTY;
  /** The ephemeral public key of the other side. */
  #theirs: Uint8Array = EMPTY;

  /** @param prologue what both sides must have seen alike before the first message; @param ephemeral for tests alone */
  constructor(
    [own, peer]: readonly [own: KeyPair, peer: Uint8Array],
    isInitiator: boolean,
    prologue: Uint8Array,
    ephemeral = makeKeys(),
  ) {
    this.#own = own;
    this.#peer = peer;
    this.#ephemeral = ephemeral;
    this.#hash = Buffer.from(NAME);
    this.#chain = this.#hash;
    this.#mixHash(prologue);
    this.#mixHash(isInitiator ? own.publicBytes : peer);
    this.#mixHash(isInitiator ? peer : own.publicBytes);
  }

  /** Initiator: `e, es, ss`. */
  writeFirst(payload: Uint8Array): Uint8Array {
    this.#mixHash(this.#ephemeral.publicBytes);
    this.#mixKey(agree(this.#ephemeral, this.#peer));
    this.#mixKey(agree(this.#own, this.#peer));
    return Buffer.concat([this.#ephemeral.publicBytes, this.#encrypt(payload)]);
  }

  /** Responder: the payload; undefined where the sender is not who it should be. */
  readFirst(message: Uint8Array): Uint8Array | undefined {
    return this.#read(message, () => {
      this.#mixKey(agree(this.#own, this.#theirs));
      this.#mixKey(agree(this.#own, this.#peer));
    });
  }

  /** Responder: `e, ee, se`. */
  writeSecond(payload: Uint8Array): Uint8Array {
    this.#mixHash(this.#ephemeral.publicBytes);
    this.#mixKey(agree(this.#ephemeral, this.#theirs));
    this.#mixKey(agree(this.#ephemeral, this.#peer));
    return Buffer.concat([this.#ephemeral.publicBytes, this.#encrypt(payload)]);
  }

  /** Initiator: the payload; undefined where the other side is not who it should be, who may still answer. */
  readSecond(message: Uint8Array): Uint8Array | undefined {
    return this.#read(message, () => {
      this.#mixKey(agree(this.#ephemeral, this.#theirs));
      this.#mixKey(agree(this.#own, this.#theirs));
    });
  }

  /** What the session is encrypted with, once both messages have passed. */
  keys(): SessionKeys {
    const [ofInitiator, ofResponder] = derive(this.#chain, EMPTY);
    return { ofInitiator, ofResponder };
  }

  /** Takes a message, or leaves everything as it was: nobody ends a handshake by a forgery. */
  #read(message: Uint8Array, mixKeys: () => void): Uint8Array | undefined {
    if (message.length < KEY_BYTES + TAG_BYTES) return undefined;
    const before = [this.#hash, this.#chain, this.#key, this.#theirs] as const;
    let text: Uint8Array | undefined;
    try {
      this.#theirs = message.subarray(0, KEY_BYTES);
      this.#mixHash(this.#theirs);
      mixKeys();
      text = this.#decrypt(message.subarray(KEY_BYTES));
    } catch {
      // A public key that is none.
    }
    if (text === undefined) [this.#hash, this.#chain, this.#key, this.#theirs] = before;
    return text;
  }

  #mixHash(bytes: Uint8Array): void {
    this.#hash = createHash('sha256').update(this.#hash).update(bytes).digest();
  }

  #mixKey(secret: Uint8Array): void {
    [this.#chain, this.#key] = derive(this.#chain, secret);
  }

  /** Every key here encrypts one message only, number 0. */
  #encrypt(text: Uint8Array): Uint8Array {
    const sealed = seal(this.#key, 0, text, this.#hash);
    this.#mixHash(sealed);
    return sealed;
  }

  #decrypt(sealed: Uint8Array): Uint8Array | undefined {
    const text = open(this.#key, 0, sealed, this.#hash);
    this.#mixHash(sealed);
    return text;
  }
}

function derive(chain: Uint8Array, secret: Uint8Array): [Uint8Array, Uint8Array] {
  const bytes = new Uint8Array(hkdfSync('sha256', secret, chain, EMPTY, 2 * KEY_BYTES));
  return [bytes.subarray(0, KEY_BYTES), bytes.subarray(KEY_BYTES)];
}
