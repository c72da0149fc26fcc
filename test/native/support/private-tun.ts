import { readFileSync } from 'node:fs';
import { expect } from 'chai';
import { HostNetwork } from '../../../lib/link/host-network.js';
import { openPrivateTun, type PrivateTun } from '../../../lib/link/tun-private.js';
import { run } from '../../support/child.js';
import { skipOn, Unavailable } from '../../support/skip.js';
import { Collector, packet, send, sleep, transportHolds, UDP } from './packets.js';

const alive = (pid: number): boolean => {
  try {
    return !/^State:\s+Z/m.test(readFileSync(`/proc/${pid}/status`, 'utf8'));
  } catch {
    return false;
  }
};

/** The same for root and for an ordinary user. */
export function describePrivateTun(who: string): void {
  describe(`a private TUN of ${who}`, function () {
    this.timeout(30_000);
    let opened: PrivateTun | undefined;

    before(async function () {
      opened = await skipOn(this, async () => {
        try {
          return await openPrivateTun({ name: 'mine', mtu: 1400, address: ['10.0.0.1/24', 'fd00::1/64'] });
        } catch (error) {
          throw new Unavailable(`no private TUN here: ${(error as Error).message}`);
        }
      });
    });
    after(() => opened?.close());

    const tun = (): PrivateTun => opened as PrivateTun;

    it('is in a network that nobody else sees, with its loopback up', () => {
      expect(tun().host.link('mine')).to.deep.include({ mtu: 1400, up: true, txQueueLength: 10_000 });
      expect(tun().host.link('lo')).to.deep.include({ up: true });
      const here = HostNetwork.open();
      expect(here.link('mine')).to.equal(undefined);
      here.close();
    });

    it('is configured from outside', () => {
      tun().host.addRoute({ destination: '10.5.0.0/16', gateway: '10.0.0.2' });
      tun().host.addRule({ priority: 9, from: '10.0.0.1', table: 9 });
      expect(
        tun()
          .host.listRoutes({ family: 4 })
          .map(({ destination }) => destination),
      ).to.include('10.5.0.0/16');
    });

    it('carries packets to and from programs inside, super-packets included', async () => {
      const collector = new Collector(tun().device, (bytes) => bytes[0] === 0x45 && bytes[9] === UDP);
      const { maxPacketBytes, mtu, offloads } = tun().device;
      expect([offloads.tso, maxPacketBytes, mtu]).to.deep.equal([true, 65_535, 1400]);
      const code = `
      const socket = require('node:dgram').createSocket('udp4');
      socket.bind(6000, '10.0.0.1', () => socket.send('to the stack', 5000, '10.0.0.2'));
      socket.on('message', (message) => { process.stdout.write(message); socket.close(); });`;
      const child = tun().run(process.execPath, ['--eval', code], { stdio: ['ignore', 'pipe', 'inherit'] });
      let heard = '';
      child.stdout?.on('data', (data: Buffer) => {
        heard += String(data);
      });
      const [{ bytes, checksum }] = await collector.take(1);
      expect(String.fromCharCode(...bytes.subarray(28))).to.equal('to the stack');
      expect(checksum === 3 || transportHolds(bytes)).to.equal(true);
      send(tun().device, packet({ from: '10.0.0.2', to: '10.0.0.1', protocol: UDP, payload: 3, seed: 0x61 }));
      await new Promise((resolve) => child.once('exit', resolve));
      expect(heard).to.equal('abc');
    });

    it('ends with everything inside when closed, and may be closed twice', async () => {
      const sleeper = tun().run('sleep', ['1000'], { stdio: 'ignore' });
      const { pid } = tun();
      await new Promise((resolve) => sleeper.once('spawn', resolve));
      expect(alive(pid)).to.equal(true);
      await tun().close();
      await tun().close();
      expect(alive(pid)).to.equal(false);
      await sleep(50);
      expect(sleeper.signalCode).to.equal('SIGKILL');
    });

    it('ends with the process that made it, however that ends', async () => {
      const code = `
      const { openPrivateTun } = await import('./lib/link/tun-private.ts');
      const { device, pid } = await openPrivateTun();
      device.open(() => {});
      process.stdout.write(String(pid));
      process.kill(process.pid, 'SIGKILL');`;
      const args = ['--import=tsx', '--input-type=module', '--eval', code];
      const { stdout } = await run('sh', ['-c', '"$@"; true', 'sh', process.execPath, ...args]);
      for (let i = 0; i < 100 && alive(Number(stdout)); i++) await sleep(20);
      expect(Number(stdout)).to.be.above(0);
      expect(alive(Number(stdout))).to.equal(false);
    });

    it('does not keep its process alive once the device is closed or unreferenced', async () => {
      for (const last of ['device.close()', 'device.unref()', '']) {
        const code = `
        const { openPrivateTun } = await import('./lib/link/tun-private.ts');
        const { device } = await openPrivateTun();
        ${last === '' ? '' : 'device.open(() => {});'}
        ${last};`;
        await run(process.execPath, ['--import=tsx', '--input-type=module', '--eval', code]);
      }
    });

    it('says what is wrong where there is no TUN device', async () => {
      const code = `
        const { openPrivateTun } = await import('./lib/link/tun-private.ts');
        await openPrivateTun().catch(({ message }) => process.stdout.write(message));`;
      const node = [process.execPath, '--import=tsx', '--input-type=module', '--eval', code];
      const script = 'mount -t tmpfs none /dev/net && exec "$@"';
      const { stdout } = await run('unshare', ['-Urm', '--', 'sh', '-ec', script, 'sh', ...node]);
      expect(stdout).to.equal('open ENOENT /dev/net/tun');
    });

    it('says what is wrong where there is no unshare, or it is refused', async () => {
      const outcome = async (env: Record<string, string>, before: string): Promise<string> => {
        const code = `
        ${before}
        const { openPrivateTun } = await import('./lib/link/tun-private.ts');
        await openPrivateTun().then(
          () => process.stdout.write('opened'),
          ({ code, syscall, message }) => process.stdout.write([code, syscall, message].join('|')));`;
        const args = ['--import=tsx', '--input-type=module', '--eval', code];
        return (await run(process.execPath, args, { env })).stdout;
      };
      const fake = `
      const fs = await import('node:fs');
      const dir = fs.mkdtempSync((process.env.TMPDIR ?? '/tmp') + '/tunstack-');
      fs.writeFileSync(dir + '/unshare', '#!/bin/sh\\necho "unshare: unshare failed: $WORDS" >&2; exit 1\\n', { mode: 0o755 });
      process.env.PATH = dir + ':' + process.env.PATH;
      process.on('exit', () => fs.rmSync(dir, { recursive: true }));`;
      expect(await outcome({ WORDS: 'Operation not permitted' }, fake)).to.match(
        /^EPERM\|unshare\|unshare EPERM: .*no network namespace/,
      );
      expect(await outcome({ WORDS: 'No space left on device' }, fake)).to.match(/^ENOSPC\|unshare\|/);
    });
  });
}
