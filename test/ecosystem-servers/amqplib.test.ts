/** `amqplib` over a stack, by its hook and by `tunstack/register`, with RabbitMQ on the other side. */
import { fileURLToPath } from 'node:url';
import { expect } from 'chai';
import type { Child } from '../support/child.js';
import { FAMILIES, type InteropBed, KERNEL } from '../support/interop.js';
import { AMQP_PORT, amqps, EXPECTED, exercise, lostTlsServer } from './clients/amqp.js';
import { plain } from './clients/scene.js';
import { type Identity, identity } from './support/certificates.js';
import { RABBITMQ, startRabbitmq } from './support/rabbitmq.js';
import { processOver } from './support/registered.js';
import { bedWith, dataDirectory } from './support/server.js';
import { registeredToldAlike, toldAlike } from './support/story.js';

const PROGRAM = fileURLToPath(new URL('./clients/program.ts', import.meta.url));

describe('amqplib and RabbitMQ', function () {
  this.timeout(120_000);
  this.slow(20_000);
  let bed: InteropBed;
  let directory: string;
  let authority: Identity;
  let server: Child;
  before(async function () {
    bed = await bedWith(this, { [RABBITMQ]: 'rabbitmq-server' });
    directory = dataDirectory(bed);
    authority = await identity(directory);
    process.env.TESTS_CA_FILE = authority.caFile;
    server = await startRabbitmq(bed, directory, authority);
  });
  after(() => {
    delete process.env.TESTS_CA_FILE;
    return bed?.close();
  });
  afterEach(() => bed?.isIdle());

  for (const family of FAMILIES) {
    it(`carries messages of all sizes over TLS by its hook, IPv${family}`, async () => {
      const connection = await amqps({ net: bed.net, host: KERNEL[family], ca: authority.ca });
      expect(await exercise(connection)).to.deep.equal(EXPECTED);
      await connection.close();
    });

    it(`carries them in a process with tunstack/register, IPv${family}`, async () => {
      const { flags, env } = processOver('stack');
      const args = [...flags, PROGRAM, 'amqplib', KERNEL[family], String(AMQP_PORT)];
      const { stdout } = await bed.namespace.exec(process.execPath, args, { limitMs: 100_000, env });
      expect(JSON.parse(stdout)).to.deep.equal(EXPECTED);
    });
  }

  it('reports a connection that was reset', async () => {
    const connection = await amqps({ net: bed.net, host: KERNEL[4], ca: authority.ca });
    const failed = new Promise((resolve) => connection.once('error', resolve));
    const channel = await connection.createChannel();
    await bed.exec('ss', '-K', 'sport', '=', '5671');
    expect(await failed).to.include({ code: 'ECONNRESET', message: 'read ECONNRESET' });
    expect(await channel.assertQueue('').then(() => 'answered', plain)).to.include({
      name: 'IllegalOperationError',
    });
  });

  describe('as over node:net', () => {
    const module = new URL('./clients/amqp.ts', import.meta.url).href;
    let isUsed = false;
    /** The first time the server that is there: another takes seconds to start. */
    const start = (): Promise<Child> => {
      if (isUsed) return startRabbitmq(bed, directory, authority);
      isUsed = true;
      return Promise.resolve(server);
    };

    it('a wrong password, a lost server and a refused connection, by tunstack/register', async () => {
      const told = await registeredToldAlike(bed, { module, name: 'lostServer' }, start);
      expect(JSON.stringify(told)).to.include('ACCESS_REFUSED').and.include('ECONNREFUSED 10.9.0.1:5672');
    });

    it('the same by its hook', async () => {
      const told = await toldAlike(bed, { story: lostTlsServer, module, name: 'lostTlsServer' }, start);
      expect(JSON.stringify(told)).to.include('ECONNREFUSED 10.9.0.1:5671');
    });
  });
});
