/** UDP between the stack and the kernel, by the datagram and by the super-packet. */
import { randomBytes } from 'node:crypto';
import { once } from 'node:events';
import { expect } from 'chai';
import { FAMILIES, InteropBed, KERNEL, STACK } from '../support/interop.js';
import { AwaitedUdp } from '../support/interop-udp.js';
import { errorOf, eventually } from '../support/interop-wait.js';

/** Of `linux/udp.h`, which Python does not know. */
const SOL_UDP = 17;
const UDP_SEGMENT = 103;

for (const offload of [true, false]) {
  for (const family of FAMILIES) {
    describe(`UDP, IPv${family}, ${offload ? 'with' : 'without'} offloads`, function () {
      this.timeout(20_000);
      /** Payloads: none, few, the largest in one packet, one more, several fragments, the largest there is. */
      const whole = family === 4 ? 1472 : 1452;
      const sizes = [0, 1, 512, whole, whole + 1, 9000, family === 4 ? 65_507 : 65_527];
      let bed: InteropBed;
      let ours: AwaitedUdp;
      before(async function () {
        bed = await InteropBed.createOrSkip(this, { offload });
      });
      after(() => bed?.close());
      beforeEach(() => {
        ours = new AwaitedUdp(bed.stack, family);
      });
      afterEach(() => ours.close());

      it('sends back to the kernel what came from it', async () => {
        ours.bind();
        const place = { address: STACK[family], port: ours.endpoint.localPort };
        const kernel = await bed.kernel();
        const theirs = await kernel.connectUdp(place);
        for (const size of sizes) {
          const data = randomBytes(size);
          await theirs.send(data);
          const arrived = await ours.receive();
          expect(arrived.from).to.deep.equal(theirs.local);
          expect(arrived.data.equals(data), `${size} bytes to the stack`).to.equal(true);
          await ours.send(arrived.data, arrived.from);
          const back = await theirs.receive();
          expect(back.from).to.deep.equal(place);
          expect(back.data.equals(data), `${size} bytes to the kernel`).to.equal(true);
        }
        await theirs.close();
      });

      it('gets back from the kernel what it sent there', async () => {
        const kernel = await bed.kernel();
        const theirs = await kernel.bindUdp({ address: KERNEL[family] });
        ours.connect(theirs.local);
        for (const size of sizes) {
          const data = randomBytes(size);
          await ours.send(data);
          const { data: arrived, from } = await theirs.receive();
          expect(from).to.deep.equal({ address: STACK[family], port: ours.endpoint.localPort });
          await theirs.sendTo(from, arrived);
          const back = await ours.receive();
          expect(back.data.equals(data), `${size} bytes`).to.equal(true);
          expect(back.from).to.deep.equal(theirs.local);
        }
        await theirs.close();
      });

      it('echoes through a socket of stack.dgram', async () => {
        const socket = bed.stack.dgram.createSocket(family === 4 ? 'udp4' : 'udp6');
        try {
          socket.on('message', (message, from) => socket.send(message, from.port, from.address));
          socket.bind(0, STACK[family]);
          await once(socket, 'listening');
          const kernel = await bed.kernel();
          const theirs = await kernel.connectUdp({ address: STACK[family], port: socket.address().port });
          for (const size of sizes) {
            const data = randomBytes(size);
            await theirs.send(data);
            expect((await theirs.receive()).data.equals(data), `${size} bytes`).to.equal(true);
          }
          await theirs.close();
        } finally {
          socket.close();
        }
      });

      it('refuses the kernel a port where nobody listens', async () => {
        const kernel = await bed.kernel();
        const theirs = await kernel.connectUdp({ address: STACK[family], port: 9 });
        await theirs.send('anybody?');
        expect(await errorOf(theirs.receive())).to.equal('ECONNREFUSED');
        await theirs.close();
      });

      it('is refused by the kernel where nobody listens, once, and goes on', async () => {
        const kernel = await bed.kernel();
        ours.connect({ address: KERNEL[family], port: 9 });
        await ours.send(Buffer.from('anybody?'));
        expect(await errorOf(ours.receive())).to.equal('ECONNREFUSED');
        const theirs = await kernel.bindUdp({ address: KERNEL[family], port: 9 });
        await ours.send(Buffer.from('anybody?'));
        expect((await theirs.receive()).data.toString()).to.equal('anybody?');
        await theirs.close();
      });

      it('takes apart what the kernel sends as one super-packet', async () => {
        ours.bind();
        const kernel = await bed.kernel();
        const theirs = await kernel.connectUdp({
          address: STACK[family],
          port: ours.endpoint.localPort,
          options: [[SOL_UDP, UDP_SEGMENT, 1000]],
        });
        const data = randomBytes(30_500);
        await theirs.send(data);
        for (let at = 0; at < data.length; at += 1000) {
          const piece = (await ours.receive()).data;
          expect(piece.equals(data.subarray(at, at + 1000)), `from byte ${at}`).to.equal(true);
        }
        await theirs.close();
      });

      it('sends several datagrams at once', async () => {
        const kernel = await bed.kernel();
        const theirs = await kernel.bindUdp({ address: KERNEL[family] });
        ours.connect(theirs.local);
        const data = randomBytes(30_500);
        await ours.send(data, undefined, 1000);
        for (let at = 0; at < data.length; at += 1000) {
          const piece = (await theirs.receive()).data;
          expect(piece.equals(data.subarray(at, at + 1000)), `from byte ${at}`).to.equal(true);
        }
        await theirs.close();
      });

      it('counts every datagram of a burst, those it had no room for too', async () => {
        ours.bind();
        const kernel = await bed.kernel();
        const theirs = await kernel.connectUdp({ address: STACK[family], port: ours.endpoint.localPort });
        const { inDatagrams, rcvbufErrors } = bed.stack.stats.udp;
        const COUNT = 300;
        await Promise.all(Array.from({ length: COUNT }, () => theirs.send(randomBytes(1200))));
        const { udp } = bed.stack.stats;
        const received = (): number => udp.inDatagrams - inDatagrams;
        const dropped = (): number => udp.rcvbufErrors - rcvbufErrors;
        await eventually(
          'all of them',
          () => received() + dropped(),
          (count) => count === COUNT,
        );
        expect(dropped()).to.be.above(0);
        expect(ours.endpoint.queuedDatagrams).to.equal(received());
        for (let i = 0; i < received(); i++) expect((await ours.receive()).data).to.have.lengthOf(1200);
        await theirs.close();
      });

      it('is the only hop of a traceroute', async () => {
        const args = [`-${family}`, '-n', '-q', '3', '-w', '2', '-m', '5', STACK[family]];
        const text = await bed.exec('traceroute', ...args);
        const hops = text.trim().split('\n').slice(1);
        expect(hops, text).to.have.lengthOf(1);
        expect(hops[0].trim()).to.match(/^1 +\S+( +[\d.]+ ms){3}$/);
      });
    });
  }
}
