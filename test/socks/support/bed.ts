/**
 * What plays the world for a tunnel: a namespace whose loopback has servers, at addresses of documentation, and
 * proxies no one here wrote.
 */
import { mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { NODE } from '../../cli/support/cli.js';
import { type Child, type ChildOptions, installed } from '../../support/child.js';
import { TestNamespace } from '../../support/netns.js';
import { skip } from '../../support/skip.js';

/** Processes of Node that compile on the way, on a busy machine. */
export const LIMIT_MS = 120_000;
export const SERVER = { 4: '192.0.2.7', 6: '2001:db8:7::7' } as const;
/** Nobody may connect there, says dante. */
export const FORBIDDEN = '192.0.2.66';
const PORTS = { microsocks: 1080, danted: 1081, guarded: 1082 } as const;

type ProxyName = keyof typeof PORTS;

const DANTE = `
logoutput: stderr
internal: 127.0.0.1 port = ${PORTS.danted}
external.protocol: ipv4 ipv6
external: lo
clientmethod: none
socksmethod: none
user.unprivileged: root
client pass { from: 0.0.0.0/0 to: 0.0.0.0/0 }
socks block { from: 0.0.0.0/0 to: ${FORBIDDEN}/32 }
socks pass { from: 0.0.0.0/0 to: 0.0.0.0/0 }
socks pass { from: 0.0.0.0/0 to: ::/0 }
`;

const ECHO = `
import socket, threading
def run(family, address):
    s = socket.socket(family, socket.SOCK_DGRAM)
    s.bind((address, 7))
    while True:
        data, peer = s.recvfrom(65536)
        s.sendto(data, peer)
threading.Thread(target=run, args=(socket.AF_INET6, '${SERVER[6]}'), daemon=True).start()
print('ready', flush=True)
run(socket.AF_INET, '${SERVER[4]}')
`;

export class Bed {
  readonly world: TestNamespace;
  readonly directory: string;

  private constructor(world: TestNamespace, directory: string) {
    this.world = world;
    this.directory = directory;
  }

  static async open(): Promise<Bed> {
    const world = await TestNamespace.create();
    const directory = mkdtempSync(join(tmpdir(), 'tunstack-socks-'));
    const bed = new Bed(world, directory);
    await world.shell(`
      ip address add ${SERVER[4]}/32 dev lo
      ip address add ${FORBIDDEN}/32 dev lo
      ip address add ${SERVER[6]}/128 dev lo nodad
      mkdir '${directory}/www'; echo it works > '${directory}/www/index.html'
      head -c 20000000 /dev/urandom > '${directory}/www/big'`);
    writeFileSync(join(directory, 'danted.conf'), DANTE);
    bed.#start('python3', ['-m', 'http.server', '80', '--bind', '::', '-d', join(directory, 'www')]);
    await bed.#start('python3', ['-c', ECHO]).output(/ready/);
    const hosts = Object.values(SERVER).map((address) => `--address=/site.test/${address}`);
    const name = ['--listen-address', SERVER[4], '--bind-interfaces', '--no-resolv', '--no-hosts'];
    // Only root may change to another group, and without that it serves one connection after the other.
    const mode = process.getuid?.() === 0 ? ['-k', '-u', 'root'] : ['-d'];
    bed.#start('dnsmasq', [...mode, '-C', '/dev/null', '--pid-file', ...name, ...hosts]);
    bed.#start('microsocks', ['-i', '127.0.0.1', '-p', String(PORTS.microsocks)]);
    const user = ['-u', 'anna', '-P', 'a b'];
    bed.#start('microsocks', ['-i', '127.0.0.1', '-p', String(PORTS.guarded), ...user]);
    if (await installed('danted')) bed.#start('danted', ['-f', join(directory, 'danted.conf')]);
    return bed;
  }

  #start(command: string, args: readonly string[]): Child {
    return this.world.spawn(command, args, { limitMs: 15 * 60_000 });
  }

  /** Starts lines of shell behind a tunnel. */
  start(proxy: ProxyName, script: string, options: readonly string[] = [], child: ChildOptions = {}): Child {
    const user = proxy === 'guarded' ? 'anna:a%20b@' : '';
    const args = [...NODE, 'tun2socks', '--dns', SERVER[4], ...options];
    const line = script === '' ? [] : ['--', 'sh', '-c', script];
    return this.world.spawn(process.execPath, [...args, ...line], {
      limitMs: LIMIT_MS,
      ...child,
      env: { TUNSTACK_PROXY: `socks5://${user}127.0.0.1:${PORTS[proxy]}` },
    });
  }

  async shell(proxy: ProxyName, script: string, options: readonly string[] = []): Promise<string> {
    return (await this.start(proxy, script, options).succeeded()).stdout;
  }

  async close(): Promise<void> {
    await this.world.close();
    rmSync(this.directory, { recursive: true, force: true });
  }
}

export async function needs(context: Mocha.Context, ...programs: string[]): Promise<void> {
  for (const program of programs) {
    if (!(await installed(program))) skip(context, `${program} is not installed`);
  }
}

export const statsOf = (stderr: string): Record<string, number> =>
  JSON.parse(/^\{.*\}$/m.exec(stderr)?.[0] ?? '{}') as Record<string, number>;
