/** Ports on one side that lead to the other, and name servers, as people write them. */
import { ArgumentTypeError, ArgumentValueError } from '../base/errors.js';
import { IpAddress } from '../wire/ip-address.js';

/** An address and a port. */
export interface Place {
  readonly address: string;
  readonly port: number;
}

/** A port on one side that leads to a place on the other. */
export interface PortForward {
  readonly protocol: 'tcp' | 'udp';
  /** Where it listens. An empty address is the default of its side. */
  readonly from: Place;
  /** Where it leads. An empty address is the default of that side. */
  readonly to: Place;
}

const PLACE = /^(?:(?:\[([^\]]+)\]|([^:[\]]+)):)?(\d{1,5})$/;
const FORWARD = /^(.+?)(?:\/(tcp|udp))?$/;

function portOf(text: string, whole: string): number {
  const port = Number(text);
  if (port >= 1 && port <= 65_535) return port;
  throw new ArgumentValueError(`${text} is no port, in "${whole}"`);
}

function addressOf(text: string, whole: string): string {
  const address = IpAddress.tryParse(text);
  if (address === undefined) throw new ArgumentValueError(`${text} is no IP address, in "${whole}"`);
  return address.toString();
}

function place(text: string, whole: string): Place {
  const match = PLACE.exec(text);
  if (match === null) throw new ArgumentValueError(`"${text}" is no [address:]port, in "${whole}"`);
  const [, inBrackets, plain, port] = match;
  const address = inBrackets ?? plain;
  return { address: address === undefined ? '' : addressOf(address, whole), port: portOf(port, whole) };
}

/** Splits at colons that stand outside brackets. */
const parts = (text: string): string[] => text.split(/:(?![^[]*\])/);

/**
 * Reads `[address:]port[:[address:]port][/tcp|/udp]`, where an IPv6 address stands in brackets: from where, to
 * where. A port alone is both.
 * @throws ArgumentValueError
 */
export function parseForward(text: string): PortForward {
  if (typeof text !== 'string') throw new ArgumentTypeError('a port forward is a string');
  const [, places, protocol = 'tcp'] = FORWARD.exec(text) ?? [];
  const words = parts(places ?? '');
  const isPort = (word: string | undefined): boolean => word !== undefined && /^\d{1,5}$/.test(word);
  // The first place ends with the first port.
  const end = words.findIndex(isPort) + 1;
  if (end === 0 || end > 2) throw new ArgumentValueError(`"${text}" is no port forward such as 8080:80/tcp`);
  const from = place(words.slice(0, end).join(':'), text);
  const rest = words.slice(end).join(':');
  const to = words.length === end ? { address: '', port: from.port } : place(rest, text);
  return { protocol: protocol as 'tcp' | 'udp', from, to };
}

/** Reads `1.1.1.1`, `1.1.1.1:5353`, `2606::1` and `[2606::1]:5353`. @throws ArgumentValueError */
export function parseServer(text: string): Place {
  if (typeof text !== 'string') throw new ArgumentTypeError('a name server is a string');
  const address = IpAddress.tryParse(text);
  if (address !== undefined) return { address: address.toString(), port: 53 };
  const bare = /^\[([^\]]+)\]$/.exec(text);
  if (bare !== null) return { address: addressOf(bare[1], text), port: 53 };
  const found = place(text, text);
  if (found.address === '') throw new ArgumentValueError(`"${text}" is no name server`);
  return found;
}
