/** Runs the events of a script against a stack of its own, in virtual time. */
import { type Alarm, NEVER } from '../../base/clock.js';
import { StackError } from '../../base/errors.js';
import { Stack, type StackOptions } from '../../stack/stack.js';
import type { TcpEndpoint } from '../../stack/tcp-endpoint.js';
import { SeededRandom } from '../seeded-random.js';
import { VirtualClock } from '../virtual-clock.js';
import { AssertionFailure, runAssertions } from './assertions.js';
import { type Machine, Mismatch, Unsupported } from './attempt.js';
import { runCommands } from './commands.js';
import type { Config } from './config.js';
import { Dialogue } from './dialogue.js';
import { PendingCall } from './pending-call.js';
import type { PacketAction, Script, ScriptEvent, SyscallAction } from './script.js';
import { Sockets } from './sockets.js';
import { type Environment, freshEnvironment } from './sysctls.js';
import { tcpInfoValue } from './tcp-info.js';
import { PacketdrillFailure, seconds, Trace } from './trace.js';
import { ScriptedWire } from './wire.js';

/** Not zero, as time is not at zero in service. */
const START_US = 1_000_000_000;
/** The longest a script may wait for anything, µs: a day. */
const PATIENCE_US = 86_400e6;

export interface RunOptions {
  readonly name: string;
  readonly config: Config;
  /** Settings of the stack; those a script sets by commands come on top. */
  readonly stack: Pick<StackOptions, 'tcp' | 'ip'>;
  readonly seed: number;
  /** Packets that no line expects are failures. */
  readonly strict: boolean;
  readonly print: (text: string) => void;
}

export class Run {
  readonly #options: RunOptions;
  readonly #config: Config;
  readonly #clock = new VirtualClock(START_US);
  readonly #wire: ScriptedWire;
  readonly #trace = new Trace();
  readonly #environment: Environment = freshEnvironment();
  readonly #descriptors = new Map<number, number>();
  readonly #wake: Alarm;
  #parts: Parts | undefined;
  #pending: PendingCall | undefined;
  /** The connection `%{ }%` looks at: of the last call, or of what was accepted last. */
  #observed: TcpEndpoint | undefined;
  #event: ScriptEvent | undefined;
  #lastUs = 0;

  constructor(options: RunOptions) {
    this.#options = options;
    this.#config = options.config;
    if (options.config.mssBytes > 0) this.#environment.connection.maxSegmentBytes = options.config.mssBytes;
    this.#wire = new ScriptedWire(this.#clock, options.config.mtu);
    this.#wake = this.#clock.createAlarm(() => this.#pending?.tryAgain());
  }

  /** @throws PacketdrillFailure */
  run(script: Script): void {
    try {
      for (const { command, line } of script.commands) {
        this.#trace.event(line, `\`${command}\``);
        runCommands(command, this.#environment);
      }
      for (const event of script.events) this.#runEvent(event);
      this.#awaitCall();
      this.#checkExtra(NEVER);
    } catch (error) {
      throw this.#explain(error, script.commands.at(-1)?.line ?? 1);
    } finally {
      this.#parts?.stack.close();
    }
  }

  /** Virtual time since the script began, µs. */
  get elapsedUs(): number {
    return this.#clock.nowUs() - START_US;
  }

  #runEvent(event: ScriptEvent): void {
    const { action } = event;
    this.#event = event;
    if (action.kind === 'syscall') this.#awaitCall();
    this.#trace.event(event.line, event.text);
    const offsetUs = event.time.kind === 'relative' ? this.#lastUs : 0;
    const fromUs = event.time.fromUs + offsetUs;
    if (action.kind === 'packet' && action.isOutbound) {
      this.#takePacket(action, event, { fromUs, toUs: event.time.toUs + offsetUs });
    } else {
      if (event.time.kind !== 'any') this.#advanceTo(fromUs);
      this.#act(event, offsetUs);
      this.#settle();
    }
    this.#lastUs = this.elapsedUs;
    this.#pending?.rethrow();
  }

  #act({ action }: ScriptEvent, offsetUs: number): void {
    switch (action.kind) {
      case 'packet':
        this.#trace.happened(this.elapsedUs, '');
        this.#get().dialogue.inject(action.packet);
        break;
      case 'syscall':
        this.#call(action, offsetUs);
        break;
      case 'command':
        runCommands(action.command, this.#environment);
        break;
      default:
        runAssertions(action.code, {
          lookUp: (name) => tcpInfoValue(this.#observed, name),
          print: this.#options.print,
        });
    }
  }

  // ---- time -------------------------------------------------------------------------------------

  #advanceTo(atUs: number): void {
    const nowUs = this.elapsedUs;
    if (atUs < nowUs - this.#config.toleranceUs) {
      throw new Mismatch('the time is over already', seconds(atUs), seconds(nowUs));
    }
    if (atUs <= nowUs) return;
    this.#checkExtra(atUs);
    this.#clock.advanceTo(START_US + atUs);
    this.#checkExtra(atUs);
  }

  #settle(): void {
    this.#clock.advanceBy(0);
    this.#pending?.tryAgain();
  }

  /** Strictly, everything sent before `untilUs` must have been expected. */
  #checkExtra(untilUs: number): void {
    const [extra] = this.#wire.sent;
    if (!this.#options.strict || extra === undefined || extra.atUs - START_US >= untilUs) return;
    throw new Mismatch('a packet no line expects', 'nothing', this.#parts?.dialogue.describe(extra) ?? '');
  }

  // ---- packets ----------------------------------------------------------------------------------

  #takePacket(action: PacketAction, event: ScriptEvent, due: { fromUs: number; toUs: number }): void {
    const { dialogue } = this.#get();
    const isTimed = event.time.kind !== 'any';
    const limitUs = isTimed ? due.toUs + this.#config.toleranceUs : this.elapsedUs + PATIENCE_US;
    const { sent } = this.#wire;
    while (sent.length === 0 && this.#clock.nextUs <= START_US + limitUs) this.#clock.step();
    if (sent.length === 0) {
      if (isTimed) this.#clock.advanceTo(Math.max(this.#clock.nowUs(), START_US + limitUs));
      throw new Mismatch(
        'nothing was sent',
        dialogue.expected(action.packet),
        `nothing until ${seconds(this.elapsedUs)}`,
      );
    }
    const taken = dialogue.take(action.packet);
    const atUs = taken.atUs - START_US;
    this.#trace.happened(atUs, taken.text);
    if (taken.differences !== '') {
      throw new Mismatch(`the packet differs: ${taken.differences}`, taken.expected, taken.text);
    }
    if (!isTimed) return;
    const { toleranceUs } = this.#config;
    if (atUs >= due.fromUs - toleranceUs && atUs <= due.toUs + toleranceUs) return;
    const range = due.toUs > due.fromUs ? `${seconds(due.fromUs)}~${seconds(due.toUs)}` : seconds(due.fromUs);
    throw new Mismatch('the packet left at another time', `at ${range}`, `at ${seconds(atUs)}`);
  }

  // ---- calls ------------------------------------------------------------------------------------

  #call(action: SyscallAction, offsetUs: number): void {
    const { machine, dialogue } = this.#get();
    const endUs = action.endUs === undefined ? undefined : action.endUs + offsetUs;
    const call = new PendingCall(action, machine, {
      nowUs: () => this.elapsedUs,
      done: (answer, openedFd) => {
        this.#trace.happened(this.elapsedUs, answer);
        const fd = openedFd ?? call.descriptor;
        const socket = fd === undefined ? undefined : machine.sockets.find(fd);
        if (socket?.endpoint !== undefined) this.#observed = socket.endpoint;
        if (action.name === 'close') dialogue.released();
        if (socket?.listener !== undefined) dialogue.listensAt(socket.listener.localPort);
      },
    });
    this.#pending = call;
    call.begin(endUs, this.#config.toleranceUs);
    const endpoint =
      call.descriptor === undefined ? undefined : machine.sockets.find(call.descriptor)?.endpoint;
    if (endpoint !== undefined) this.#observed = endpoint;
    if (endpoint !== undefined && stateName(endpoint) === 'SYN-SENT') dialogue.connects(endpoint);
    if (call.isDone) this.#pending = undefined;
  }

  /** A call that blocks must have returned before the next is made. */
  #awaitCall(): void {
    const call = this.#pending;
    if (call === undefined) return;
    call.rethrow();
    const limitUs = call.limitUs - this.elapsedUs;
    if (!call.isDone && limitUs >= 0) this.#clock.runUntil(() => call.isDone, limitUs);
    call.rethrow();
    if (!call.isDone) throw new Mismatch(`${call.name} still blocks`, call.expectedText, 'nothing');
    this.#pending = undefined;
  }

  // ---- the parts --------------------------------------------------------------------------------

  /** The stack and what is around it, made when the first event needs it. */
  #get(): Parts {
    this.#parts ??= this.#make();
    return this.#parts;
  }

  #make(): Parts {
    const { stack: given, seed } = this.#options;
    const { local, remote, bindPort, connectPort, ipVersion } = this.#config;
    this.#environment.isStarted = true;
    const stack = new Stack({
      clock: this.#clock,
      random: new SeededRandom(seed),
      ...(given.ip === undefined ? {} : { ip: given.ip }),
      tcp: { ...given.tcp, ...this.#environment.layer },
    });
    stack.addLink(this.#wire, {
      addresses: [`${local}/${local.family === 4 ? 16 : 64}`],
      defaultRoute: true,
    });
    const sockets = new Sockets(stack);
    sockets.onChange = () => this.#pending?.tryAgain();
    const machine: Machine = {
      sockets,
      family: ipVersion === 'ipv4' ? 4 : 6,
      local: { address: local, port: bindPort },
      remote: { address: remote, port: connectPort },
      descriptors: this.#descriptors,
      settings: () => ({ ...this.#environment.connection }),
      nowUs: () => this.#clock.nowUs(),
      wakeAt: (timeUs) => this.#wake.setAt(timeUs),
    };
    return { stack, machine, dialogue: new Dialogue(this.#wire, this.#config) };
  }

  #explain(error: unknown, line: number): unknown {
    if (error instanceof PacketdrillFailure) return error;
    const known =
      error instanceof Mismatch ||
      error instanceof Unsupported ||
      error instanceof AssertionFailure ||
      error instanceof StackError;
    if (!known) return error;
    const [expected, actual] = error instanceof Mismatch ? [error.expected, error.actual] : ['', ''];
    this.#trace.failed();
    const waiting = this.#wire.sent.map((packet) => this.#parts?.dialogue.describe(packet) ?? '');
    return new PacketdrillFailure(error.message, {
      name: this.#options.name,
      line: this.#event?.line ?? line,
      expected,
      actual,
      trace: this.#trace.format(waiting),
    });
  }
}

const stateName = (endpoint: TcpEndpoint): string => endpoint.info.state;

interface Parts {
  readonly stack: Stack;
  readonly machine: Machine;
  readonly dialogue: Dialogue;
}
