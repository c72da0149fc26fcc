/** Why there is no TUN, in words that say what to do. */
import { StackError } from '../../base/errors.js';
import { AddonError } from '../../link/tun-addon.js';

/** Without full stop. @throws what is no such reason */
export function obstacle(error: unknown): string {
  if (error instanceof AddonError) return error.message.replace(/\.$/, '');
  if (!(error instanceof StackError)) throw error;
  const { syscall, code, address } = error;
  if (syscall === 'spawn') return 'the program unshare (util-linux) is not installed';
  if (syscall === 'unshare') return `this user may make no network namespace here (${code})`;
  if (address === '/dev/net/tun' && code === 'ENOENT') return 'this system has no /dev/net/tun';
  if (address === '/dev/net/tun') return `/dev/net/tun is closed to this user (${code})`;
  if (code === 'EPERM' && syscall === 'ioctl') {
    return `making a TUN in this network namespace needs CAP_NET_ADMIN; --private needs no such right (${error.message})`;
  }
  return error.message;
}
