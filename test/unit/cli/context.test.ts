import { expect } from 'chai';
import { CommandContext } from '../../../lib/cli/frame/context.js';
import { Output } from '../../../lib/cli/frame/output.js';

function newContext(signal = new AbortController().signal): CommandContext {
  const { stdout, stderr } = process;
  const output = new Output({ stdout, stderr, isJson: false, color: false });
  return new CommandContext({
    options: {},
    args: [],
    version: '0',
    packageRoot: '/',
    output,
    signal,
    lendTerminal: () => () => {},
  });
}

describe('clean-ups of a command', () => {
  it('run in reverse, each after the one before has ended', async () => {
    const context = newContext();
    const told: string[] = [];
    context.defer(() => {
      told.push('first');
    });
    context.defer(async () => {
      await Promise.resolve();
      told.push('second');
    });
    expect(await context.cleanUp()).to.deep.equal([]);
    expect(told).to.deep.equal(['second', 'first']);
  });

  it('all run, whatever fails, and run once', async () => {
    const context = newContext();
    let runs = 0;
    context.defer(() => {
      runs++;
    });
    context.defer(() => Promise.reject(new Error('late')));
    context.defer(() => {
      throw new Error('at once');
    });
    expect((await context.cleanUp()).map(({ message }) => message)).to.deep.equal(['at once', 'late']);
    expect(await context.cleanUp()).to.deep.equal([]);
    expect(runs).to.equal(1);
  });

  it('wait for what is still being opened, and undo it; what fails to open needs no undoing', async () => {
    const context = newContext();
    const told: string[] = [];
    let open: (name: string) => void = () => {};
    const slow = new Promise<string>((resolve) => {
      open = resolve;
    });
    const acquired = context.acquire(slow, (name) => {
      told.push(name);
    });
    const failed = context.acquire(Promise.reject(new Error('no')), () => {
      told.push('never');
    });
    await failed.catch(() => {});
    const cleaned = context.cleanUp();
    open('slow');
    expect([await acquired, await cleaned, told]).to.deep.equal(['slow', [], ['slow']]);
  });

  it('end an action that is interrupted while it opens something', async () => {
    const controller = new AbortController();
    const context = newContext(controller.signal);
    const told: string[] = [];
    const acquired = context.acquire(Promise.resolve('open'), (name) => {
      told.push(name);
    });
    controller.abort(new Error('interrupted'));
    const failure = await acquired.catch((error: Error) => error.message);
    expect([failure, await context.cleanUp(), told]).to.deep.equal(['interrupted', [], ['open']]);
  });

  it('that are given when all is over run at once', async () => {
    const context = newContext();
    await context.cleanUp();
    let ran = false;
    context.defer(() => {
      ran = true;
    });
    expect(ran).to.equal(true);
  });

  it('hear of an interruption before and after it happened', async () => {
    const controller = new AbortController();
    const context = newContext(controller.signal);
    const heard = context.interrupted();
    controller.abort();
    await Promise.all([heard, context.interrupted()]);
  });
});
