import { execFileSync, spawnSync } from 'node:child_process';
import { mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { expect } from 'chai';
import { DropReason } from '../../../lib/base/stats.js';
import type { PacketBatch } from '../../../lib/link/packet-batch.js';
import { PcapDevice } from '../../../lib/link/pcap.js';
import { PcapngWriter } from '../../../lib/link/pcapng-writer.js';
import { createPipe } from '../../../lib/link/pipe-device.js';
import { VirtualClock } from '../../../lib/sim/virtual-clock.js';
import { ChecksumState } from '../../../lib/wire/ip-packet.js';
import { makePacket, pattern } from './packets.js';

const EPOCH_US = 1_700_000_000_000_000;
const hasTshark = spawnSync('tshark', ['--version']).status === 0;

function recorded() {
  const clock = new VirtualClock(123.456);
  const chunks: Uint8Array[] = [];
  const [near, far] = createPipe({ clock, checksumOffload: true, segmentation: true });
  const device = new PcapDevice(near, { clock, epochUs: EPOCH_US, sink: (chunk) => chunks.push(chunk) });
  return { clock, chunks, far, device };
}

/** The blocks of a capture: type, body, and options by code. */
function blocks(chunks: Uint8Array[]): { type: number; body: DataView; options: Map<number, Uint8Array> }[] {
  return chunks.map((chunk) => {
    const view = new DataView(chunk.buffer);
    const type = view.getUint32(0, true);
    expect(view.getUint32(4, true)).to.equal(chunk.length);
    expect(view.getUint32(chunk.length - 4, true)).to.equal(chunk.length);
    expect(chunk.length % 4).to.equal(0);
    const fixed: Record<number, number> = { 0x0a0d0d0a: 16, 1: 8, 5: 12 };
    const bodyBytes = fixed[type] ?? 20 + ((view.getUint32(20, true) + 3) & -4);
    const options = new Map<number, Uint8Array>();
    let at = 8 + bodyBytes;
    for (;;) {
      const code = view.getUint16(at, true);
      const length = view.getUint16(at + 2, true);
      if (code === 0) break;
      options.set(code, chunk.slice(at + 4, at + 4 + length));
      at += 4 + ((length + 3) & -4);
    }
    expect(at + 8).to.equal(chunk.length);
    return { type, body: new DataView(chunk.buffer, 8, bodyBytes), options };
  });
}

const text = (bytes: Uint8Array | undefined): string => new TextDecoder().decode(bytes);

/** A capture with packets of every kind. */
function capture(): Uint8Array[] {
  const { clock, chunks, far, device } = recorded();
  far.open(() => {});
  device.open((batch) => {
    batch.setVerdict(1, DropReason.TcpChecksum);
    const answer = device.borrow() as PacketBatch;
    answer.appendPacket(makePacket({ source: 2, destination: 1, payload: 'answer' }), ChecksumState.Valid);
    device.send(answer);
    batch.bytes.fill(0, 0, batch.tail); // the stack may work in place
  });
  const batch = far.borrow() as PacketBatch;
  batch.appendPacket(makePacket({ payload: 'first' }), ChecksumState.Valid);
  batch.appendPacket(makePacket({ version: 6, payload: 'second!' }), ChecksumState.Valid);
  far.send(batch);
  clock.advanceBy(1000.25);
  const out = device.borrow() as PacketBatch;
  out.appendPacket(makePacket({ payload: 'partial', withoutChecksum: true }), ChecksumState.Partial);
  const whole = makePacket({ version: 6, payload: pattern(40_000), withoutChecksum: true });
  out.bytes.set(whole, out.tail);
  out.append(whole.length, ChecksumState.Partial, 1440, 60);
  out.appendPacket(makePacket({ protocol: 17, payload: 'x', withoutChecksum: true }), ChecksumState.Partial);
  device.send(out);
  device.close();
  device.close();
  return chunks;
}

describe('PcapDevice', () => {
  it('writes a section, an interface, packets with direction, stamp and drop reason, and statistics', () => {
    const all = blocks(capture());
    expect(all.map(({ type }) => type)).to.deep.equal([0x0a0d0d0a, 1, 6, 6, 6, 6, 6, 6, 5]);
    expect(all[0].body.getUint32(0, true)).to.equal(0x1a2b3c4d);
    expect(text(all[0].options.get(4))).to.equal('tunstack');
    expect(all[1].body.getUint16(0, true)).to.equal(101);
    expect(text(all[1].options.get(2))).to.equal('pipe0');
    expect(all[1].options.get(9)).to.deep.equal(Uint8Array.of(9));
    const packets = all.slice(2, 8).map(({ body, options }) => {
      const ns = (BigInt(body.getUint32(4, true)) << 32n) | BigInt(body.getUint32(8, true));
      return [
        Number(ns - BigInt(EPOCH_US) * 1000n),
        options.get(2)?.[0],
        body.getUint32(12, true),
        text(options.get(1)),
      ];
    });
    expect(packets).to.deep.equal([
      [123_456, 1, 45, ''],
      [123_456, 1, 67, 'dropped: TcpChecksum'],
      [123_456, 2, 46, ''],
      [1_123_706, 2, 47, ''],
      [1_123_706, 2, 40_060, ''],
      [1_123_706, 2, 29, ''],
    ]);
    expect(all[8].options.get(4)?.[0]).to.equal(6);
    expect(all[8].options.get(5)?.[0]).to.equal(1);
  });

  it('passes packets unrecorded while told to', () => {
    const { clock, chunks, far, device } = recorded();
    let heard = 0;
    far.open((batch) => (heard += batch.count));
    device.open((batch) => (heard += batch.count));
    for (const recording of [true, false, true]) {
      device.recording = recording;
      for (const link of [far, device]) {
        const batch = link.borrow() as PacketBatch;
        batch.appendPacket(makePacket({ payload: 'x' }), ChecksumState.Valid);
        link.send(batch);
      }
      clock.advanceBy(1000);
    }
    device.close();
    expect(heard).to.equal(6);
    expect(device.recorded).to.equal(4);
    expect(blocks(chunks).filter(({ type }) => type === 6)).to.have.length(4);
  });

  it('records what came in before the answers to it, as it was, with checksums complete', () => {
    const bodies = blocks(capture())
      .filter(({ type }) => type === 6)
      .map(({ body }) => new Uint8Array(body.buffer, body.byteOffset + 20, body.getUint32(12, true)));
    expect(bodies[0]).to.deep.equal(makePacket({ payload: 'first' }));
    expect(bodies[1]).to.deep.equal(makePacket({ version: 6, payload: 'second!' }));
    expect(bodies[2]).to.deep.equal(makePacket({ source: 2, destination: 1, payload: 'answer' }));
    expect(bodies[3]).to.deep.equal(makePacket({ payload: 'partial' }));
    expect(bodies[4]).to.deep.equal(makePacket({ version: 6, payload: pattern(40_000) }));
    expect(bodies[5]).to.deep.equal(makePacket({ protocol: 17, payload: 'x' }));
  });

  it('passes on what the inner link is, says and does', () => {
    const { clock, far, device } = recorded();
    expect(device).to.include({ name: 'pipe0', mtu: 1500, maxPacketBytes: 65_535, checksumOffload: true });
    expect(device.udpSegmentation).to.equal(false);
    let writable = 0;
    const down: string[] = [];
    device.onWritable = () => writable++;
    device.onDown = (error) => down.push((error as NodeJS.ErrnoException).code ?? '');
    let seen = 0;
    far.open((batch) => {
      seen += batch.count;
    });
    for (let batch = device.borrow(); batch !== undefined; batch = device.borrow()) {
      for (let i = 0; i < 64; i++) batch.appendPacket(makePacket());
      device.send(batch);
    }
    clock.advanceBy(0);
    expect(writable).to.equal(1);
    expect(seen).to.equal(device.recorded);
    far.close();
    clock.advanceBy(0);
    expect(down).to.deep.equal(['ENETDOWN']);
    device.ref();
    device.unref();
  });

  it('records also what was in hand when the stack threw', () => {
    const { clock, chunks, far, device } = recorded();
    device.open(() => {
      throw new Error('stack');
    });
    const batch = far.borrow() as PacketBatch;
    batch.appendPacket(makePacket());
    far.send(batch);
    expect(() => clock.advanceBy(0)).to.throw('stack');
    expect(blocks(chunks).map(({ type }) => type)).to.deep.equal([0x0a0d0d0a, 1, 6]);
  });

  it('puts several links into one capture', () => {
    const clock = new VirtualClock();
    const chunks: Uint8Array[] = [];
    const writer = new PcapngWriter((chunk) => chunks.push(chunk), 'größer 😀');
    const [a, b] = createPipe({ clock, names: ['left', 'right'] });
    const left = new PcapDevice(a, { clock, writer });
    const right = new PcapDevice(b, { clock, writer });
    left.open(() => {});
    right.open(() => {});
    const batch = left.borrow() as PacketBatch;
    batch.appendPacket(makePacket());
    left.send(batch);
    clock.advanceBy(0);
    const all = blocks(chunks);
    expect(all.map(({ type }) => type)).to.deep.equal([0x0a0d0d0a, 1, 1, 6, 6]);
    expect(text(all[0].options.get(4))).to.equal('größer 😀');
    expect(all.slice(3).map(({ body }) => body.getUint32(0, true))).to.deep.equal([0, 1]);
    expect(() => new PcapDevice(a, { clock })).to.throw(TypeError);
  });

  it('is read by tshark without complaint', function () {
    if (!hasTshark) this.skip();
    this.timeout(30_000);
    const folder = mkdtempSync(join(tmpdir(), 'pcap-'));
    try {
      const file = join(folder, 'test.pcapng');
      writeFileSync(file, Buffer.concat(capture()));
      const checks = ['tcp.check_checksum', 'udp.check_checksum', 'ip.check_checksum'].flatMap((name) => [
        '-o',
        `${name}:TRUE`,
      ]);
      const fields = [
        'frame.time_epoch',
        'frame.len',
        'frame.packet_flags_direction',
        'frame.comment',
        'frame.interface_name',
      ];
      const status = ['ip.checksum.status', 'tcp.checksum.status', 'udp.checksum.status', '_ws.malformed'];
      const args = [
        '-r',
        file,
        ...checks,
        '-T',
        'fields',
        '-E',
        'separator=;',
        ...[...fields, ...status].flatMap((field) => ['-e', field]),
      ];
      const result = spawnSync('tshark', args, { encoding: 'utf8' });
      const complaints = result.stderr
        .split('\n')
        .filter((line) => line !== '' && !line.includes('Running as user'));
      expect(complaints).to.deep.equal([]);
      expect(result.stdout.trim().split('\n')).to.deep.equal([
        '1700000000.000123456;45;0x00000001;;pipe0;1;1;;',
        '1700000000.000123456;67;0x00000001;dropped: TcpChecksum;pipe0;;1;;',
        '1700000000.000123456;46;0x00000002;;pipe0;1;1;;',
        '1700000000.001123706;47;0x00000002;;pipe0;1;1;;',
        '1700000000.001123706;40060;0x00000002;;pipe0;;1;;',
        '1700000000.001123706;29;0x00000002;;pipe0;1;;1;',
      ]);
      expect(execFileSync('capinfos', ['-c', '-M', file], { encoding: 'utf8' })).to.match(
        /Number of packets:\s+6/,
      );
    } finally {
      rmSync(folder, { recursive: true });
    }
  });
});
