/** `nodemailer` and `smtp-server`, both over a stack, and curl from the kernel's side. */
import { once } from 'node:events';
import { writeFileSync } from 'node:fs';
import type { AddressInfo, Socket } from 'node:net';
import { join } from 'node:path';
import { buffer } from 'node:stream/consumers';
import { expect } from 'chai';
import { SMTPServer, type SMTPServerOptions } from 'smtp-server';
import { FAMILIES, type InteropBed, STACK } from '../support/interop.js';
import { mailer } from './clients/mail.js';
import { plain } from './clients/scene.js';
import { type Identity, identity } from './support/certificates.js';
import { content, sha256 } from './support/content.js';
import { bedWith, dataDirectory } from './support/server.js';

interface Received {
  readonly from: string;
  readonly to: readonly string[];
  readonly secure: boolean;
  readonly user: string | undefined;
  readonly text: Buffer;
}

/** The attachment of a message. */
const attachmentOf = (message: Buffer): Buffer => {
  const text = message.toString('latin1');
  const encoded = /Content-Transfer-Encoding: base64[^]*?\r\n\r\n([A-Za-z0-9+/=\r\n]*)/.exec(text)?.[1] ?? '';
  return Buffer.from(encoded, 'base64');
};

describe('nodemailer and smtp-server', function () {
  this.timeout(30_000);
  this.slow(5000);
  let bed: InteropBed;
  let authority: Identity;
  let directory: string;
  before(async function () {
    bed = await bedWith(this, { curl: 'curl' });
    directory = dataDirectory(bed);
    authority = await identity(directory);
  });
  after(() => bed?.close());
  afterEach(() => bed?.isIdle());

  /** Runs a server on the stack while `use` uses it; what it received is in `mail`. */
  async function serving(
    options: SMTPServerOptions,
    use: (port: number, mail: Received[]) => Promise<void>,
  ): Promise<void> {
    const mail: Received[] = [];
    const sockets: Socket[] = [];
    const smtp = new SMTPServer({
      key: authority.key,
      cert: authority.cert,
      authOptional: true,
      onAuth({ username, password }, _session, done) {
        if (password === 'right') done(null, { user: username });
        else done(new Error('Invalid login'));
      },
      onRcptTo({ address }, _session, done) {
        if (address.startsWith('reset@')) for (const socket of sockets) socket.resetAndDestroy();
        else if (address.startsWith('nobody@'))
          done(Object.assign(new Error('No such user'), { responseCode: 550 }));
        else done();
      },
      onData(stream, { envelope, secure, user }, done) {
        buffer(stream).then((text) => {
          const from = envelope.mailFrom === false ? '' : envelope.mailFrom.address;
          const to = envelope.rcptTo.map(({ address }) => address);
          mail.push({ from, to, secure, user, text });
          done();
        }, done);
      },
      ...options,
    });
    smtp.on('error', () => {});
    const { server } = smtp;
    server.on('connection', (socket: Socket) => sockets.push(socket));
    bed.stack.serve(server, 0);
    await once(server, 'listening');
    try {
      await use((server.address() as AddressInfo).port, mail);
    } finally {
      await new Promise<void>((closed) => smtp.close(closed));
    }
  }

  const message = (attached: Buffer): object => ({
    from: 'writer@example.com',
    to: ['reader@example.com', 'other@example.com'],
    subject: 'Over a stack',
    text: 'See what is attached.\n.\n..\n',
    attachments: [{ filename: 'data.bin', content: attached }],
  });

  const KINDS = {
    'in the clear': { options: { disabledCommands: ['STARTTLS', 'AUTH'] }, secure: false, login: false },
    'with STARTTLS and a login': { options: {}, secure: false, login: true },
    'with TLS from the start': { options: { secure: true }, secure: true, login: true },
  };
  for (const family of FAMILIES) {
    for (const [kind, { options, secure, login }] of Object.entries(KINDS)) {
      it(`carries a message of 3 MB ${kind}, IPv${family}`, () =>
        serving(options, async (port, mail) => {
          const { ca, servername } = authority;
          const auth = login ? { auth: { user: 'writer', pass: 'right' } } : {};
          const transport = mailer(bed.net, { host: STACK[family], port, secure, ca, servername, ...auth });
          const attached = content(3_000_000);
          const { accepted } = await transport.sendMail(message(attached));
          expect(accepted).to.deep.equal(['reader@example.com', 'other@example.com']);
          const [received] = mail;
          expect(received).to.include({ from: 'writer@example.com', secure: login });
          expect(received.user).to.equal(login ? 'writer' : undefined);
          expect(received.text.toString('latin1')).to.include('\r\n.\r\n..\r\n');
          expect(sha256(attachmentOf(received.text))).to.equal(sha256(attached));
          transport.close();
        }));
    }
  }

  it('sends thirty messages over the connections of a pool', () =>
    serving({}, async (port, mail) => {
      const { ca, servername } = authority;
      const transport = mailer(bed.net, { host: STACK[4], port, ca, servername, pool: true });
      const contents = Array.from({ length: 30 }, (_, i) => content(10_000 + i, i));
      await Promise.all(contents.map((attached) => transport.sendMail(message(attached))));
      const hashes = (list: Buffer[]): string[] => list.map(sha256).sort();
      expect(hashes(mail.map(({ text }) => attachmentOf(text)))).to.deep.equal(hashes(contents));
      transport.close();
    }));

  it('reports a refused recipient, a wrong password, a wrong certificate and a refused connection', () =>
    serving({}, async (port) => {
      const { ca, servername } = authority;
      const place = { host: STACK[4], port };
      const send = (transport: ReturnType<typeof mailer>, to: string): Promise<unknown> =>
        transport.sendMail({ ...message(Buffer.alloc(10)), to }).then(() => 'sent', plain);
      const wellKnown = mailer(bed.net, { ...place, ca, servername });
      expect(await send(wellKnown, 'nobody@example.com')).to.include({ code: 'EENVELOPE' });
      const stranger = mailer(bed.net, { ...place, ca, servername, auth: { user: 'x', pass: 'wrong' } });
      expect(await send(stranger, 'reader@example.com')).to.include({ code: 'EAUTH' });
      const mistaken = mailer(bed.net, { ...place, ca, servername: 'other.example' });
      expect(await send(mistaken, 'reader@example.com')).to.include({ code: 'ESOCKET' });
      const nowhere = mailer(bed.net, { ...place, port: 9, ca, servername });
      expect(await send(nowhere, 'reader@example.com')).to.include({
        message: `connect ECONNREFUSED ${STACK[4]}:9`,
      });
    }));

  it('reports a connection that was reset', () =>
    serving({ disabledCommands: ['STARTTLS', 'AUTH'] }, async (port) => {
      const transport = mailer(bed.net, { host: STACK[4], port });
      const sending = transport.sendMail({ ...message(Buffer.alloc(10)), to: 'reset@example.com' });
      expect(await sending.then(() => 'sent', plain)).to.include({ message: 'read ECONNRESET' });
    }));

  it('takes a message that curl on the kernel’s side sends, with TLS', () =>
    serving({}, async (port, mail) => {
      const file = join(directory, 'message');
      const body = `Subject: curl\r\n\r\n${content(200_000).toString('hex').replace(/.{70}/g, '$&\r\n')}\r\n`;
      writeFileSync(file, body, { mode: 0o644 });
      const url = `smtp://${STACK[4]}:${port}/client.example`;
      const people = ['--mail-from', 'a@example.com', '--mail-rcpt', 'b@example.com'];
      const how = ['-sS', '--max-time', '20', '--ssl-reqd', '--cacert', authority.caFile];
      await bed.exec('curl', ...how, ...people, '-T', file, url);
      expect(mail.map(({ text, from, secure }) => [sha256(text), from, secure])).to.deep.equal([
        [sha256(body), 'a@example.com', true],
      ]);
    }));
});
