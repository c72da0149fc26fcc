/** What `tunstack build-addon` is. */
import type { CommandSpec } from '../frame/spec.js';

export const command: CommandSpec<{ readonly debug: boolean }> = {
  name: 'build-addon',
  summary: 'compile the addon, where no prebuilt one fits',
  description: [
    'Compiles the addon for this Node and this system, where the package is installed. Opening a TUN needs the ' +
      'addon; everything else works without. It needs a C++ compiler, make and Python 3.',
  ],
  options: [
    {
      flags: '--debug',
      description: 'without optimisation, with assertions; TUNSTACK_ADDON names it where it is wanted',
    },
  ],
  examples: [
    { command: 'npx tunstack build-addon', description: 'Compile it in the project it is installed in:' },
  ],
  async action({ options, packageRoot }) {
    const { buildAddon } = await import('../build-addon.js');
    return buildAddon(packageRoot, options.debug);
  },
};
