/**
 * Names over the stack: a name server on one stack, written here, and a client on another, which finds its way by
 * `stack.dns`. Neither the host's resolver nor its network is asked anything.
 *
 *     npx tsx examples/dns.ts
 */
import { createServer, get } from 'node:http';
import dnsPacket, { type Answer } from 'dns-packet';
import { createPipe, Stack, SystemClock, SystemRandom } from 'tunstack';

const clock = new SystemClock();
const random = new SystemRandom();
const [near, far] = createPipe({ clock });

const client = new Stack({
  clock,
  random,
  dns: {
    servers: ['10.0.0.53'],
    search: ['example'],
    hosts: '10.0.0.80  intranet wiki # as in /etc/hosts\n',
  },
});
client.addLink(near, { addresses: ['10.0.0.1/24', 'fd00::1/64'] });

const office = new Stack({ clock, random });
office.addLink(far, { addresses: ['10.0.0.53/24', '10.0.0.80/24', 'fd00::80/64'] });

const RECORDS: readonly Answer[] = [
  { name: 'www.example', type: 'CNAME', ttl: 300, data: 'web.example' },
  { name: 'web.example', type: 'A', ttl: 60, data: '10.0.0.80' },
  { name: 'web.example', type: 'AAAA', ttl: 60, data: 'fd00::80' },
  { name: 'example', type: 'MX', ttl: 60, data: { preference: 10, exchange: 'mail.example' } },
  { name: 'example', type: 'TXT', ttl: 60, data: ['v=spf1 -all'] },
];

/** The records of a name, those of the name that it stands for behind them. */
function recordsOf(name: string, type: string): Answer[] {
  const named = RECORDS.filter((record) => record.name === name.toLowerCase());
  const alias = named.find((record) => record.type === 'CNAME');
  if (alias?.type === 'CNAME' && type !== 'CNAME') return [alias, ...recordsOf(alias.data, type)];
  return named.filter((record) => record.type === type);
}

let queries = 0;
const server = office.dgram.createSocket('udp4', (message, from) => {
  queries++;
  const { id, questions = [] } = dnsPacket.decode(message);
  const [{ name, type }] = questions;
  const answers = recordsOf(name, type);
  const isKnown = RECORDS.some((record) => record.name === name.toLowerCase());
  const flags = dnsPacket.RECURSION_AVAILABLE | (isKnown ? 0 : 3);
  server.send(dnsPacket.encode({ type: 'response', id, flags, questions, answers }), from.port, from.address);
});
server.bind(53, '10.0.0.53');
office.serve(
  createServer((request, response) => response.end(`This is ${request.headers.host}.`)),
  80,
);

const { promises: dns } = client.dns;
console.log('web:      ', (await dns.lookup('web', { all: true })).map(({ address }) => address).join(', '));
console.log('intranet: ', (await dns.lookup('intranet')).address);
console.log('A:        ', await dns.resolve4('www.example', { ttl: true }));
const [mail] = await dns.resolveMx('example');
console.log('MX:       ', mail.priority, mail.exchange);
console.log('TXT:      ', await dns.resolveTxt('example'));
await dns.resolve4('nowhere.example').catch((error: Error) => console.log('error:    ', error.message));

const page = await new Promise<string>((resolve, reject) => {
  get({ host: 'www.example', agent: client.agent() }, (response) => {
    response.setEncoding('utf8').on('data', resolve);
  }).on('error', reject);
});
console.log('page:     ', page);

const { cacheHits, responses } = client.stats.dns;
console.log(`${queries} queries, ${responses} answers, ${cacheHits} from the cache`);
client.close();
office.close();
