/** Sessions in the order in which they came to be of one kind; each is in one list at most. */
import type { Session } from './sessions.js';

export class SessionList {
  first: Session | undefined = undefined;
  #last: Session | undefined = undefined;

  push(session: Session): void {
    session.list = this;
    session.before = this.#last;
    session.after = undefined;
    if (this.#last === undefined) this.first = session;
    else this.#last.after = session;
    this.#last = session;
  }

  remove(session: Session): void {
    const { before, after } = session;
    if (before === undefined) this.first = after;
    else before.after = after;
    if (after === undefined) this.#last = before;
    else after.before = before;
    session.list = undefined;
    session.before = undefined;
    session.after = undefined;
  }
}
