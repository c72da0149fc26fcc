/** The kernel's side of `tunstack bench`: a process inside the namespace, with Node's own sockets. */
import net from 'node:net';
import { serveBench } from './workloads.js';

// It ends with the channel to whoever started it.
process.on('disconnect', () => process.exit());

void serveBench(net).then(() => process.send?.('ready'));
