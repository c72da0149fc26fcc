/** Why there is no TUN, in words that say what to do. */
import { StackError } from '../../base/errors.js';
import { AddonError } from '../../link/tun-addon.js';
import { CliError, UsageError } from '../frame/errors.js';

/** Without full stop. @throws what is no such reason */
export function obstacle(error: unknown): string {
  if (error instanceof AddonError) return error.message.replace(/\.$/, '');
  if (!(error instanceof StackError)) throw error;
  const { syscall, code, address } = error;
  if (syscall === 'spawn' && code === 'ENOENT') {
    return `the program ${address ?? 'unshare'} (util-linux) is not installed`;
  }
  if (syscall === 'unshare') {
    return `this user may make no network namespace here (${code}); tunstack info shows the settings that decide`;
  }
  if (address === '/dev/net/tun' && code === 'ENOENT')
    return 'this system has no /dev/net/tun; modprobe tun makes it';
  if (address === '/dev/net/tun') {
    return `/dev/net/tun is closed to this user (${code}); root opens it by chmod 0666 /dev/net/tun`;
  }
  if (code === 'EPERM' && syscall === 'ioctl') {
    return `making a TUN in this network namespace needs CAP_NET_ADMIN; --private needs no such right (${error.message})`;
  }
  if (code === 'EPERM' && syscall === 'netlink')
    return `changing ${address} needs CAP_NET_ADMIN (${error.message})`;
  if (code === 'EINVAL' && syscall === 'ioctl')
    return `${address} is no TUN that can be taken (${error.message})`;
  if (code === 'EBUSY' && syscall === 'ioctl') return `${address} is in use already (${error.message})`;
  return error.message;
}

/** As `obstacle`; what is no such reason is told as it is. */
export function anyObstacle(error: unknown): string {
  try {
    return obstacle(error);
  } catch {
    return (error as Error).message;
  }
}

/** What was typed can be wrong in ways that only what is opened knows. */
const WRONG_VALUE = /^ERR_(INVALID_ARG|OUT_OF_RANGE|INVALID_IP_ADDRESS|SOCKET_BAD_PORT)/;

/**
 * Waits for a network that is being opened.
 * @throws UsageError for values that make no sense, CliError for what stands in the way
 */
export async function openedNetwork<T>(opening: Promise<T>): Promise<T> {
  try {
    return await opening;
  } catch (error) {
    if (error instanceof CliError) throw error;
    const { code = '', message } = error as NodeJS.ErrnoException;
    if (WRONG_VALUE.test(code)) throw new UsageError(message);
    throw new CliError(`the network cannot be opened: ${obstacle(error)}`);
  }
}
