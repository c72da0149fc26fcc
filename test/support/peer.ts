/**
 * A scripted peer: the other end of one TCP connection of a `Stack`, in virtual time. What the peer sends,
 * and what the stack must answer, stands in the test as lines in packetdrill's notation:
 *
 *     const peer = Peer.established({ mss: 1000 }).wrote(4000);
 *     peer.send('< . 1:1(0) ack 1 win 65535 <sack 1001:2001>');
 *     peer.send('< . 1:1(0) ack 1 win 65535 <sack 1001:3001>');
 *     peer.send('< . 1:1(0) ack 1 win 65535 <sack 1001:4001>');
 *     peer.expect('> . 1:1001(1000) ack 1');
 *
 * **Where it begins.** `Peer.closed()` has a stack on which nobody listens, `Peer.listening()` a listener,
 * `Peer.connecting()` a stack that has sent a SYN (to be expected), `Peer.established()` a connection whose
 * handshake is done, `Peer.in(state)` one in any of the eleven states, with everything sent on the way there
 * already taken. By default the stack is the server, at port 80, and the peer connects from port 40000; with
 * `role: 'client'` the stack connects. `ipv6: true` changes the family and nothing else. `PeerOptions` lists
 * the rest: options of the stack, of its link, of the peer's SYN.
 *
 * **Lines.** Sequence numbers are relative: the first byte of either side is 1, also behind a SYN that has
 * not been seen yet (ISS 0 until the stack's SYN is seen, so numbers in an RST from CLOSED are absolute).
 * Windows are fields as on the wire, unscaled. Timestamps are printed so that the stack's TSval is the
 * virtual time in ms since the scenario began and the peer's is that plus 1000. Signs of direction are
 * optional. A super-packet, of a link with `offload: true`, is one line.
 *
 * `send` takes a line literally, but for what is left out: `win` is 65535; and where timestamps were
 * negotiated and the options do not name `TS`, the right ones are put in front (`<>` sends none). The text
 * is made up, each byte following from its place in the stream. `SendFields` has everything that a line has
 * no words for: IP fields, options of IP, wrong checksums, other ports.
 *
 * `expect` takes the oldest segment that was not yet taken and compares flags, sequence number and length;
 * `ack`, `win`, `urg` and the ECN field only where the line has them; options only where the line has `<>`:
 * then each that is named must be there, in that order, whatever others there are (`*` stands for any word,
 * `!sack` for the absence of an option), and `<>` allows none. With `{ strict: true }` the options must be
 * exactly those, padding included. The text of what the stack sends is always compared with what was
 * written, and every packet with the rules of `packet-check.ts` (checksums, reserved bits, padding, MTU).
 *
 * **Time** moves only in `advanceMs`, `stallMs` (the process sleeps: alarms ring late) and
 * `expectAfterMs`. What is due at once has happened when a method returns. The handshake of `established`
 * takes 20 ms, so the smoothed RTT is 20 ms and the RTO 220 ms.
 *
 * **The application's side** is `peer.endpoint`, a `TcpEndpoint`; `write`, `wrote`, `expectRead`, `shutdown`
 * and `close` are short for what tests do most. `peer.takeEvents()` tells what the endpoint's handler heard
 * since it was last asked: `connect`, `readable`, `writable`, `end`, `drain`, `urgent`, `soft CODE`, `close`
 * or `close CODE`. Set `peer.onEvent` to act on events as they happen.
 *
 * When the test ends all is closed, and gauges, alarms and memory must be back at nothing (row I19);
 * nothing needs to be called for this. So open peers inside tests, not in `before`.
 */
import { expect } from 'chai';
import { seqAdd, seqDiff } from '../../lib/base/seq.js';
import type { TcpEndpoint, TcpEndpointHandler } from '../../lib/stack/tcp-endpoint.js';
import type { TcpListenerEndpoint } from '../../lib/stack/tcp-listener-endpoint.js';
import { stateName, TcpState } from '../../lib/tcp/state.js';
import { IpAddress } from '../../lib/wire/ip-address.js';
import { isnDelayUs, withIsnOfRun } from './peer-isn.js';
import { DEFAULT_RTT_MS, type PeerOptions, synOptionsText } from './peer-options.js';
import { enterState, type PeerState } from './peer-states.js';
import { WirePeer } from './peer-wire.js';
import { gaugesOf, ScenarioHost } from './scenario-host.js';

export type { IcmpFields, IcmpKind } from './icmp-packet.js';
export type { PeerOptions, SendFields } from './peer-options.js';
export { PEER_STATES, type PeerState } from './peer-states.js';
export type { SentSegment } from './peer-wire.js';
export { type FamilyChoice, forEachFamily, forEachIsn, type IsnChoice } from './sweeps.js';

export class Peer extends WirePeer {
  listener: TcpListenerEndpoint | undefined;
  /** Hears of each event of the endpoint as it happens. */
  onEvent: (event: string) => void = () => {};
  #endpoint: TcpEndpoint | undefined;
  #events: string[] = [];

  // ---- where it begins --------------------------------------------------------------------------

  /** A stack on which nobody listens. */
  static closed(options: PeerOptions = {}): Peer {
    const chosen = withIsnOfRun(options);
    return new Peer(chosen, new ScenarioHost(chosen, isnDelayUs(chosen, measureIss)));
  }

  /** A stack that listens. */
  static listening(options: PeerOptions = {}): Peer {
    return Peer.closed(options).listen();
  }

  /** A stack that has sent its SYN to the peer. */
  static connecting(options: PeerOptions = {}): Peer {
    return Peer.closed({ ...options, role: 'client' }).connect();
  }

  /** A connection whose handshake is done. */
  static established(options: PeerOptions = {}): Peer {
    return Peer.in('ESTABLISHED', options);
  }

  /**
   * A connection in a state, nothing untaken. Up to ESTABLISHED both sides are at 1; each FIN on the way
   * makes that a 2. `orphan: true` closes where the stack would half-close. SYN-RECEIVED with
   * `role: 'client'` is that of a simultaneous open.
   */
  static in(state: PeerState, options: PeerOptions & { orphan?: boolean } = {}): Peer {
    const peer = enterState(state, options, Peer);
    peer.drain();
    peer.takeEvents();
    return peer;
  }

  /** Another peer on the same stack, with another port or address; connected to nothing yet. */
  another(options: PeerOptions = {}): Peer {
    const port = options.port ?? this.direction.sourcePort + this.host.listeners.length;
    const same = { ...this.options };
    delete same.iss;
    const peer = new Peer({ ...same, port, ...options }, this.host);
    peer.listener = this.listener;
    return peer;
  }

  /** The stack listens on the peer's port of choice. */
  listen(): this {
    const { backlog, accept, options } = this.options;
    this.listener = this.host.listen(this.direction.destinationPort, (endpoint) => this.#route(endpoint), {
      ...(backlog === undefined ? {} : { backlog }),
      ...(accept === undefined ? {} : { accept }),
      ...(options === undefined ? {} : { options }),
    });
    return this;
  }

  /** The stack connects to the peer. */
  connect(): this {
    const { source, sourcePort, destinationPort } = this.direction;
    const { data = 0 } = this.options;
    const endpoint = this.stack.connectTcp({
      address: source,
      port: sourcePort,
      localPort: destinationPort,
      options: this.options.options ?? {},
      ...(data > 0 ? { data: this.incoming.bytes(0, data) } : {}),
    });
    (this.direction as { destinationPort: number }).destinationPort = endpoint.localPort;
    this.adopt(this.host.adopt(endpoint));
    this.host.settle();
    return this;
  }

  /** The peer's SYN, with the options of its settings. */
  sendSyn(): this {
    const stamps = `TS val ${this.tsVal} ecr 0`;
    return this.send(`< S 0:0(0) win ${this.window}${synOptionsText(this.options, stamps)}`);
  }

  /** The peer's three-way handshake with a stack that listens, or its answer to one that connects. */
  handshake(): this {
    const { rttMs = DEFAULT_RTT_MS } = this.options;
    if (this.options.role === 'client') {
      this.drain();
      this.advanceMs(rttMs);
      const stamped = synOptionsText(this.options, `TS val ${this.tsVal} ecr ${this.tsEcr}`);
      return this.send(`< S. 0:0(0) ack 1 win ${this.window}${stamped}`);
    }
    this.reborn().sendSyn().drain();
    this.advanceMs(rttMs);
    return this.send('< . 1:1(0) ack 1');
  }

  // ---- the application's side -------------------------------------------------------------------

  get endpoint(): TcpEndpoint {
    if (this.#endpoint === undefined) throw new Error('the stack has no endpoint for this peer (yet)');
    return this.#endpoint;
  }

  get hasEndpoint(): boolean {
    return this.#endpoint !== undefined;
  }

  /** Accepts the connection that has waited longest; for peers with `accept: false`. */
  accept(): TcpEndpoint {
    const endpoint = this.listener?.accept();
    if (endpoint === undefined) throw new Error('no connection waits to be accepted');
    this.#route(this.host.adopt(endpoint));
    this.host.settle();
    return endpoint;
  }

  /** Makes an endpoint the application's side of this peer. */
  adopt(endpoint: TcpEndpoint): void {
    this.#endpoint = endpoint;
    endpoint.handler = this.#handler();
  }

  /** The application writes so many bytes, or these; all must be admitted. */
  write(what: number | Uint8Array, choice: { urgent?: boolean } = {}): this {
    const position = this.writtenBytes;
    const bytes = typeof what === 'number' ? this.incoming.bytes(position, what) : what;
    if (typeof what !== 'number') this.incoming.choose(position, what);
    this.host.note(`* write ${bytes.length}`);
    const { endpoint } = this;
    const admitted = choice.urgent === true ? endpoint.writeUrgent(bytes) : endpoint.write(bytes);
    expect(admitted, 'bytes admitted by write').to.equal(bytes.length);
    this.host.settle();
    return this;
  }

  /** The application writes up to so many bytes. @returns how many were admitted */
  offer(bytes: number): number {
    const admitted = this.endpoint.write(this.incoming.bytes(this.writtenBytes, bytes));
    this.host.note(`* write ${admitted} of ${bytes}`);
    this.host.settle();
    return admitted;
  }

  /** The application has written so many bytes, and what left of them at once is taken. */
  wrote(what: number | Uint8Array): this {
    this.write(what).drain();
    return this;
  }

  /** The application reads, and must get exactly so many bytes as the peer sent them, or these. */
  expectRead(what: number | Uint8Array): this {
    const { receiver } = this.endpoint.connection;
    const length = typeof what === 'number' ? what : what.length;
    const position = receiver === undefined ? 0 : seqDiff(receiver.buffer.readSequence, receiver.irs) - 1;
    const bytes = new Uint8Array(length + 1);
    const read = this.endpoint.read(bytes);
    this.host.note(`* read ${read}`);
    this.host.settle();
    if (read !== length) this.fail(`${length} bytes to read`, `${read}`);
    if (typeof what !== 'number') expect(bytes.subarray(0, read)).to.deep.equal(what);
    else if (this.outgoing.difference(position >>> 0, bytes.subarray(0, read)) >= 0) {
      this.fail(`the ${length} bytes the peer sent`, 'others');
    }
    return this;
  }

  /** The application reads up to `length` bytes, whatever they are. */
  read(length: number): Uint8Array {
    const bytes = new Uint8Array(length);
    const read = this.endpoint.read(bytes);
    this.host.note(`* read ${read}`);
    this.host.settle();
    return bytes.subarray(0, read);
  }

  /** Half-close: a FIN follows what was written. */
  shutdown(): this {
    this.host.note('* shutdown');
    this.endpoint.shutdown();
    this.host.settle();
    return this;
  }

  /** The application gives the connection up. */
  close(): this {
    this.host.note('* close');
    this.endpoint.close();
    this.host.settle();
    return this;
  }

  /** The application resets the connection. */
  abort(): this {
    this.host.note('* abort');
    this.endpoint.abort();
    this.host.settle();
    return this;
  }

  /** What the endpoint's handler heard since this was last asked. */
  takeEvents(): readonly string[] {
    const events = this.#events;
    this.#events = [];
    return events;
  }

  /** The handler must have heard exactly this since it was last asked. */
  expectEvents(...events: readonly string[]): this {
    expect(this.takeEvents(), `events\ntrace:\n${this.host.trace}`).to.deep.equal(events);
    return this;
  }

  /** The stack's state, as the RFC writes it: LISTEN only while no connection of this peer was accepted. */
  get state(): string {
    const { source, destination, sourcePort, destinationPort } = this.direction;
    const state = this.stack.tcp.stateOf({
      local: IpAddress.parse(destination),
      remote: IpAddress.parse(source),
      localPort: destinationPort,
      remotePort: sourcePort,
    });
    const listens = state === TcpState.CLOSED && this.listener !== undefined && !this.hasEndpoint;
    return stateName(listens ? TcpState.LISTEN : state);
  }

  expectState(state: PeerState): this {
    if (this.state !== state) this.fail(`state ${state}`, this.state);
    return this;
  }

  /** Everything that is zero on a stack without connections. */
  get gauges(): Record<string, number> {
    return gaugesOf(this.stack);
  }

  // ---- within -----------------------------------------------------------------------------------

  protected override get writtenBytes(): number {
    const sender = this.#endpoint?.connection.sender;
    return sender === undefined ? 0 : seqDiff(sender.buffer.end, seqAdd(sender.iss, 1)) >>> 0;
  }

  #route(endpoint: TcpEndpoint): void {
    for (const listener of this.host.listeners) {
      if (!(listener instanceof Peer)) continue;
      const { source, sourcePort } = listener.direction;
      if (source !== String(endpoint.remoteAddress) || sourcePort !== endpoint.remotePort) continue;
      listener.adopt(endpoint);
      return;
    }
  }

  #handler(): TcpEndpointHandler {
    const hear = (event: string): void => {
      this.#events.push(event);
      this.host.note(`* ${event}`);
      this.onEvent(event);
    };
    return {
      onConnect: () => hear('connect'),
      onReadable: () => hear('readable'),
      onWritable: () => hear('writable'),
      onEnd: () => hear('end'),
      onClose: (code) => hear(code === '' ? 'close' : `close ${code}`),
      onUrgent: () => hear('urgent'),
      onSoftError: (code) => hear(`soft ${code}`),
      onDrain: () => hear('drain'),
    };
  }
}

/** The ISS a stack would choose at time zero for such a peer. */
function measureIss(options: PeerOptions): number {
  const peer = options.role === 'client' ? Peer.connecting(options) : Peer.listening(options);
  if (options.role !== 'client') peer.send('< S 0:0(0) win 65535 <mss 1460>');
  const iss = peer.origin.localSequence;
  if (iss === undefined) throw new Error('the stack has sent no SYN');
  peer.stack.close();
  return iss >>> 0;
}
