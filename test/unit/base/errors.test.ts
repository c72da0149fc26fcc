import { createSocket } from 'node:dgram';
import { connect, createServer } from 'node:net';
import { expect } from 'chai';
import {
  ArgumentRangeError,
  ArgumentTypeError,
  ArgumentValueError,
  InvariantError,
  invariant,
  StackError,
} from '../../../lib/base/errors.js';

type SystemError = NodeJS.ErrnoException & { address?: string; port?: number };

/** What a caller can see of an error. */
const visible = (error: SystemError): unknown => ({
  text: String(error),
  message: error.message,
  code: error.code,
  errno: error.errno,
  syscall: error.syscall,
  address: error.address,
  port: error.port,
  name: error.name,
  keys: Object.keys(error).sort(),
  isError: error instanceof Error,
});

describe('StackError', () => {
  it('looks like the error of a refused connection that Node makes', async () => {
    const server = createServer().listen(0, '127.0.0.1');
    await new Promise((resolve) => server.once('listening', resolve));
    const { port } = server.address() as { port: number };
    await new Promise((resolve) => server.close(resolve));
    const real = await new Promise<SystemError>((resolve) =>
      connect(port, '127.0.0.1').once('error', resolve),
    );
    expect(visible(new StackError('ECONNREFUSED', 'connect', '127.0.0.1', port))).to.deep.equal(
      visible(real),
    );
  });

  it('looks like the error of a taken port that Node makes, for listen and for bind', async () => {
    const server = createServer().listen(0, '127.0.0.1');
    await new Promise((resolve) => server.once('listening', resolve));
    const { port } = server.address() as { port: number };
    const real = await new Promise<SystemError>((resolve) =>
      createServer().listen(port, '127.0.0.1').once('error', resolve),
    );
    server.close();
    expect(visible(new StackError('EADDRINUSE', 'listen', '127.0.0.1', port))).to.deep.equal(visible(real));
    const socket = createSocket('udp4').bind(0, '127.0.0.1');
    await new Promise((resolve) => socket.once('listening', resolve));
    const taken = socket.address().port;
    const second = createSocket('udp4');
    const refused = await new Promise<SystemError>((resolve) =>
      second.once('error', resolve).bind(taken, '127.0.0.1'),
    );
    socket.close();
    second.close();
    expect(visible(new StackError('EADDRINUSE', 'bind', '127.0.0.1', taken))).to.deep.equal(visible(refused));
  });

  it('leaves out what there is not', () => {
    const error = new StackError('ENOBUFS', 'socket');
    expect(error.message).to.equal('socket ENOBUFS');
    expect(Object.keys(error)).to.deep.equal(['errno', 'code', 'syscall']);
    expect(Object.keys(new StackError('EADDRNOTAVAIL', 'bind', 'fd00::9', 0))).to.not.include('port');
    expect(new StackError('EADDRNOTAVAIL', 'bind', 'fd00::9', 0).message).to.equal(
      'bind EADDRNOTAVAIL fd00::9',
    );
  });

  it('numbers its codes as Linux does', async () => {
    const { constants } = await import('node:os');
    for (const [code, errno] of Object.entries(constants.errno)) {
      const own = new StackError(code, 'x').errno;
      if (own !== 0) expect(own, code).to.equal(-errno);
    }
    expect(new StackError('ECONNREFUSED', 'x').errno).to.equal(-111);
  });
});

describe('other errors', () => {
  it('tell arguments that are wrong by Node codes', () => {
    expect(new ArgumentTypeError('x'))
      .to.be.instanceOf(TypeError)
      .with.property('code', 'ERR_INVALID_ARG_TYPE');
    expect(new ArgumentValueError('x'))
      .to.be.instanceOf(TypeError)
      .with.property('code', 'ERR_INVALID_ARG_VALUE');
    expect(new ArgumentRangeError('x'))
      .to.be.instanceOf(RangeError)
      .with.property('code', 'ERR_OUT_OF_RANGE');
  });

  it('say which fact did not hold', () => {
    expect(() => invariant(true, 'one is one')).to.not.throw();
    expect(() => invariant(false, 'one is two')).to.throw(InvariantError, 'broken invariant: one is two');
  });
});
