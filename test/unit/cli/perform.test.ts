/** What holds for each command, however it ends. */
import { expect } from 'chai';
import { UsageError } from '../../../lib/cli/frame/errors.js';
import { perform } from '../../../lib/cli/frame/perform.js';
import type { CommandSpec } from '../../../lib/cli/frame/spec.js';

/** Runs an action as a command of its own. @returns its status, and what it said on standard error */
async function performed(
  spec: Pick<CommandSpec, 'action'> & Partial<CommandSpec>,
): Promise<{ status: number; said: string }> {
  const whole: CommandSpec = { name: 'try', summary: '', description: [], examples: [], ...spec };
  const { write } = process.stderr;
  let said = '';
  process.stderr.write = (text: string): boolean => {
    said += text;
    return true;
  };
  try {
    const status = await perform(whole, { args: [], options: {} }, { version: '0', root: '/' });
    return { status, said };
  } finally {
    process.stderr.write = write;
  }
}

/** Rejects, as what people throw may be no Error. */
const lose = Promise.reject.bind(Promise) as (reason: unknown) => Promise<never>;
const interrupt = (): boolean => process.kill(process.pid, 'SIGTERM');

describe('the end of a command', () => {
  it('has the status of what it threw, and a sentence', async () => {
    const wrong = await performed({
      action: () => {
        throw new UsageError('this is\nwrong');
      },
    });
    expect(wrong).to.deep.equal({ status: 2, said: 'tunstack try: this is; wrong.\n' });
    const failed = await performed({ failureStatus: 7, action: () => Promise.reject(new Error('no!')) });
    expect(failed).to.deep.equal({ status: 7, said: 'tunstack try: no!\n' });
  });

  it('comes by what nobody catches, whatever it is', async () => {
    for (const thrown of [new Error('lost'), undefined, 'a word']) {
      const { status, said } = await performed({
        action: () => {
          void lose(thrown);
          return new Promise<void>(() => {});
        },
      });
      expect([status, said]).to.deep.equal([
        1,
        `tunstack try: ${thrown instanceof Error ? 'lost' : String(thrown)}.\n`,
      ]);
    }
  });

  it('comes at once by a signal, and its clean-ups run', async () => {
    let ran = false;
    const { status, said } = await performed({
      action: (context) => {
        context.defer(() => {
          ran = true;
        });
        interrupt();
        return new Promise<void>(() => {});
      },
    });
    expect([status, said, ran]).to.deep.equal([143, '', true]);
  });

  it('is told of what could not be put back, also after a signal', async () => {
    const { status, said } = await performed({
      action: (context) => {
        context.defer(() => Promise.reject(new Error('the address stays')));
        interrupt();
        return new Promise<void>(() => {});
      },
    });
    expect([status, said]).to.deep.equal([143, 'tunstack try: the address stays.\n']);
  });

  it('waits for what ends itself, until there is a second signal', async () => {
    let ran = false;
    const { status } = await performed({
      endsItself: true,
      action: (context) => {
        context.defer(() => {
          ran = true;
        });
        interrupt();
        // It takes its time; whoever insists does not.
        context.signal.addEventListener('abort', () => interrupt());
        return new Promise<void>(() => {});
      },
    });
    expect([status, ran]).to.deep.equal([143, true]);
  });

  it('has its own status where it ends itself after a signal', async () => {
    const { status, said } = await performed({
      endsItself: true,
      action: async (context) => {
        interrupt();
        await context.interrupted();
        return 5;
      },
    });
    expect([status, said]).to.deep.equal([5, '']);
  });
});
