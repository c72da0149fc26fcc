/** The sftp side of a server of ssh2, as far as `scp` asks: files of a directory, read and written. */
import {
  closeSync,
  constants,
  fstatSync,
  openSync,
  readSync,
  type Stats,
  statSync,
  writeSync,
} from 'node:fs';
import { type SFTPWrapper, utils } from 'ssh2';

const { OPEN_MODE, STATUS_CODE } = utils.sftp;

const CREATE = constants.O_WRONLY | constants.O_CREAT;

const attributesOf = ({ mode, uid, gid, size, atimeMs, mtimeMs }: Stats) => ({
  mode,
  uid,
  gid,
  size,
  atime: Math.floor(atimeMs / 1000),
  mtime: Math.floor(mtimeMs / 1000),
});

/** The channel below, whose exit status ssh2 offers for commands only. */
interface Inside {
  readonly _protocol: { exitStatus(channel: number, status: number): void };
  readonly outgoing: { readonly id: number };
}

/** Serves the files below `root`, named by their whole path; every other is not there. */
export function serveFiles(sftp: SFTPWrapper, root: string): void {
  const open = new Set<number>();
  const answer = (request: number, act: () => void): void => {
    try {
      act();
    } catch {
      sftp.status(request, STATUS_CODE.NO_SUCH_FILE);
    }
  };
  const within = (path: string): string => {
    if (path.startsWith(`${root}/`) && !path.includes('..')) return path;
    throw new Error('outside');
  };
  const handleOf = (handle: Buffer): number => {
    const descriptor = handle.readUInt32BE(0);
    if (open.has(descriptor)) return descriptor;
    throw new Error('not open');
  };
  const done = (request: number) => sftp.status(request, STATUS_CODE.OK);
  const stat = (request: number, path: string): void =>
    answer(request, () => sftp.attrs(request, attributesOf(statSync(within(path)))));

  sftp.on('REALPATH', (request, path) => {
    sftp.name(request, [{ filename: path, longname: path, attrs: {} as never }]);
  });
  sftp.on('STAT', stat).on('LSTAT', stat);
  sftp.on('SETSTAT', done).on('FSETSTAT', done);
  sftp.on('FSTAT', (request, handle) =>
    answer(request, () => sftp.attrs(request, attributesOf(fstatSync(handleOf(handle))))),
  );
  sftp.on('OPEN', (request, path, flags) =>
    answer(request, () => {
      const descriptor = openSync(within(path), (flags & OPEN_MODE.WRITE) === 0 ? 'r' : CREATE);
      open.add(descriptor);
      const handle = Buffer.alloc(4);
      handle.writeUInt32BE(descriptor);
      sftp.handle(request, handle);
    }),
  );
  sftp.on('READ', (request, handle, offset, length) =>
    answer(request, () => {
      const buffer = Buffer.alloc(length);
      const bytes = readSync(handleOf(handle), buffer, 0, length, offset);
      if (bytes === 0) sftp.status(request, STATUS_CODE.EOF);
      else sftp.data(request, buffer.subarray(0, bytes));
    }),
  );
  sftp.on('WRITE', (request, handle, offset, data) =>
    answer(request, () => {
      writeSync(handleOf(handle), data, 0, data.length, offset);
      done(request);
    }),
  );
  sftp.on('CLOSE', (request, handle) =>
    answer(request, () => {
      const descriptor = handleOf(handle);
      open.delete(descriptor);
      closeSync(descriptor);
      done(request);
    }),
  );
  sftp.once('end', () => {
    for (const descriptor of open) closeSync(descriptor);
    open.clear();
    // Its client has half-closed, and waits for our end; without a status it would call that a failure.
    const { _protocol: protocol, outgoing } = sftp as unknown as Inside;
    protocol.exitStatus(outgoing.id, 0);
    sftp.end();
  });
}
