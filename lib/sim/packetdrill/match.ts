/** Compares a segment a script expects with what the stack sent. */
import { ECN_NAMES, formatSegmentLine } from '../../wire/segment-text.js';
import { formatTcpFlags, TcpFlag } from '../../wire/tcp.js';
import type { LiveSegment } from './flow.js';
import { packetdrillWords } from './option-words.js';
import type { TcpSpec } from './script.js';

const END_FLAGS = TcpFlag.PSH | TcpFlag.FIN;

/**
 * Segments as the one that a kernel would have sent whole, for the network card to cut: consecutive, of one
 * moment, PSH and FIN only on the last.
 */
export function joinSegments(first: LiveSegment, next: LiveSegment): LiveSegment | undefined {
  const { line } = first;
  if (line.textBytes === 0 || next.line.textBytes === 0 || line.flags & END_FLAGS) return undefined;
  const isNext = ((line.start + line.textBytes) | 0) === (next.line.start | 0);
  if (!isNext || next.atUs !== first.atUs || next.line.ack !== line.ack) return undefined;
  return {
    ...first,
    line: {
      ...line,
      flags: line.flags | (next.line.flags & END_FLAGS),
      textBytes: line.textBytes + next.line.textBytes,
    },
  };
}

/** What differs, in words; '' when nothing that is compared does. */
export function differences(expected: TcpSpec, actual: LiveSegment, stampTolerance: number): string {
  const { line } = actual;
  const found: string[] = [];
  const note = (differs: boolean, what: string): void => {
    if (differs) found.push(what);
  };
  note(expected.flags !== line.flags, 'flags');
  note((expected.start | 0) !== (line.start | 0), 'sequence number');
  note(expected.textBytes !== line.textBytes, 'length');
  note(expected.ack !== undefined && (expected.ack | 0) !== ((line.ack ?? 0) | 0), 'ack');
  note(expected.window !== undefined && expected.window !== line.window, 'win');
  note(expected.urgentPointer !== undefined && expected.urgentPointer !== line.urgentPointer, 'urg');
  if (expected.options !== 'any') {
    const wanted = expected.options.map(packetdrillWords);
    note(!sameOptions(wanted, line.options ?? [], stampTolerance), 'options');
  }
  const { ecn, trafficClass, hopLimit, flowLabel } = expected.ip;
  note(ecn !== undefined && !ecn.includes(actual.trafficClass & 3), 'ECN field');
  note(trafficClass !== undefined && trafficClass >> 2 !== actual.trafficClass >> 2, 'tos');
  note(hopLimit !== undefined && hopLimit !== actual.hopLimit, 'ttl');
  note(flowLabel !== undefined && flowLabel !== actual.flowLabel, 'flowlabel');
  note(expected.sourcePort !== undefined && expected.sourcePort !== actual.sourcePort, 'source port');
  note(
    expected.destinationPort !== undefined && expected.destinationPort !== actual.destinationPort,
    'destination port',
  );
  return found.join(', ');
}

/** In the same order, padding included; TSval only as closely as `stampTolerance` says, in ticks, or not at all below 0. */
function sameOptions(
  expected: readonly string[],
  actual: readonly string[],
  stampTolerance: number,
): boolean {
  if (expected.length !== actual.length) return false;
  return expected.every((option, i) => sameOption(option.split(' '), actual[i].split(' '), stampTolerance));
}

function sameOption(a: readonly string[], b: readonly string[], stampTolerance: number): boolean {
  if (a.length !== b.length) return false;
  return a.every((word, i) => {
    if (a[0] === 'TS' && i === 2) {
      return stampTolerance < 0 || Math.abs((Number(word) - Number(b[i])) | 0) <= stampTolerance;
    }
    return word === b[i] || (isNumber(word) && isNumber(b[i]) && (Number(word) | 0) === (Number(b[i]) | 0));
  });
}

const isNumber = (word: string): boolean => /^-?\d+$/.test(word);

/** The segment as a script would have it; the ECN field where it says something, or was asked for. */
export function formatLive({ line, trafficClass }: LiveSegment, spec?: TcpSpec): string {
  const isTold = (trafficClass & 3) !== 0 || spec?.ip.ecn !== undefined;
  return `> ${isTold ? `[${ECN_NAMES[trafficClass & 3]}] ` : ''}${formatSegmentLine(line)}`;
}

/** An expected segment, in the same words. */
export function formatExpected(spec: TcpSpec): string {
  const { flags, start, textBytes, ack, window, urgentPointer, options, ip } = spec;
  const ecn = ip.ecn === undefined ? '' : `[${ip.ecn.map((value) => ECN_NAMES[value]).join(' or ')}] `;
  let text = `> ${ecn}${formatTcpFlags(flags) || '-'} ${start}:${start + textBytes}(${textBytes})`;
  if (ack !== undefined) text += ` ack ${ack}`;
  if (window !== undefined) text += ` win ${window}`;
  if (urgentPointer !== undefined) text += ` urg ${urgentPointer}`;
  if (options === 'any') text += ' <...>';
  else if (options.length > 0) text += ` <${options.map(packetdrillWords).join(',')}>`;
  return text;
}
