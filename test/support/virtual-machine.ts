/**
 * A virtual machine for tests: QEMU, which emulates the processor, with a kernel of the distribution and busybox on it.
 * It needs no right and no image: its file system is made here. What it finds comes over its serial console.
 */
import { accessSync, constants, existsSync, readdirSync, readFileSync, writeFileSync } from 'node:fs';
import { basename, join } from 'node:path';
import { Child, installed, type Outcome } from './child.js';
import { characterDevice, file, folder, type InitramfsEntry, initramfs } from './initramfs.js';
import { Unavailable } from './skip.js';

const QEMU = 'qemu-system-x86_64';
const BUSYBOX = '/bin/busybox';
/** What a network card needs that not every kernel has built in. */
const MODULES = ['virtio_pci', 'virtio_net', 'af_packet', 'ipv6'];

/** Mounts, modules, cards; then the test's script; then it turns itself off. */
const INIT = `#!/bin/busybox sh
/bin/busybox mount -t proc proc /proc
/bin/busybox --install -s /bin
export PATH=/bin
mount -t sysfs sys /sys
mount -t devtmpfs dev /dev
for module in /modules/*; do insmod $module; done
for link in /sys/class/net/*; do ip link set \${link##*/} up; done
say() { echo "@$*"; }
. /script
poweroff -f
`;

export interface MachineOptions {
  /** What its cards, `eth0` and on, are plugged into: QEMU's `-netdev`, without an `id`. */
  readonly networks: readonly string[];
  /** A folder for what it is started from. */
  readonly folder: string;
  /** Shell that busybox runs. `say name value` tells the test something. */
  readonly script: string;
  /** Further files, by path. */
  readonly files?: Readonly<Record<string, string>>;
  /** It is ended after this long. */
  readonly limitMs: number;
}

export class VirtualMachine {
  readonly #qemu: Child;

  private constructor(qemu: Child) {
    this.#qemu = qemu;
  }

  /** @throws Unavailable where something it consists of is not installed */
  static async boot(options: MachineOptions): Promise<VirtualMachine> {
    if (process.arch !== 'x64') throw new Unavailable(`no kernel for ${QEMU} on this architecture`);
    if (!(await installed(QEMU))) throw new Unavailable(`${QEMU} is not installed`);
    const kernel = findKernel();
    const initrd = join(options.folder, 'initrd');
    writeFileSync(initrd, fileSystem(kernel, options));
    const line = [
      ['-machine', 'pc', '-accel', 'tcg', '-cpu', 'qemu64', '-m', '256'],
      ['-nodefaults', '-no-user-config', '-no-reboot', '-display', 'none', '-serial', 'stdio'],
      ['-kernel', kernel.image, '-initrd', initrd],
      ['-append', 'console=ttyS0 quiet loglevel=1 panic=-1 mitigations=off random.trust_cpu=on'],
      ...options.networks.map((network, i) => ['-netdev', `${network},id=n${i}`]),
      ...options.networks.map((_, i) => ['-device', `virtio-net-pci,netdev=n${i},romfile=`]),
    ].flat();
    return new VirtualMachine(new Child(QEMU, line, { limitMs: options.limitMs }));
  }

  /** What the script says under a name. @throws Error when the machine ends without */
  async says(name: string): Promise<string> {
    const [, value] = await this.#qemu.output(new RegExp(`^@${name}(?: (.*?))?\\r?\\n`, 'm'));
    return value ?? '';
  }

  /** How it ended. */
  get ended(): Promise<Outcome> {
    return this.#qemu.ended;
  }

  kill(): Promise<void> {
    return this.#qemu.kill();
  }
}

interface Kernel {
  readonly image: string;
  /** Modules for the card, each behind those that it needs. */
  readonly modules: readonly string[];
}

/**
 * The kernel that `scripts/vm-kernel.sh` has unpacked, or one of this system.
 * @throws Unavailable where there is none
 */
function findKernel(): Kernel {
  for (const root of ['build-vm', '/']) {
    const boot = join(root, 'boot');
    const images = existsSync(boot) ? readdirSync(boot).filter((name) => name.startsWith('vmlinuz-')) : [];
    for (const name of images) {
      const image = join(boot, name);
      const modules = modulesOf(join(root, 'lib/modules', name.slice('vmlinuz-'.length)));
      if (modules !== undefined && isReadable(image)) return { image, modules };
    }
  }
  throw new Unavailable('no kernel for a virtual machine: scripts/vm-kernel.sh fetches one');
}

/** Paths of what the card needs, or undefined where the kernel has no such card. */
function modulesOf(directory: string): string[] | undefined {
  if (!existsSync(directory)) return undefined;
  const paths = readdirSync(directory, { recursive: true, encoding: 'utf8' })
    .filter((name) => name.endsWith('.ko'))
    .map((name) => join(directory, name));
  const byName = new Map(paths.map((path) => [moduleName(path), path]));
  const builtIn = join(directory, 'modules.builtin');
  const isBuiltIn = existsSync(builtIn) && readFileSync(builtIn, 'utf8').includes('/virtio_net.ko');
  if (!byName.has('virtio_net') && !isBuiltIn) return undefined;
  const found = new Set<string>();
  for (const name of MODULES) addModule(name, byName, found);
  return [...found];
}

const moduleName = (path: string): string => basename(path, '.ko').replaceAll('-', '_');

/** What is not there as a file is built in. */
function addModule(name: string, byName: ReadonlyMap<string, string>, found: Set<string>): void {
  const path = byName.get(name);
  if (path === undefined || found.has(path)) return;
  const [, needs = ''] = /\0depends=([^\0]*)\0/.exec(readFileSync(path, 'latin1')) ?? [];
  for (const need of needs.split(',')) addModule(need, byName, found);
  found.add(path);
}

function isReadable(path: string): boolean {
  try {
    accessSync(path, constants.R_OK);
    return true;
  } catch {
    return false;
  }
}

/** ELF's segment that names a loader. Only what needs libraries has one. */
const PT_INTERP = 3;

function needsLibraries(program: Buffer): boolean {
  const headersAt = Number(program.readBigUInt64LE(32));
  const [headerBytes, count] = [program.readUInt16LE(54), program.readUInt16LE(56)];
  for (let i = 0; i < count; i++) {
    if (program.readUInt32LE(headersAt + i * headerBytes) === PT_INTERP) return true;
  }
  return false;
}

/** @throws Unavailable where busybox needs libraries, or is not there */
function fileSystem(kernel: Kernel, options: MachineOptions): Buffer {
  if (!existsSync(BUSYBOX)) throw new Unavailable('busybox is not installed');
  const busybox = readFileSync(BUSYBOX);
  if (needsLibraries(busybox)) throw new Unavailable('busybox is not the static one');
  const entries: InitramfsEntry[] = [
    ...['bin', 'dev', 'modules', 'proc', 'sys'].map(folder),
    characterDevice('dev/console', 5, 1),
    file('bin/busybox', busybox),
    file('init', INIT),
    file('script', options.script),
    ...Object.entries(options.files ?? {}).map(([path, text]) => file(path, text)),
    // Named so that the shell lists them in this order.
    ...kernel.modules.map((path, i) => file(`modules/${String(i).padStart(2, '0')}.ko`, readFileSync(path))),
  ];
  return initramfs(entries);
}
