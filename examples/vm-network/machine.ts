/**
 * Plays a virtual machine for `network.ts`: a network namespace of its own, whose kernel has one network card, and
 * speaks on a socket as QEMU does. It runs one command inside; here one that waits until the kernel has made itself an
 * address from what the router advertises, and fetches the page.
 *
 *     npx tsx examples/vm-network/machine.ts /tmp/vm.sock sh -c 'sleep 3; curl -s http://[fd00:2::2]/'
 *
 * DHCP clients work too, with a script of one's own: that of the system would write the `/etc/resolv.conf` of the host.
 */
import { once } from 'node:events';
import { connect } from 'node:net';
import { byteStreamLink, type LinkDevice, openPrivateTun, SystemClock } from 'tunstack';

const [path = '/tmp/vm.sock', command = 'sh', ...args] = process.argv.slice(2);
const clock = new SystemClock();
const socket = connect(path);
await once(socket, 'connect');
const card = await openPrivateTun({ mode: 'tap', name: 'eth0', offload: false });
const cable = byteStreamLink(socket, {
  clock,
  mtu: card.device.mtu,
  framing: 'length32',
  coalesce: false,
});

/** Frames of one go to the other; what finds no room is lost, as on a wire. */
function plug(from: LinkDevice, to: LinkDevice): void {
  from.open((batch) => {
    let target = to.borrow();
    for (let i = 0; i < batch.count && target !== undefined; i++) {
      if (batch.length(i) > to.mtu) continue;
      target.appendCopy(batch, i);
      if (target.room >= to.maxPacketBytes) continue;
      to.send(target);
      target = to.borrow();
    }
    if (target !== undefined && target.count > 0) to.send(target);
  });
}
plug(card.device, cable);
plug(cable, card.device);

const child = card.run(command, args, { stdio: 'inherit' });
const [status] = await once(child, 'exit');
cable.close();
await card.close();
process.exitCode = status ?? 1;
