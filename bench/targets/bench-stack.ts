/** The stack under test, on a TUN in the client's namespace. */
import { Stack, SystemClock, SystemRandom, TunDevice } from '../../lib/index.js';

/** @param args the namespace, the client's address, the stack's, and `plain` for a TUN without offloads */
export function openBenchStack(args: readonly string[]): { stack: Stack; address: string } {
  const [netns, client, address, kind] = args;
  const tun = TunDevice.create({
    netns,
    name: 'tun0',
    address: `${client}/24`,
    offload: kind !== 'plain',
  });
  const stack = new Stack({ clock: new SystemClock(), random: new SystemRandom() });
  stack.addLink(tun, { addresses: [`${address}/24`] });
  stack.hold();
  return { stack, address };
}
