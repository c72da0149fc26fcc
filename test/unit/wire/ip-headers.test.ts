import { expect } from 'chai';
import { DropReason } from '../../../lib/base/stats.js';
import { addressSum } from '../../../lib/wire/checksum.js';
import { IcmpMessage } from '../../../lib/wire/icmp.js';
import { IpAddress } from '../../../lib/wire/ip-address.js';
import { IpPacket } from '../../../lib/wire/ip-packet.js';
import { Ipv4Header, ipv4AddressSum, readIpv4 } from '../../../lib/wire/ipv4.js';
import { Ipv6Header, readIpv6, writeFragmentHeader } from '../../../lib/wire/ipv6.js';
import { fragmentHeader, icmp4, pattern, read, v4, v6 } from '../../support/ip-wire.js';

function aimed(bytes: Uint8Array, at = 0): IpPacket {
  const packet = new IpPacket();
  packet.aim(bytes, new DataView(bytes.buffer, bytes.byteOffset, bytes.byteLength), at, bytes.length - at);
  return packet;
}

describe('IPv4 header', () => {
  it('is read field by field', () => {
    const packet = aimed(v4({ tos: 0xb9, ttl: 7, protocol: 6, options: [1, 1, 1, 0], payload: pattern(12) }));
    expect(readIpv4(packet)).to.equal(DropReason.None);
    expect(packet.source().toString()).to.equal('10.0.0.2');
    expect(packet.destination().toString()).to.equal('10.0.0.1');
    expect([packet.trafficClass, packet.ecn, packet.hopLimit, packet.protocol]).to.deep.equal([
      0xb9, 1, 7, 6,
    ]);
    expect([packet.payloadAt, packet.payloadBytes, packet.length]).to.deep.equal([24, 12, 36]);
    expect([packet.s0, packet.s1, packet.s2], 'mapped words').to.deep.equal([0, 0, 0xffff]);
  });

  it('is written so that a reader finds it right', () => {
    const source = IpAddress.parse('192.0.2.255');
    const destination = IpAddress.parse('203.0.113.128');
    const header = new Ipv4Header();
    Object.assign(header, {
      trafficClass: 0xff,
      totalBytes: 32,
      identification: 0xfffe,
      fragment: 0x4000,
      hopLimit: 255,
      protocol: 255,
    });
    Object.assign(header, {
      source: source.w3,
      destination: destination.w3,
      addressSum: addressSum(source, destination),
    });
    expect(ipv4AddressSum(source.w3, destination.w3)).to.equal(header.addressSum);
    const bytes = new Uint8Array(32);
    header.write(new DataView(bytes.buffer), 0);
    expect(read(bytes)).to.deep.include({
      tos: 0xff,
      id: 0xfffe,
      df: true,
      ttl: 255,
      protocol: 255,
      from: '192.0.2.255',
      to: '203.0.113.128',
    });
    header.writeWithOptions(new DataView(bytes.buffer), 0, Uint8Array.of(7, 7, 4, 0, 0, 0, 0, 0));
    expect([...read(bytes).options]).to.deep.equal([7, 7, 4, 0, 0, 0, 0, 0]);
  });
});

describe('IPv6 header', () => {
  it('is read field by field', () => {
    const packet = aimed(
      v6({ trafficClass: 0xb9, hopLimit: 7, next: 6, payload: pattern(12), flowLabel: 0xfffff }),
    );
    expect(readIpv6(packet)).to.equal(DropReason.None);
    expect(packet.source().toString()).to.equal('2001:db8::2');
    expect([packet.trafficClass, packet.ecn, packet.hopLimit, packet.protocol]).to.deep.equal([
      0xb9, 1, 7, 6,
    ]);
    expect([packet.payloadAt, packet.payloadBytes, packet.length]).to.deep.equal([40, 12, 52]);
  });

  it('is written so that a reader finds it right', () => {
    const header = new Ipv6Header();
    Object.assign(header, {
      trafficClass: 0xff,
      flowLabel: 0xabcde,
      payloadBytes: 16,
      nextHeader: 44,
      hopLimit: 255,
    });
    const bytes = new Uint8Array(56);
    const view = new DataView(bytes.buffer);
    header.write(view, 0, IpAddress.parse('fe80::1'), IpAddress.parse('ff02::fffe'));
    writeFragmentHeader(view, 40, {
      nextHeader: 17,
      offsetBytes: 65_528,
      more: true,
      identification: 0xfedcba98,
    });
    const seen = read(bytes);
    expect(seen).to.deep.include({
      tos: 0xff,
      flowLabel: 0xabcde,
      ttl: 255,
      from: 'fe80::1',
      to: 'ff02::fffe',
    });
    expect(seen).to.deep.include({ offset: 65_528, more: true, id: 0xfedcba98, protocol: 17 });
    expect([...bytes.subarray(40, 48)]).to.deep.equal(fragmentHeader(17, 65_528, true, 0xfedcba98));
  });
});

describe('IcmpMessage', () => {
  it('is aimed at messages, and at nothing shorter', () => {
    const message = new IcmpMessage();
    const bytes = icmp4(8, 1, 0x1234abcd, pattern(5));
    const view = new DataView(bytes.buffer, bytes.byteOffset);
    for (let length = 0; length < 8; length++) expect(message.parse(view, 0, length)).to.equal(false);
    expect(message.parse(view, 0, 13)).to.equal(true);
    expect([message.type, message.code, message.identifier, message.sequence]).to.deep.equal([
      8, 1, 0x1234, 0xabcd,
    ]);
    expect([message.word, message.dataAt, message.dataBytes]).to.deep.equal([0x1234abcd, 8, 5]);
  });
});
