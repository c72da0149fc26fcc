/** For suites that open a TUN themselves: skipped where this user may not. */
import { accessSync, constants } from 'node:fs';
import { skip } from './skip.js';

/** A `before` hook. Root may always; an ordinary user only where `/dev/net/tun` is open to all. */
export function needsTun(this: Mocha.Context): void {
  if (process.getuid?.() === 0) return;
  try {
    accessSync('/dev/net/tun', constants.R_OK | constants.W_OK);
  } catch {
    skip(this, 'no TUN here: /dev/net/tun is not open to this user');
  }
}
