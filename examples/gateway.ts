/**
 * A sandbox's network: a program in a namespace of its own whose traffic leaves through ordinary sockets of this
 * process. It may reach one port of this host, and nothing else; and what it serves is reached at a port of this host.
 *
 *     npx tsx examples/gateway.ts
 *
 * As root or as an ordinary user where the system lets one make a namespace.
 */
import { once } from 'node:events';
import { createServer } from 'node:http';
import { type AddressInfo, createServer as createTcpServer } from 'node:net';
import { openNamespaceGateway } from 'tunstack';

const service = createServer((_request, response) => response.end('a service of the host'));
service.listen(0, '127.0.0.1');
await once(service, 'listening');
const { port } = service.address() as AddressInfo;

/** A port of this host that was free a moment ago. */
async function freePort(): Promise<number> {
  const probe = createTcpServer().listen(0, '127.0.0.1');
  await once(probe, 'listening');
  const { port: free } = probe.address() as AddressInfo;
  probe.close();
  await once(probe, 'close');
  return free;
}

const published = await freePort();
const space = await openNamespaceGateway({
  reach: [`80:127.0.0.1:${port}`], // 10.0.2.2:80 inside
  publish: [`${published}:8080`], // 127.0.0.1 outside, 10.0.2.100:8080 inside
  deny: ['0.0.0.0/0', '::/0'],
  dns: false,
});

/** What runs inside: asks for two things, then serves one request. */
const PROGRAM = `
  const http = require('node:http');
  const get = (host) => new Promise((done) => {
    http.get({ host, agent: false }, (response) => {
      response.setEncoding('utf8').once('data', (text) => done(host + ': ' + text));
    }).once('error', (error) => done(host + ': ' + error.code));
  });
  (async () => {
    console.log(await get('10.0.2.2'));
    console.log(await get('198.51.100.1'));
    const server = http.createServer((_request, response) => {
      response.end('a service of the sandbox');
      server.close();
    }).listen(8080, () => console.log('ready'));
  })();
`;
const program = space.run(process.execPath, ['--eval', PROGRAM], { stdio: ['ignore', 'pipe', 'inherit'] });
const exited = once(program, 'exit');
for await (const text of program.stdout?.setEncoding('utf8') ?? []) {
  for (const line of String(text).trimEnd().split('\n')) {
    if (line !== 'ready') console.log(`inside:  ${line}`);
    else {
      const response = await fetch(`http://127.0.0.1:${published}/`);
      console.log(`outside: ${await response.text()}`);
    }
  }
}
await exited;

const { tcpJoined, tcpDenied } = space.gateway.stats;
console.log(`${tcpJoined} connections passed on, ${tcpDenied} denied`);
await space.close();
service.close();
