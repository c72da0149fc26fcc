/** What this machine and this user have of what a stack may need. Nothing is changed by looking. */
import { accessSync, constants, existsSync, readFileSync, statSync } from 'node:fs';
import { release } from 'node:os';
import { delimiter, join } from 'node:path';
import { type NativeAddon, nativeAddon } from '../../link/tun-addon.js';
import { openPrivateTun } from '../../link/tun-private.js';
import type { CommandContext } from '../frame/context.js';
import { anyObstacle } from '../network/obstacle.js';

export interface Facts {
  readonly tunstack: string;
  readonly node: string;
  readonly platform: string;
  readonly kernel: string;
  readonly user: { readonly uid: number; readonly capNetAdmin: boolean };
  readonly addon: AddonFacts;
  readonly tunDevice: { readonly exists: boolean; readonly mode?: string; readonly open: boolean };
  readonly programs: Readonly<Record<string, string | null>>;
  /** Settings of the system about namespaces of ordinary users, as far as it has them. */
  readonly userNamespaces: Readonly<Record<string, number>>;
  readonly privateNamespace: PrivateFacts;
}

export interface AddonFacts {
  readonly loads: boolean;
  readonly path?: string;
  /** Came with the package, and was not compiled here. */
  readonly prebuilt?: boolean;
  /** Of the processor's instructions, what sums checksums. */
  readonly checksums?: string;
  readonly problem?: string;
}

/** What came of making one, with a TUN inside. */
export interface PrivateFacts {
  readonly works: boolean;
  readonly mode?: 'root' | 'user';
  readonly offloads?: Readonly<Record<string, boolean>>;
  readonly problem?: string;
}

/** Variants of the checksum, the fastest first: the addon takes the first it has. */
const FASTEST = ['avx2', 'neon', 'sse2', 'plain'];

const CAP_NET_ADMIN = 12;
const SETTINGS: Readonly<Record<string, string>> = {
  maxUserNamespaces: '/proc/sys/user/max_user_namespaces',
  maxNetNamespaces: '/proc/sys/user/max_net_namespaces',
  unprivilegedUsernsClone: '/proc/sys/kernel/unprivileged_userns_clone',
  apparmorRestrictUnprivilegedUserns: '/proc/sys/kernel/apparmor_restrict_unprivileged_userns',
};

/** Looks. What it makes to see whether that works is taken back, also where it is interrupted. */
export async function gatherFacts(context: CommandContext): Promise<Facts> {
  return {
    tunstack: context.version,
    node: process.version,
    platform: `${process.platform}-${process.arch}`,
    kernel: release(),
    user: { uid: process.getuid?.() ?? -1, capNetAdmin: hasCapability(CAP_NET_ADMIN) },
    addon: addonFacts(),
    tunDevice: deviceFacts('/dev/net/tun'),
    programs: { unshare: find('unshare'), nsenter: find('nsenter') },
    userNamespaces: settings(),
    privateNamespace: await privateFacts(context),
  };
}

function addonFacts(): AddonFacts {
  let addon: NativeAddon;
  try {
    addon = nativeAddon();
  } catch (error) {
    return { loads: false, problem: (error as Error).message };
  }
  const { path, checksums } = addon;
  const kind = FASTEST.find((name) => name in checksums);
  return {
    loads: true,
    path,
    prebuilt: path.includes('prebuilds'),
    ...(kind === undefined ? {} : { checksums: kind }),
  };
}

function deviceFacts(path: string): Facts['tunDevice'] {
  if (!existsSync(path)) return { exists: false, open: false };
  const mode = `0${(statSync(path).mode & 0o777).toString(8)}`;
  try {
    accessSync(path, constants.R_OK | constants.W_OK);
    return { exists: true, mode, open: true };
  } catch {
    return { exists: true, mode, open: false };
  }
}

/** Where a program is; also where an ordinary user's PATH may not lead. */
function find(program: string): string | null {
  const places = [...(process.env.PATH ?? '').split(delimiter), '/usr/bin', '/bin', '/usr/sbin', '/sbin'];
  const found = places.find((place) => place !== '' && existsSync(join(place, program)));
  return found === undefined ? null : join(found, program);
}

function settings(): Record<string, number> {
  const found: Record<string, number> = {};
  for (const [name, path] of Object.entries(SETTINGS)) {
    try {
      found[name] = Number(readFileSync(path, 'utf8'));
    } catch {
      // This system has no such setting.
    }
  }
  return found;
}

function hasCapability(bit: number): boolean {
  try {
    const [, effective] = /^CapEff:\s*([0-9a-f]+)$/m.exec(readFileSync('/proc/self/status', 'utf8')) ?? [];
    return effective !== undefined && ((BigInt(`0x${effective}`) >> BigInt(bit)) & 1n) === 1n;
  } catch {
    return false;
  }
}

async function privateFacts(context: CommandContext): Promise<PrivateFacts> {
  try {
    const tun = await context.acquire(openPrivateTun({ name: 'tun0' }), (opened) => opened.close());
    const { offloads } = tun.device;
    await tun.close();
    // Opened without it, but no program gets in.
    if (find('nsenter') === null)
      return { works: false, problem: 'the program nsenter (util-linux) is not installed' };
    return { works: true, mode: process.getuid?.() === 0 ? 'root' : 'user', offloads: { ...offloads } };
  } catch (error) {
    return { works: false, problem: anyObstacle(error) };
  }
}
