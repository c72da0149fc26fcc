/** What `tunstack capture` is. */
import type { CaptureOptions } from '../capture/capture.js';
import type { CommandSpec } from '../frame/spec.js';
import * as values from '../frame/values.js';
import { EMULATION_OPTIONS, NETWORK_OPTIONS } from '../network/options.js';
import { SERVICE_OPTIONS } from '../run/service-options.js';

export const command: CommandSpec<CaptureOptions> = {
  name: 'capture',
  summary: 'show and record what passes between the stack and its network',
  description: [
    'Prints every packet as it passes the link of the stack, sequence numbers relative to the beginning of their ' +
      'connection, and with -w records it as pcapng, for Wireshark. A packet that the stack dropped says why.',
    'With a program it runs that program in a namespace of its own, as run does, and ends with it; what the program ' +
      'prints goes to standard error. Without, it goes on until it is interrupted.',
  ],
  arguments: [
    {
      name: 'command',
      description: 'program and its arguments',
      optional: true,
      variadic: true,
      completes: 'command',
    },
  ],
  options: [
    {
      flags: '-w, --write <file>',
      description: 'record the packets; - for standard output',
      completes: 'file',
    },
    { flags: '-c, --count <n>', description: 'stop after so many packets', parse: values.integer(1) },
    {
      flags: '-p, --protocol <name>',
      description: 'only packets of this protocol',
      choices: ['tcp', 'udp', 'icmp', 'other'],
      repeatable: true,
    },
    {
      flags: '--port <port>',
      description: 'only packets from or to this port',
      parse: values.port,
      repeatable: true,
    },
    {
      flags: '--host <address>',
      description: 'only packets from or to this address',
      parse: values.address,
      repeatable: true,
    },
    { flags: '--dropped', description: 'only packets that the stack dropped' },
    { flags: '-x, --hex', description: 'print the bytes too' },
    { flags: '-q, --quiet', description: 'print no packets' },
    ...SERVICE_OPTIONS,
    ...NETWORK_OPTIONS,
    ...EMULATION_OPTIONS,
  ],
  json: 'lines',
  passThrough: true,
  endsItself: true,
  exits: [
    {
      status: 0,
      meaning: 'it captured what it was asked to; also after SIGINT, and with a program its status',
    },
    { status: 1, meaning: 'the network could not be opened, or the capture not written' },
  ],
  examples: [
    {
      command: 'tunstack capture -p tcp --http-root . -- curl -s http://10.0.0.1/',
      description: 'The segments of a page fetched by curl:',
    },
    {
      command: 'tunstack capture -w - --echo -- nc -w 1 10.0.0.1 7 | wireshark -k -i -',
      description: 'Live in Wireshark:',
    },
    {
      command: 'sudo tunstack capture --tun tun7 --address 10.7.0.2/24 --host-address 10.7.0.1/24 -c 10',
      description: 'Ten packets that the host sends to 10.7.0.2, and what it is answered:',
    },
  ],
  async action(context) {
    const { capture } = await import('../capture/capture.js');
    return capture(context);
  },
};
