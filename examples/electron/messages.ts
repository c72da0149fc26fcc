/** What the main process and the process with the stack say to each other. */

/** A request of the window. */
export interface FetchRequest {
  readonly id: number;
  readonly url: string;
  readonly method: string;
  readonly headers: Record<string, string>;
  readonly body: Uint8Array | undefined;
}

/** The window has lost interest in an answer. */
export interface FetchCancel {
  readonly id: number;
  readonly isCancelled: true;
}

/** One part of an answer: its head, then chunks of its body, then its end; or what went wrong. */
export type FetchReply =
  | {
      readonly id: number;
      readonly kind: 'head';
      readonly status: number;
      readonly headers: [string, string][];
    }
  | { readonly id: number; readonly kind: 'chunk'; readonly bytes: Uint8Array }
  | { readonly id: number; readonly kind: 'end' }
  | { readonly id: number; readonly kind: 'error'; readonly message: string };
