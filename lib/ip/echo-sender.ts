/**
 * Sending echo requests (RFC 792, RFC 4443 §4.1).
 */
import { ArgumentRangeError, ArgumentTypeError } from '../base/errors.js';
import type { StackStats } from '../base/stats.js';
import { finishChecksum, sumBytes } from '../wire/checksum.js';
import { ICMP_HEADER_BYTES, Icmp4Type, Icmp6Type } from '../wire/icmp.js';
import { Protocol } from '../wire/ipv6.js';
import type { EchoRequest } from './echo.js';
import { Begin, type IpOutput } from './ip-output.js';
import type { IpPath, PathRequest } from './path.js';

interface SenderParts {
  readonly stats: StackStats;
  readonly output: IpOutput;
  resolve(request: PathRequest): IpPath;
}

export class EchoSender {
  readonly #parts: SenderParts;

  constructor(parts: SenderParts) {
    this.#parts = parts;
  }

  /**
   * @returns '' once it is queued, or why it is not: the path's error, `EMSGSIZE`, or `ENOBUFS` while the
   * link is full
   * @throws ArgumentTypeError, ArgumentRangeError for fields that can never be right
   */
  send(request: EchoRequest): string {
    check('identifier', request.identifier);
    check('sequence', request.sequence);
    if (!(request.payload instanceof Uint8Array)) throw new ArgumentTypeError('payload must be a Uint8Array');
    const four = request.destination.family === 4;
    const path = this.#parts.resolve({ ...request, protocol: four ? Protocol.Icmp : Protocol.Icmpv6 });
    if (path.unusable !== '') return path.unusable;
    if (request.hopLimit !== undefined) path.hopLimit = request.hopLimit;
    path.dontFragment = request.dontFragment ?? false;
    const length = ICMP_HEADER_BYTES + request.payload.length;
    if (path.dontFragment && length > path.maxTransportBytes) return 'EMSGSIZE';
    const { output, stats } = this.#parts;
    const began = output.begin(path, length);
    if (began !== Begin.Ok) return began === Begin.Full ? 'ENOBUFS' : 'EMSGSIZE';
    const { view, bytes, at } = output.out;
    view.setInt32(at, (four ? Icmp4Type.Echo : Icmp6Type.Echo) << 24);
    view.setUint16(at + 4, request.identifier);
    view.setUint16(at + 6, request.sequence);
    bytes.set(request.payload, at + ICMP_HEADER_BYTES);
    if (four) view.setUint16(at + 2, finishChecksum(sumBytes(view, at, length)));
    output.commit(path, length, four ? -1 : 2);
    stats.icmp.outMsgs++;
    stats.icmp.outEchos++;
    return '';
  }
}

function check(name: string, value: number): void {
  if (!Number.isInteger(value) || value < 0 || value > 0xffff) {
    throw new ArgumentRangeError(`${name} of an echo request must be 0 .. 65535, not ${value}`);
  }
}
