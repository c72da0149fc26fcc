/** `tunstack completions`. */
import { loadCommands } from '../registry.js';
import { bashCompletions } from './bash.js';
import { fishCompletions } from './fish.js';
import { wordsOf } from './words.js';
import { zshCompletions } from './zsh.js';

/** The script for `bash`, `zsh` or `fish`. */
export async function completions(shell: string): Promise<string> {
  const words = (await loadCommands()).map(wordsOf);
  if (shell === 'bash') return bashCompletions(words);
  return shell === 'zsh' ? zshCompletions(words) : fishCompletions(words);
}
