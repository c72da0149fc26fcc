/**
 * Everything the addon does that needs no rights, in plain JavaScript so that it also runs where Node is
 * slow: under valgrind, and emulated. Argument: the addon. Prints `exercised`.
 */
const fs = require('node:fs');

const addon = { exports: {} };
process.dlopen(addon, process.argv[2]);
const { NativeTun, NativeNetlink, checksums, socketPair, sendDescriptor, receiveDescriptor } = addon.exports;

function expect(holds, what) {
  if (!holds) throw new Error(what);
}

for (const [name, checksum] of Object.entries(checksums)) {
  const bytes = Uint8Array.from({ length: 200 }, (_, i) => i * 37);
  for (let length = 0; length < 200; length++) {
    const expected = checksums.plain(bytes, 0, length);
    expect(checksum(bytes, 0, length) === expected, `${name} sums ${length} bytes otherwise`);
  }
}

/** An IPv4 UDP packet of 40 bytes, its checksum partial or none. */
function datagram() {
  const bytes = new Uint8Array(40);
  bytes.set([0x45, 0, 0, 40, 0, 0, 0, 0, 64, 17, 0, 0, 10, 0, 0, 1, 10, 0, 0, 2, 0, 1, 0, 2, 0, 20]);
  return bytes;
}

const shared = (Type, length) => new Type(new SharedArrayBuffer(length * Type.BYTES_PER_ELEMENT));

class Device {
  constructor(fd, headerBytes) {
    this.native = new NativeTun({ fd, offload: true, headerBytes });
    this.inBytes = new Uint8Array(1 << 18);
    this.inWords = shared(Int32Array, 8 + 12 * 8);
    this.outBytes = headerBytes === 0 ? shared(Uint8Array, 1 << 18) : new Uint8Array(1 << 18);
    this.outWords = shared(Int32Array, 8 + 12 * 8);
    this.counters = shared(Float64Array, 176);
    this.heard = [];
    const hear = (event, value) => this.heard.push([event, value]);
    this.native.start(this.inBytes, this.inWords, this.outBytes, this.outWords, this.counters, hear);
  }

  send(packets, checksum) {
    let at = 0;
    packets.forEach((packet, i) => {
      this.outBytes.set(packet, at);
      this.outWords.set([at, packet.length, checksum, 0, 0], 8 + 12 * i);
      at += (packet.length + 7) & -8;
    });
    this.outWords[0] = packets.length;
    return this.native.write();
  }
}

const turn = () => new Promise((resolve) => setTimeout(resolve, 10));

async function main() {
  for (const headerBytes of [0, 12]) {
    const [a, b] = socketPair();
    const left = new Device(a, headerBytes);
    const right = new Device(b, headerBytes);
    for (const checksum of [1, 3]) {
      expect(left.send([datagram(), datagram(), datagram()], checksum) === 0, 'it is written');
      for (let i = 0; i < 200 && right.heard.length === 0; i++) await turn();
      expect(right.heard.length > 0, 'it is heard');
      right.heard.length = 0;
    }
    left.send([new Uint8Array(1), new Uint8Array(40)], 3);
    while (left.send([datagram()], 1) === 0);
    // The memory goes while the device is full; whatever it does then, it does without it.
    if (headerBytes !== 0) structuredClone(0, { transfer: [left.outBytes.buffer] });
    left.native.close();
    for (let i = 0; i < 200 && !right.heard.some(([event]) => event === 2); i++) await turn();
    expect(right.heard.at(-1)[0] === 2, 'the end is heard');
    right.native.close();
  }
  const [a, b] = socketPair();
  sendDescriptor(a, b, 'text');
  const { fd, text } = receiveDescriptor(b);
  expect(text === 'text' && fd > 0, 'a descriptor arrives');
  for (const open of [a, b, fd]) fs.closeSync(open);
  try {
    new NativeTun({ fd: 12345, offload: true });
    throw new Error('no error for a closed descriptor');
  } catch ({ syscall }) {
    expect(syscall === 'fcntl', 'a closed descriptor is refused');
  }
  const netlink = new NativeNetlink({});
  try {
    // All links: a header without length and sequence number, which the addon fills in.
    const request = new Uint8Array(16 + 16);
    new Uint16Array(request.buffer, 4, 2).set([18, 0x301]);
    expect(netlink.exchange(request).length > 0, 'there are links');
  } finally {
    netlink.close();
  }
  process.stdout.write('exercised\n');
}

void main();
