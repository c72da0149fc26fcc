/** Whole HTTP exchanges over every kind of link that is made from a channel of the application's. */
import { createHash, randomBytes } from 'node:crypto';
import { once } from 'node:events';
import { createServer, get, type IncomingMessage, request } from 'node:http';
import { expect } from 'chai';
import { Stack, SystemClock, SystemRandom } from '../../lib/index.js';
import { CHANNELS, type Ends, type MakeEnds } from './channels.js';

const MTU = 1400;
const BYTES = 1_000_000;

/** What both stacks of one test are. */
interface World {
  readonly client: Stack;
  readonly server: Stack;
  readonly ends: Ends;
}

async function worldOver(make: MakeEnds): Promise<World> {
  const clock = new SystemClock();
  const random = new SystemRandom();
  const ends = await make(clock, MTU);
  const client = new Stack({ clock, random });
  const server = new Stack({ clock, random });
  client.addLink(ends.a, { addresses: ['10.0.0.1/24', 'fd00::1/64'] });
  server.addLink(ends.b, { addresses: ['10.0.0.2/24', 'fd00::2/64'] });
  return { client, server, ends };
}

async function bodyOf(response: IncomingMessage): Promise<Buffer> {
  const parts: Buffer[] = [];
  for await (const part of response) parts.push(part as Buffer);
  return Buffer.concat(parts);
}

const hash = (bytes: Uint8Array): string => createHash('sha256').update(bytes).digest('hex');

describe('HTTP over links of channels', function () {
  this.timeout(30_000);

  for (const [name, make] of Object.entries(CHANNELS)) {
    it(`passes over ${name}, by IPv4 and IPv6, and the other side hears of the end`, async () => {
      const { client, server, ends } = await worldOver(make);
      const body = randomBytes(BYTES);
      const http = createServer((incoming, response) => {
        bodyOf(incoming).then(
          (sent) => response.end(sent.length > 0 ? hash(sent) : body),
          () => {},
        );
      });
      server.serve(http, 80);
      await once(http, 'listening');
      for (const host of ['10.0.0.2', 'fd00::2']) {
        const asked = get({ host, agent: client.agent() });
        const [response] = (await once(asked, 'response')) as [IncomingMessage];
        expect(hash(await bodyOf(response)), host).to.equal(hash(body));
      }
      const post = request({ host: '10.0.0.2', method: 'POST', agent: client.agent() }).end(body);
      const [answer] = (await once(post, 'response')) as [IncomingMessage];
      expect(String(await bodyOf(answer))).to.equal(hash(body));
      for (const { counters } of [ends.a, ends.b]) {
        expect(counters.inBytes).to.be.above(BYTES);
        expect(counters.outDrops).to.equal(0);
      }
      // A datagram does not say that there will be no other.
      const hearsEnd = name !== 'UDP sockets';
      const down = new Promise<Error>((heard) => {
        server.onLinkDown = (_device, error) => heard(error);
      });
      http.close();
      client.close();
      // Who was about to send something meanwhile hears of it by that.
      const codes = ['ENETDOWN', 'EPIPE', 'ECONNRESET'];
      if (hearsEnd)
        expect(await down)
          .to.have.property('code')
          .oneOf(codes);
      server.close();
      await ends.close();
    });
  }
});
