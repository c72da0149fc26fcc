import { expect } from 'chai';
import { CommandContext } from '../../../lib/cli/frame/context.js';
import { Output } from '../../../lib/cli/frame/output.js';

function newContext(signal = new AbortController().signal): CommandContext {
  const { stdout, stderr } = process;
  const output = new Output({ stdout, stderr, isJson: false, color: false });
  return new CommandContext({ options: {}, args: [], version: '0', packageRoot: '/', output, signal });
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

  it('hear of an interruption before and after it happened', async () => {
    const controller = new AbortController();
    const context = newContext(controller.signal);
    const heard = context.interrupted();
    controller.abort();
    await Promise.all([heard, context.interrupted()]);
  });
});
