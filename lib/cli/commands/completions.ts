/** What `tunstack completions` is. */
import type { CommandSpec } from '../frame/spec.js';

export const command: CommandSpec = {
  name: 'completions',
  summary: 'print the completions for a shell',
  description: [
    'Prints a script that teaches a shell the commands, their options and what may follow them. bash takes it by ' +
      '"source <(tunstack completions bash)", fish by "tunstack completions fish | source"; for zsh it belongs into a ' +
      'file _tunstack in a directory of $fpath.',
  ],
  arguments: [{ name: 'shell', description: 'which shell', choices: ['bash', 'zsh', 'fish'] }],
  examples: [
    {
      command: 'tunstack completions bash > ~/.local/share/bash-completion/completions/tunstack',
      description: 'For bash, from its next start:',
    },
    { command: 'tunstack completions fish | source', description: 'For this fish:' },
  ],
  async action({ args, output }) {
    const { completions } = await import('../completions/completions.js');
    output.line((await completions(args[0])).trimEnd());
  },
};
