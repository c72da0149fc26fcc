/** Why a link over a channel of the application's has failed. */

/**
 * Why a link over a channel has failed: `ENETDOWN`, the other side ended it; `EPROTO`, what came from there cannot
 * be packets. Errors of the channel itself are told as they are.
 */
export class LinkError extends Error {
  /** `LinkError`. */
  override readonly name = 'LinkError';
  /** What happened. */
  readonly code: 'ENETDOWN' | 'EPROTO';

  /** @param link the name of the link, which begins the message */
  constructor(code: 'ENETDOWN' | 'EPROTO', link: string, message: string) {
    super(`${link}: ${message}`);
    this.code = code;
  }
}

/** What a channel said went wrong, as an error whatever it was. */
export const toError = (reason: unknown): Error =>
  reason instanceof Error ? reason : new Error(`the channel of a link failed: ${String(reason)}`);
