/** The kernel's programs send to addresses that nobody has, and the stack answers for all of them. */
import { randomBytes } from 'node:crypto';
import { expect } from 'chai';
import type { UdpFlow } from '../../lib/udp/flow.js';
import type { AnyUdpListener } from '../../lib/udp/flow-listener.js';
import { FAMILIES, InteropBed } from '../support/interop.js';
import { errorOf, eventually } from '../support/interop-wait.js';

const ELSEWHERE = { 4: '198.51.100.7', 6: '2001:db8:51::7' } as const;
const FARTHER = { 4: '203.0.113.9', 6: '2001:db8:113::9' } as const;

for (const offload of [true, false]) {
  for (const family of FAMILIES) {
    describe(`datagrams to any address, IPv${family}, ${offload ? 'with' : 'without'} offloads`, function () {
      this.timeout(30_000);
      let bed: InteropBed;
      let listener: AnyUdpListener | undefined;
      before(async function () {
        bed = await InteropBed.createOrSkip(this, { offload });
        const [link] = JSON.parse(await bed.exec('ip', '-j', 'link', 'show', 'type', 'tun')) as {
          ifname: string;
        }[];
        await bed.exec('ip', `-${family}`, 'route', 'add', 'default', 'dev', link.ifname);
      });
      after(() => bed?.close());
      afterEach(() => listener?.close());

      it('are echoed from where they were sent to, of every size', async () => {
        const flows: UdpFlow[] = [];
        listener = bed.stack.listenAnyUdp({}, (request) => {
          const flow = request.accept();
          flows.push(flow);
          flow.onDatagram = (data, address, port) => flow.send(data, address, port);
        });
        const kernel = await bed.kernel();
        const theirs = await kernel.connectUdp({ address: ELSEWHERE[family], port: 7 });
        for (const size of [0, 1, 512, 1472, 1473, 9000, 65_507]) {
          const data = randomBytes(size);
          await theirs.send(data);
          const back = await theirs.receive();
          expect(back.from).to.deep.equal({ address: ELSEWHERE[family], port: 7 });
          expect(back.data.equals(data), `${size} bytes`).to.equal(true);
        }
        expect(flows).to.have.lengthOf(1);
        expect(flows[0].received).to.equal(7);
        // The kernel refuses what comes when nobody has the port any more, and the flow hears of it.
        const codes: string[] = [];
        flows[0].onError = ({ code, address }) => codes.push(`${code} ${address}`);
        await theirs.close();
        flows[0].send(Buffer.from('too late'), ELSEWHERE[family], 7);
        await eventually('the refusal', () => codes[0], Boolean);
        expect(codes).to.deep.equal([`ECONNREFUSED ${ELSEWHERE[family]}`]);
      });

      it('are answered from elsewhere where the socket takes that', async () => {
        listener = bed.stack.listenAnyUdp({}, (request) => {
          const flow = request.accept();
          flow.onDatagram = (data) => flow.send(data, FARTHER[family], 99);
        });
        const kernel = await bed.kernel();
        const theirs = await kernel.bindUdp({ address: family === 4 ? '0.0.0.0' : '::' });
        await theirs.sendTo({ address: ELSEWHERE[family], port: 7 }, Buffer.from('who?'));
        const back = await theirs.receive();
        expect(back.from).to.deep.equal({ address: FARTHER[family], port: 99 });
        await theirs.close();
      });

      it('are refused in ways the kernel understands', async () => {
        const kernel = await bed.kernel();
        for (const [reason, code] of [
          ['port-unreachable', 'ECONNREFUSED'],
          ['prohibited', family === 4 ? 'EHOSTUNREACH' : 'EACCES'],
        ] as const) {
          listener?.close();
          listener = bed.stack.listenAnyUdp({}, (request) => request.reject(reason));
          const theirs = await kernel.connectUdp({ address: ELSEWHERE[family], port: 7 });
          await theirs.send('anybody?');
          expect(await errorOf(theirs.receive()), reason).to.equal(code);
          await theirs.close();
        }
      });

      it('are pings too: answered for everybody, or by whoever is asked, later', async () => {
        const answering = bed.stack.listenAnyEcho({});
        const ping = ['-n', '-c', '3', '-i', '0.05', '-W', '10', '-s', '3000'];
        const text = await bed.exec('ping', `-${family}`, ...ping, ELSEWHERE[family]);
        expect(text).to.match(/3 packets transmitted, 3 received/);
        answering.close();
        const asked = bed.stack.listenAnyEcho({}, (request) => setImmediate(() => request.reply()));
        expect(await bed.exec('ping', `-${family}`, ...ping, FARTHER[family])).to.match(/3 received/);
        expect(asked.counts).to.include({ requested: 3, answered: 3 });
        asked.close();
      });

      if (offload) {
        it('are taken from super-packets, one by one', async () => {
          let bytes = 0;
          listener = bed.stack.listenAnyUdp({}, (request) => {
            request.accept().onDatagram = (data) => {
              expect(data.length).to.equal(1000);
              bytes += data.length;
            };
          });
          const kernel = await bed.kernel();
          const theirs = await kernel.connectUdp({
            address: ELSEWHERE[family],
            port: 7,
            options: [[17, 103, 1000]],
          });
          await theirs.send(randomBytes(30_000));
          await eventually(
            'all of them',
            () => bytes,
            (count) => count === 30_000,
          );
          await theirs.close();
        });
      }
    });
  }
}
