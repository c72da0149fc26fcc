import { readdirSync } from 'node:fs';
import { createRequire } from 'node:module';
import { setFlagsFromString } from 'node:v8';
import { runInNewContext } from 'node:vm';
import { expect } from 'chai';
import { HostNetwork } from '../../lib/link/host-network.js';
import { nativeAddon } from '../../lib/link/tun-addon.js';
import { TunDevice } from '../../lib/link/tun-device.js';
import { run } from '../support/child.js';
import { needsTun } from '../support/needs-tun.js';
import { TestNamespace } from '../support/netns.js';
import { packet, send, sleep, UDP } from './support/packets.js';

const TEARDOWN = new URL('support/teardown.ts', import.meta.url).pathname;
const datagram = packet({ from: '10.1.0.2', to: '10.1.0.1', protocol: UDP, payload: 10 });

const descriptors = (): number => readdirSync('/proc/self/fd').length;

describe('the life of a device', function () {
  before(needsTun);

  this.timeout(60_000);
  let netns: TestNamespace;

  before(async function () {
    netns = await TestNamespace.createOrSkip(this);
  });
  after(async () => {
    await netns?.close();
  });

  /** Collects garbage until `holds`, or a second has passed. */
  async function collect(holds: () => boolean): Promise<boolean> {
    setFlagsFromString('--expose-gc');
    const gc = runInNewContext('gc') as () => void;
    for (let i = 0; i < 100 && !holds(); i++) {
      gc();
      await sleep(10);
    }
    return holds();
  }

  it('ends when nobody holds it and it was never opened', async () => {
    const before = descriptors();
    const host = HostNetwork.open({ netns: netns.path });
    for (let i = 0; i < 20; i++) TunDevice.create({ netns: netns.path, name: `lost${i}` });
    for (let i = 0; i < 5; i++) HostNetwork.open({ netns: netns.path });
    expect(descriptors()).to.be.above(before + 20);
    const lost = (): number => host.listLinks().filter(({ name }) => name.startsWith('lost')).length;
    expect(await collect(() => lost() === 0)).to.equal(true);
    host.close();
    expect(await collect(() => descriptors() === before)).to.equal(true);
  });

  it('does not end while it is open, as nothing does that listens', async () => {
    const [a, b] = nativeAddon().socketPair();
    let heard = 0;
    const open = (fd: number): WeakRef<TunDevice> => {
      const device = TunDevice.create({ fd });
      device.open((batch) => {
        heard += batch.count;
      });
      return new WeakRef(device);
    };
    const right = open(b);
    const left = TunDevice.create({ fd: a });
    left.open(() => {});
    await collect(() => false);
    send(left, datagram);
    await sleep(20);
    expect(heard).to.equal(1);
    right.deref()?.close();
    left.close();
  });

  it('frees what it borrowed once it is closed and forgotten', async () => {
    let freed = 0;
    const registry = new FinalizationRegistry(() => freed++);
    // In a function of its own, since a frame keeps its last value.
    const forget = (): void => {
      const device = TunDevice.create({ netns: netns.path });
      device.open(() => {});
      device.close();
      registry.register(device, 0);
    };
    for (let i = 0; i < 10; i++) forget();
    expect(await collect(() => freed === 10)).to.equal(true);
  });

  it('survives the end of its environment: workers ended in every way [G10]', async () => {
    const args = ['--import=tsx', TEARDOWN, netns.path];
    const { stdout } = await run(process.execPath, args, { limitMs: 50_000 });
    expect(stdout).to.equal('whole\n');
  });

  it('keeps the process alive only while it is open and referenced', async () => {
    for (const [last, expected] of [
      ['', 'still here'],
      ['device.unref();', ''],
      ['device.unref(); device.ref();', 'still here'],
      ['device.close();', ''],
    ]) {
      const code = `
        const { TunDevice } = await import('./lib/link/tun-device.ts');
        const device = TunDevice.create({ netns: ${JSON.stringify(netns.path)} });
        device.open(() => {});
        ${last}
        setTimeout(() => { process.stdout.write('still here'); process.exit(); }, 300).unref();`;
      const args = ['--import=tsx', '--input-type=module', '--eval', code];
      expect((await run(process.execPath, args)).stdout, last).to.equal(expected);
    }
  });

  it('is the same whether the addon is loaded once or twice', () => {
    const { path } = nativeAddon();
    const require = createRequire(import.meta.url);
    const id = require.resolve(path);
    const first = require(path) as ReturnType<typeof nativeAddon>;
    delete require.cache[id];
    const second = require(path) as ReturnType<typeof nativeAddon>;
    expect(second).not.to.equal(first);
    const tuns = [first, second].map(({ NativeTun }) => new NativeTun({ offload: true, netns: netns.path }));
    expect(tuns[0].name).not.to.equal(tuns[1].name);
    for (const tun of tuns) tun.close();
  });
});
