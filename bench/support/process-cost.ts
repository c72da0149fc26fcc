/** What processes have cost so far, and what has crossed a device, as the kernel counts them. */
import { readdirSync, readFileSync } from 'node:fs';

/** Ticks of `/proc/PID/stat`, per second; the kernel's interface fixes them on every architecture we run on. */
const TICKS_PER_SECOND = 100;
const PAGE_BYTES = 4096;

export interface Counters {
  /** Processor time of all threads, s. */
  readonly cpuSeconds: number;
  /** Packets at the client's device, both ways; a super-packet is one. */
  readonly packets: number;
  /** Bytes there, headers included. */
  readonly bytes: number;
}

/** Processor time of all threads of a process, s. Nanoseconds where the kernel keeps them, else ticks. */
export function cpuSecondsOf(pid: number): number {
  try {
    let nanoseconds = 0;
    for (const thread of readdirSync(`/proc/${pid}/task`)) {
      nanoseconds += Number(readFileSync(`/proc/${pid}/task/${thread}/schedstat`, 'utf8').split(' ')[0]);
    }
    return nanoseconds / 1e9;
  } catch {
    // The name, in parentheses, may hold spaces; user and system time are fields 14 and 15.
    const fields = readFileSync(`/proc/${pid}/stat`, 'utf8')
      .replace(/^.*\) /s, '')
      .split(' ');
    return (Number(fields[11]) + Number(fields[12])) / TICKS_PER_SECOND;
  }
}

/** Resident set of a process, bytes. */
export const residentBytesOf = (pid: number): number =>
  Number(readFileSync(`/proc/${pid}/statm`, 'utf8').split(' ')[1]) * PAGE_BYTES;

/** Packets and bytes both ways of a device in the namespace of a process. @throws Error without it */
export function deviceCounters(pid: number, device: string): { packets: number; bytes: number } {
  return parseDeviceCounters(readFileSync(`/proc/${pid}/net/dev`, 'utf8'), device);
}

export function parseDeviceCounters(text: string, device: string): { packets: number; bytes: number } {
  const line = text.split('\n').find((one) => one.trim().startsWith(`${device}:`));
  if (line === undefined) throw new Error(`no device ${device}`);
  const fields = line
    .replace(/^[^:]*:/, '')
    .trim()
    .split(/\s+/)
    .map(Number);
  return { bytes: fields[0] + fields[8], packets: fields[1] + fields[9] };
}

/** What was added since `before`. */
export const costSince = (before: Counters, after: Counters): Counters => ({
  cpuSeconds: after.cpuSeconds - before.cpuSeconds,
  packets: after.packets - before.packets,
  bytes: after.bytes - before.bytes,
});

/** Processor time of each packet since `before`, s. */
export function cpuSecondsPerPacket(before: Counters, after: Counters): number {
  const { cpuSeconds, packets } = costSince(before, after);
  return cpuSeconds / Math.max(1, packets);
}
