/** `tunstack info`: what will work here, and what not and why. */
import type { CommandContext } from '../frame/context.js';
import { type Facts, gatherFacts } from './facts.js';

/** Something the package can do, if the machine and the user let it. */
interface Ability {
  readonly name: string;
  readonly works: boolean;
  /** Why not, or how. */
  readonly because: string;
}

export async function info(context: CommandContext): Promise<void> {
  const { output } = context;
  const facts = await gatherFacts(context);
  const abilities = abilitiesOf(facts);
  output.json({ ...facts, abilities });
  for (const [name, text] of rowsOf(facts)) output.line(`${name.padEnd(18)} ${text}`);
  output.line();
  for (const { name, works, because } of abilities) {
    const mark = works ? output.paint('green', 'yes') : output.paint('red', 'no ');
    output.line(`${mark}  ${name}${because === '' ? '' : `: ${because}`}`);
  }
}

/** Settings as people know them, in a column. */
const SETTING_NAMES: Readonly<Record<string, string>> = {
  maxUserNamespaces: 'user namespaces',
  maxNetNamespaces: 'network namespaces',
  unprivilegedUsernsClone: 'userns_clone',
  apparmorRestrictUnprivilegedUserns: 'apparmor restricts',
};

function rowsOf(facts: Facts): ReadonlyArray<readonly [name: string, text: string]> {
  const { addon, tunDevice, user, programs, userNamespaces, privateNamespace } = facts;
  const offloads = Object.entries(privateNamespace.offloads ?? {}).filter(([, has]) => has);
  const device = tunDevice.open ? 'may be opened' : 'is closed to this user';
  return [
    ['tunstack', facts.tunstack],
    ['Node', `${facts.node}, ${facts.platform}`],
    ['kernel', facts.kernel],
    ['user', `${user.uid}, ${user.capNetAdmin ? 'with' : 'without'} CAP_NET_ADMIN`],
    [
      'addon',
      addon.loads ? `${addon.path}${addon.prebuilt ? ', prebuilt' : ', compiled here'}` : 'does not load',
    ],
    ['checksums', addon.checksums ?? 'in TypeScript'],
    ['/dev/net/tun', tunDevice.exists ? `mode ${tunDevice.mode}, ${device}` : 'is not there'],
    ...Object.entries(programs).map(([name, path]): [string, string] => [name, path ?? 'is not installed']),
    ...Object.entries(userNamespaces).map(([name, value]): [string, string] => [
      SETTING_NAMES[name] ?? name,
      String(value),
    ]),
    ['offloads', offloads.length === 0 ? 'not known' : offloads.map(([name]) => name).join(', ')],
  ];
}

function abilitiesOf({ addon, privateNamespace, tunDevice, user }: Facts): Ability[] {
  const { works, problem = '', mode } = privateNamespace;
  const ways = !addon.loads
    ? 'the addon does not load (tunstack build-addon)'
    : !tunDevice.exists
      ? 'there is no /dev/net/tun'
      : !tunDevice.open
        ? '/dev/net/tun is closed to this user'
        : user.capNetAdmin
          ? ''
          : 'it needs CAP_NET_ADMIN, or a TUN that was made for this user';
  return [
    {
      name: 'stacks in memory and over links of your own',
      works: true,
      because: 'they need neither the addon nor any right',
    },
    {
      name: "stacks behind the host's sockets (http, nc)",
      works: true,
      because: 'they need no right either',
    },
    { name: 'stacks on a TUN of this network namespace (--tun)', works: ways === '', because: ways },
    {
      name: 'stacks in a network namespace of their own (--private, run, gateway, tun2socks)',
      works,
      because: works ? `tried, as ${mode === 'root' ? 'root' : 'an ordinary user'}` : problem,
    },
  ];
}
