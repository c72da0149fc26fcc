/** Reading and writing headers. */
import type { Seq } from '../../lib/base/seq.js';
import { IpPacket } from '../../lib/wire/ip-packet.js';
import { readIpv4 } from '../../lib/wire/ipv4.js';
import {
  flagsAndWindow,
  TcpFlag,
  TcpHeader,
  writeTcpControl,
  writeTcpNumbers,
  writeTcpPorts,
} from '../../lib/wire/tcp.js';
import { TcpOptionReader, writeSack, writeSynOptions, writeTimestamps } from '../../lib/wire/tcp-options.js';
import type { Micro } from './harness.js';
import { patchIpv4 } from './packets.js';

const bytes = new Uint8Array(new SharedArrayBuffer(4096));
const view = new DataView(bytes.buffer);
const SEGMENT_AT = 64;
const SYN_AT = 256;
const SACK_AT = 512;
const PACKET_AT = 1024;

writeTcpPorts(view, SEGMENT_AT, 80, 40_000);
writeTcpNumbers(view, SEGMENT_AT, 1 as Seq, 2 as Seq);
writeTcpControl(view, SEGMENT_AT, 32, flagsAndWindow(TcpFlag.ACK, 1000));
writeTimestamps(view, SEGMENT_AT + 20, 1, 2);
const syn = {
  mss: 1460,
  windowScale: 7,
  sackPermitted: true,
  timestamps: true,
  tsVal: 1,
  tsEcr: 0,
  ecnFlags: 0,
  ecnCounters: false,
};
const synBytes = writeSynOptions(view, SYN_AT, syn);
const stamps = writeTimestamps(view, SACK_AT, 1, 2);
const sackBytes = stamps + writeSack(view, SACK_AT + stamps, Int32Array.of(1, 2, 3, 4, 5, 6), 3);
patchIpv4(view, PACKET_AT, 1480);

const header = new TcpHeader();
const options = new TcpOptionReader();
const packet = new IpPacket();

export const codec: readonly Micro[] = [
  {
    name: 'TCP header: parse, read five fields',
    run: (times) => {
      let sum = 0;
      for (let i = 0; i < times; i++) {
        header.parse(view, SEGMENT_AT, 32);
        sum += header.sequence + header.acknowledgment + header.flags + header.window + header.payloadBytes;
      }
      return sum;
    },
  },
  {
    name: 'TCP header: write',
    run: (times) => {
      for (let i = 0; i < times; i++) {
        writeTcpPorts(view, 0, 80, 40_000);
        writeTcpNumbers(view, 0, i as Seq, 2 as Seq);
        writeTcpControl(view, 0, 32, flagsAndWindow(TcpFlag.ACK, 1000));
        writeTimestamps(view, 20, i, 2);
      }
      return view.getInt32(4);
    },
  },
  {
    name: 'TCP options: read time stamps',
    run: (times) => readOptions(times, SEGMENT_AT + 20, 12),
  },
  { name: 'TCP options: read those of a SYN', run: (times) => readOptions(times, SYN_AT, synBytes) },
  { name: 'TCP options: read three SACK blocks', run: (times) => readOptions(times, SACK_AT, sackBytes) },
  {
    name: 'IPv4 header: check and read',
    run: (times) => {
      let sum = 0;
      for (let i = 0; i < times; i++) {
        packet.aim(bytes, view, PACKET_AT, 1500);
        sum += readIpv4(packet) + packet.payloadBytes;
      }
      return sum;
    },
  },
];

function readOptions(times: number, at: number, length: number): number {
  let sum = 0;
  for (let i = 0; i < times; i++) {
    options.parse(view, at, length);
    sum += options.tsVal;
  }
  return sum;
}
