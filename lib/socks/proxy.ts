/** The proxy of a tunnel: dials through it, all of which can be ended, and counts what it does wrong. */
import { Roster } from '../base/roster.js';
import type { IcmpRejection } from '../wire/icmp-rejection.js';
import type { SocksTunnelStats } from './counters.js';
import { type DialFailure, type DialOwner, type ProxySettings, SocksDial } from './dial.js';
import { type SocksCommand, type SocksPlace, SocksReply } from './protocol.js';

/**
 * What those inside hear of a reply: RST where the other end has said no, or the proxy does not know; ICMP where it
 * was not reached (RFC 1928 §6).
 */
const REJECTIONS: Readonly<Record<number, IcmpRejection>> = {
  [SocksReply.NotAllowed]: 'prohibited',
  [SocksReply.NetworkUnreachable]: 'net-unreachable',
  [SocksReply.HostUnreachable]: 'host-unreachable',
  [SocksReply.TtlExpired]: 'host-unreachable',
  // Most often a proxy without IPv6: whoever has an address of the other family tries it at once.
  [SocksReply.AddressTypeNotSupported]: 'net-unreachable',
};

/** The answer to who asked for what the proxy did not do. */
export const rejectionOf = (reply: number): 'reset' | IcmpRejection => REJECTIONS[reply] ?? 'reset';

export class Proxy {
  readonly settings: ProxySettings;
  readonly #stats: SocksTunnelStats;
  readonly #dials = new Roster<SocksDial>();
  #isClosed = false;

  constructor(settings: ProxySettings, stats: SocksTunnelStats) {
    this.settings = settings;
    this.#stats = stats;
  }

  /** Requests under way. */
  get dialling(): number {
    return this.#dials.size;
  }

  /** Asks the proxy. @returns what ends that without a word */
  dial(command: SocksCommand, to: SocksPlace, owner: DialOwner): () => void {
    if (this.#isClosed) return () => {};
    const dial = new SocksDial(
      this.settings,
      { command, to },
      {
        dialled: (socket, bound) => {
          this.#dials.delete(dial);
          owner.dialled(socket, bound);
        },
        failed: (failure, reply) => {
          this.#dials.delete(dial);
          this.#count(failure);
          owner.failed(failure, reply);
        },
      },
    );
    this.#dials.add(dial);
    return () => {
      this.#dials.delete(dial);
      dial.cancel();
    };
  }

  /** Ends all requests, and takes no more. */
  close(): void {
    this.#isClosed = true;
    for (const dial of this.#dials) {
      this.#dials.delete(dial);
      dial.cancel();
    }
  }

  #count(failure: DialFailure): void {
    const stats = this.#stats;
    if (failure === 'unauthorized') stats.proxyUnauthorized++;
    else if (failure === 'malformed') stats.proxyMalformed++;
    else if (failure === 'unreachable') stats.proxyUnreachable++;
    else if (failure === 'timeout') stats.proxyTimeouts++;
  }
}
