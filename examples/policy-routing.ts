/**
 * Routing as `ip rule` and `ip route` have it: rules choose tables, tables choose routes, and
 * `routes.get` explains the choice. A stack with two uplinks sends by destination, by source address and
 * by mark.
 *
 *     npx tsx examples/policy-routing.ts
 *
 * Nothing here needs root, a TUN or the addon: the uplinks are pipes with nobody behind them.
 */
import { createPipe, Stack, SystemClock, SystemRandom } from 'tunstack';

const clock = new SystemClock();
const stack = new Stack({ clock, random: new SystemRandom() });
for (const [name, addresses] of [
  ['cable0', ['198.51.100.2/24', '2001:db8:1::2/64']],
  ['radio0', ['203.0.113.2/24', '2001:db8:2::2/64']],
] as const) {
  const [link] = createPipe({ clock, names: [name, `${name}-far`] });
  stack.addLink(link, { addresses });
}
const { routes, rules } = stack.routing;

// ip route add default via 198.51.100.1
routes.add({ destination: 'default', gateway: '198.51.100.1' });
routes.add({ destination: 'default', gateway: '2001:db8:1::1' });
// ip route add default via 203.0.113.1 table 100
routes.add({ destination: 'default', gateway: '203.0.113.1', table: 100 });
routes.add({ destination: 'default', gateway: '2001:db8:2::1', table: 100 });
// ip route add unreachable 192.0.2.0/24
routes.add({ destination: '192.0.2.0/24', type: 'unreachable' });

// What has the radio's address leaves by radio: ip rule add priority 1000 from 203.0.113.2 table 100
rules.add({ priority: 1000, from: '203.0.113.2', table: 100 });
rules.add({ priority: 1000, from: '2001:db8:2::2', table: 100 });
// What is marked leaves by radio: ip rule add priority 2000 fwmark 7 table 100
rules.add({ priority: 2000, mark: 7, table: 100 });
// Mail leaves by neither: ip rule add priority 3000 ipproto tcp dport 25 prohibit
rules.add({ priority: 3000, ipproto: 6, dport: 25, action: 'prohibit' });

/** As `ip route get` would say it. */
function explain(destination: string, question: Parameters<typeof routes.get>[1] = {}): void {
  const { error, rule, table, route, port, gateway, source } = routes.get(destination, question);
  const asked = Object.entries(question).map(([key, value]) => `${key} ${value}`);
  const by = rule === undefined ? 'no rule' : `rule ${rule.priority}`;
  const found = route === undefined ? '' : `, table ${table}, ${route.type} ${route.destination}`;
  const way =
    error === '' ? `${gateway === undefined ? '' : `via ${gateway} `}dev ${port} src ${source}` : error;
  console.log(`${[destination, ...asked].join(' ').padEnd(46)} ${way.padEnd(52)} (${by}${found})`);
}

explain('198.51.100.77');
explain('8.8.8.8');
explain('8.8.8.8', { from: '203.0.113.2' });
explain('8.8.8.8', { mark: 7 });
explain('8.8.8.8', { protocol: 6, destinationPort: 25 });
explain('192.0.2.1');
explain('198.51.100.2');
explain('2001:4860:4860::8888');
explain('2001:4860:4860::8888', { mark: 7 });
stack.close();
