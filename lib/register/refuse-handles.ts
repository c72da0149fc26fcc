/** Servers and sockets of a stack do not travel to other processes: no descriptor stands behind them. */
import childProcess from 'node:child_process';

type Call = (...args: unknown[]) => unknown;
/** A channel to another process, as Node builds it: `send` calls `_send`. */
type Channel = { _send?: Call };

/**
 * Makes `send` refuse what `isOurs` is true for, with `ERR_INVALID_HANDLE_TYPE`, on the channel to the parent and
 * on those to all children to come. Node itself would take any server for one with a handle of its own, and crash.
 */
export function refuseHandles(isOurs: (value: unknown) => boolean): void {
  const guard = (channel: Channel): void => {
    const { _send: send } = channel;
    if (send === undefined) return;
    channel._send = function guarded(this: Channel, ...args: unknown[]): unknown {
      if (!isOurs(args[1])) return send.apply(this, args);
      throw Object.assign(new TypeError('This handle type cannot be sent'), {
        code: 'ERR_INVALID_HANDLE_TYPE',
      });
    };
  };
  guard(process as unknown as Channel);
  const prototype = childProcess.ChildProcess.prototype as unknown as { spawn: Call };
  const { spawn } = prototype;
  prototype.spawn = function guardedSpawn(this: Channel, ...args: unknown[]): unknown {
    const result = spawn.apply(this, args);
    guard(this);
    return result;
  };
}
