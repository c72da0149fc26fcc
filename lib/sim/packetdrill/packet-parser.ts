/** The packets of a script: TCP segments and ICMP errors, in and out. */
import { FLAG_LETTERS } from '../../wire/segment-text.js';
import { TcpFlag } from '../../wire/tcp.js';
import { optionWords } from './option-words.js';
import type { Scanner } from './scanner.js';
import type { IcmpSpec, IpSpec, PacketAction, TcpSpec } from './script.js';

const ECN: Readonly<Record<string, readonly number[]>> = {
  noecn: [0],
  ect1: [1],
  ect0: [2],
  ect01: [1, 2],
  ce: [3],
};

const PORTS = /(\d+)\s*>\s*(\d+)(?=\s)/y;
const FLAGS = /[SFRPEWUA.]+[0-7]?(?=\s)|[0-7](?=\s+\d+:)|-(?=\s)/y;
const SEQUENCE = /(\d+)\s*:\s*(\d+)\s*\(\s*(\d+)\s*\)/y;
const OPTIONS = /<([^>]*)>/y;
const BRACKETS = /\[([^\]]*)\]/y;

/** A packet, at its `<` or `>`. */
export function parsePacket(scanner: Scanner): PacketAction {
  const isOutbound = scanner.take('>');
  if (!isOutbound) scanner.expect('<');
  const ip = parseIp(scanner);
  if (scanner.takeWord('udp')) scanner.fail('UDP is not supported');
  if (scanner.takeWord('icmp')) return { kind: 'packet', isOutbound, packet: parseIcmp(scanner, ip) };
  return { kind: 'packet', isOutbound, packet: parseTcp(scanner, ip, isOutbound) };
}

function parseIp(scanner: Scanner): IpSpec {
  const inside = scanner.match(BRACKETS)?.[1];
  if (inside === undefined) return {};
  let ip: IpSpec = {};
  for (const part of inside.split(',')) {
    const [name, value = ''] = part.trim().split(/\s+/);
    const ecn = ECN[name.toLowerCase()];
    if (ecn !== undefined) ip = { ...ip, ecn };
    else if (name === 'tos') ip = { ...ip, trafficClass: Number(value), ecn: [Number(value) & 3] };
    else if (name === 'ttl') ip = { ...ip, hopLimit: Number(value) };
    else if (name === 'flowlabel') ip = { ...ip, flowLabel: Number(value) };
    else scanner.fail(`"${part.trim()}" of an IP header is not supported`);
  }
  return ip;
}

function parseTcp(scanner: Scanner, ip: IpSpec, isOutbound: boolean): TcpSpec {
  const ports = scanner.match(PORTS);
  const letters = scanner.match(FLAGS)?.[0] ?? scanner.fail('TCP flags expected');
  const flags = flagsOf(letters);
  const { start, textBytes } = parseSequence(scanner);
  const ack = parseNumber(scanner, 'ack');
  const window = parseNumber(scanner, 'win');
  const urgentPointer = parseNumber(scanner, 'urg');
  if (ack === undefined && flags & TcpFlag.ACK && !isOutbound) scanner.fail('an inbound ACK needs "ack"');
  const options = parseOptions(scanner);
  if (options === 'any' && !isOutbound) scanner.fail('"<...>" is for outbound packets');
  return {
    protocol: 'tcp',
    ip,
    ...(ports === undefined ? {} : { sourcePort: Number(ports[1]), destinationPort: Number(ports[2]) }),
    flags,
    start,
    textBytes,
    ack,
    window,
    urgentPointer,
    options,
  };
}

/** Letters, and a last digit for AE, CWR and ECE as one number, the ACE field (RFC 9768 §3.2.2). */
function flagsOf(letters: string): number {
  let flags = 0;
  for (const letter of letters) {
    if (letter === '-') continue;
    const ace = Number(letter);
    if (letter === '.' || Number.isNaN(ace)) flags |= FLAG_LETTERS[letter];
    else {
      flags |= ace & 4 ? TcpFlag.AE : 0;
      flags |= (ace & 2 ? TcpFlag.CWR : 0) | (ace & 1 ? TcpFlag.ECE : 0);
    }
  }
  return flags;
}

function parseSequence(scanner: Scanner): { start: number; textBytes: number } {
  const found = scanner.match(SEQUENCE) ?? scanner.fail('"first:end(bytes)" expected');
  const [start, end, textBytes] = [Number(found[1]), Number(found[2]), Number(found[3])];
  if (((start + textBytes) | 0) !== (end | 0))
    scanner.fail(`${start}:${end} are not ${textBytes} bytes, near`);
  return { start, textBytes };
}

function parseNumber(scanner: Scanner, word: string): number | undefined {
  if (!scanner.takeWord(word)) return undefined;
  return scanner.integer() ?? scanner.fail(`a number expected behind "${word}"`);
}

function parseOptions(scanner: Scanner): readonly string[] | 'any' {
  const inside = scanner.match(OPTIONS)?.[1].trim();
  if (inside === undefined || inside === '') return [];
  if (inside === '...') return 'any';
  return inside.split(',').map((text) => optionWords(text, (message) => scanner.fail(message)));
}

/** `icmp unreachable frag_needed mtu 1200 [1:1001(1000)]`. */
function parseIcmp(scanner: Scanner, ip: IpSpec): IcmpSpec {
  const type = scanner.word() ?? scanner.fail('a type of ICMP message expected');
  let code = '';
  scanner.skip();
  const before = scanner.at;
  const word = scanner.word();
  if (word !== undefined && word !== 'mtu') code = word;
  else scanner.at = before;
  const mtu = parseNumber(scanner, 'mtu') ?? 0;
  let about: IcmpSpec['about'];
  if (scanner.take('[')) {
    about = parseSequence(scanner);
    scanner.expect(']');
  }
  return { protocol: 'icmp', ip, type, code, mtu, about };
}
