/** Who can be in a roster. */
export interface Rostered {
  /** Its place there, which the roster writes down; -1 while it is in none. */
  rosterPlace: number;
}

/**
 * Everybody there is, of those who come and go by the thousand a second.
 *
 * A `Set` makes itself a new table time and again. The old one still has those who were in it, and once tables have become
 * old the collector of young objects takes each for alive, as it is pointed at by the one before: whoever was there
 * when a table was left, all of them in the end, is copied twice and kept until the next full collection. Who leaves
 * this leaves nothing behind.
 */
export class Roster<Member extends Rostered> {
  /** Never shortened: an array that is shrinks its memory, and leaves that behind when it grows again. */
  readonly #members: (Member | undefined)[] = [];
  #size = 0;

  get size(): number {
    return this.#size;
  }

  /** Adds one that is in no roster. */
  add(member: Member): void {
    const place = this.#size++;
    if (place < this.#members.length) this.#members[place] = member;
    else this.#members.push(member);
    member.rosterPlace = place;
  }

  /** Takes one out of this roster. @returns whether it was in */
  delete(member: Member): boolean {
    const place = member.rosterPlace;
    if (place < 0) return false;
    const end = --this.#size;
    const last = this.#members[end] as Member;
    this.#members[end] = undefined;
    if (last !== member) {
      this.#members[place] = last;
      last.rosterPlace = place;
    }
    member.rosterPlace = -1;
    return true;
  }

  /** All, in no order. Members may leave meanwhile; where others do, one may come twice. */
  *[Symbol.iterator](): IterableIterator<Member> {
    for (let place = this.#size - 1; place >= 0; place--) {
      const member = this.#members[place];
      if (member !== undefined) yield member;
    }
  }
}
