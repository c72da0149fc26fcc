/** The first file system of a Linux kernel, written as it is read: cpio's format "newc". */

/** A file of it. Folders come before what is in them. */
export interface InitramfsEntry {
  /** Without a slash at its beginning. */
  readonly path: string;
  /** Kind and rights, as `stat` has them. */
  readonly mode: number;
  readonly data?: Uint8Array | undefined;
  /** Of a device. Whoever writes the archive needs no right for it. */
  readonly device?: readonly [major: number, minor: number] | undefined;
}

const NO_BYTES = new Uint8Array(0);

export const folder = (path: string): InitramfsEntry => ({ path, mode: 0o040755 });
export const file = (path: string, data: Uint8Array | string, mode = 0o755): InitramfsEntry => ({
  path,
  mode: 0o100000 | mode,
  data: typeof data === 'string' ? new TextEncoder().encode(data) : data,
});
export const characterDevice = (path: string, major: number, minor: number): InitramfsEntry => ({
  path,
  mode: 0o020600,
  device: [major, minor],
});

/** Heads and contents each end on a multiple of four bytes. */
const aligned = (bytes: Uint8Array): Buffer => Buffer.concat([bytes, Buffer.alloc(-bytes.length & 3)]);

/** Writes the archive. */
export function initramfs(entries: readonly InitramfsEntry[]): Buffer {
  const pieces: Buffer[] = [];
  const all: InitramfsEntry[] = [...entries, { path: 'TRAILER!!!', mode: 0 }];
  for (const [i, entry] of all.entries()) {
    const { path, mode, data = NO_BYTES, device = [0, 0] } = entry;
    const pathBytes = Buffer.byteLength(path) + 1;
    // Inode, mode, user, group, links, time, size, the device it lies on, the device it is, name, checksum.
    const fields = [i + 1, mode, 0, 0, 1, 0, data.length, 0, 0, ...device, pathBytes, 0];
    const head = fields.map((field) => field.toString(16).padStart(8, '0')).join('');
    pieces.push(aligned(Buffer.from(`070701${head}${path}\0`)), aligned(data));
  }
  return Buffer.concat(pieces);
}
