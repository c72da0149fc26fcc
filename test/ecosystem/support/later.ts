/** Waiting until what was sent has been read, where both ends are in this process. */
const WAIT_MS = 20;
const TURNS = 30;

/**
 * Does something once the other end has had time to read. A process that was held up finds its timers due before it has
 * looked for packets: so many turns of its loop follow.
 */
export function later(act: () => void): void {
  let turns = TURNS;
  const turn = (): void => {
    if (turns-- > 0) setImmediate(turn);
    else act();
  };
  setTimeout(turn, WAIT_MS);
}
