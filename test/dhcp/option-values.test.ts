import { expect } from 'chai';
import { type DhcpMessage, DhcpOption, readDhcp, writeDhcp } from '../../lib/dhcp/message.js';
import {
  addressesIn,
  domainBytes,
  domainsIn,
  prefixLengthIn,
  routeBytes,
  routesIn,
  textIn,
} from '../../lib/dhcp/option-values.js';
import { readUdp, writeUdp } from '../../lib/dhcp/udp-packet.js';
import { MacAddress } from '../../lib/ethernet/mac-address.js';
import { ANY_V4, IpAddress, IpPrefix } from '../../lib/wire/ip-address.js';

const messageWith = (options: readonly (readonly [number, readonly number[]])[]): DhcpMessage => ({
  isRequest: false,
  type: 5,
  transaction: 0x1234_5678,
  seconds: 7,
  isBroadcast: true,
  clientAddress: ANY_V4,
  yourAddress: IpAddress.parse('10.0.0.9'),
  relay: ANY_V4,
  mac: MacAddress.parse('52:54:00:00:00:09'),
  options: new Map(options.map(([code, bytes]) => [code, Uint8Array.from(bytes)])),
});

describe('DHCP options', () => {
  it('are read as they were written, also one longer than its length field says (RFC 3396)', () => {
    const long = Array.from({ length: 700 }, (_, i) => i & 0xff);
    const message = messageWith([[DhcpOption.ClasslessRoutes, long]]);
    const read = readDhcp(writeDhcp(message));
    expect(read?.options.get(DhcpOption.ClasslessRoutes)).to.deep.equal(Uint8Array.from(long));
    expect(read).to.deep.include({ transaction: 0x1234_5678, seconds: 7, isBroadcast: true, type: 5 });
    expect(read?.yourAddress.toString()).to.equal('10.0.0.9');
  });

  it('are read from the fields of names where a message says so (RFC 2131 §4.1)', () => {
    const bytes = writeDhcp(messageWith([[DhcpOption.Overload, [3]]]));
    bytes.set([15, 3, 0x61, 0x62, 0x63, 255], 108);
    bytes.set([12, 2, 0x68, 0x69, 255], 44);
    const read = readDhcp(bytes);
    expect(read === undefined ? '' : textIn(read, DhcpOption.Domain)).to.equal('abc');
    expect(read === undefined ? '' : textIn(read, DhcpOption.HostName)).to.equal('hi');
  });

  it('make a message none that reach beyond it, are too many, or lack the type', () => {
    const whole = writeDhcp(messageWith([]));
    expect(readDhcp(whole.subarray(0, 239))).to.equal(undefined);
    const beyond = whole.slice();
    beyond.set([12, 200], 243);
    expect(readDhcp(beyond)).to.equal(undefined);
    const many = new Uint8Array(1200);
    many.set(whole.subarray(0, 243));
    for (let i = 0; i < 300; i++) many.set([200, 0], 243 + 2 * i);
    expect(readDhcp(many)).to.equal(undefined);
    const typeless = whole.slice();
    typeless[242] = 99;
    expect(readDhcp(typeless)).to.equal(undefined);
    const other = whole.slice();
    other[1] = 6;
    expect(readDhcp(other)).to.equal(undefined);
  });

  it('are bounded however often a piece of one comes', () => {
    const bytes = new Uint8Array(20_000);
    bytes.set(writeDhcp(messageWith([])).subarray(0, 243));
    for (let i = 0; i < 60; i++) bytes.set([121, 255], 243 + 257 * i);
    bytes[243 + 257 * 60] = 255;
    expect(readDhcp(bytes)?.options.get(121)?.length).to.be.at.most(1024);
  });

  it('with names that point in circles, forward, or nowhere end, and give what came before [E31]', () => {
    const names = (...bytes: number[]): string[] => domainsIn(messageWith([[119, bytes]]), 119);
    const label = [3, 0x61, 0x62, 0x63];
    expect(names(...label, 0, 1, 0x64, 0xc0, 0)).to.deep.equal(['abc', 'd.abc']);
    expect(names(...label, 0, 0xc0, 5)).to.deep.equal(['abc']);
    expect(names(0xc0, 0)).to.deep.equal([]);
    expect(names(0xc0, 2, 0xc0, 0)).to.deep.equal([]);
    expect(names(1, 0x61, 0xc0, 0)).to.deep.equal([]);
    expect(names(0xc0)).to.deep.equal([]);
    expect(names(...label)).to.deep.equal([]);
    expect(names(70, ...new Array<number>(70).fill(0x61), 0)).to.deep.equal([]);
    expect(names(2, 0x2e, 0x0a, 0)).to.deep.equal([]);
    expect(names(0, 0, 0, 0)).to.deep.equal([]);
    expect(names(...domainBytes(['a.test', 'b.a.test']))).to.deep.equal(['a.test', 'b.a.test']);
  });

  it('with routes and masks that cannot be are left out', () => {
    const routes = [
      { destination: IpPrefix.parse('0.0.0.0/0'), gateway: IpAddress.parse('10.0.0.1') },
      { destination: IpPrefix.parse('192.168.4.0/22'), gateway: ANY_V4 },
    ];
    const bytes = [...routeBytes(routes)];
    const read = (list: number[]): string[] =>
      routesIn(messageWith([[121, list]]), 121).map((route) => `${route.destination} ${route.gateway}`);
    expect(read(bytes)).to.deep.equal(['0.0.0.0/0 10.0.0.1', '192.168.4.0/22 0.0.0.0']);
    expect(read(bytes.slice(0, -1))).to.deep.equal(['0.0.0.0/0 10.0.0.1']);
    expect(read([33, 1, 2, 3, 4, 5, 6, 7, 8, 9])).to.deep.equal([]);
    const length = (...mask: number[]): number | undefined => prefixLengthIn(messageWith([[1, mask]]), 1);
    expect(length(255, 255, 252, 0)).to.equal(22);
    expect(length(255, 0, 255, 0)).to.equal(undefined);
    expect(length(255, 255, 255)).to.equal(undefined);
    expect(addressesIn(messageWith([[6, [1, 2, 3]]]), 6)).to.deep.equal([]);
    expect(textIn(messageWith([[15, [0x61, 0, 0]]]), 15)).to.equal('a');
    expect(textIn(messageWith([[15, [0x61, 7]]]), 15)).to.equal(undefined);
  });
});

describe('UDP below the stack', () => {
  const packet = writeUdp({
    source: IpAddress.parse('10.0.0.1'),
    sourcePort: 67,
    destination: IpAddress.parse('10.0.0.9'),
    destinationPort: 68,
    payload: Uint8Array.of(1, 2, 3),
  });

  it('is read as it was written', () => {
    const read = readUdp(packet);
    expect(read?.payload).to.deep.equal(Uint8Array.of(1, 2, 3));
    expect([read?.sourcePort, read?.destinationPort]).to.deep.equal([67, 68]);
    expect([String(read?.source), String(read?.destination)]).to.deep.equal(['10.0.0.1', '10.0.0.9']);
  });

  it('is refused with any bit changed, or any byte missing', () => {
    for (let bit = 0; bit < packet.length * 8; bit++) {
      const changed = packet.slice();
      changed[bit >> 3] ^= 1 << (bit & 7);
      expect(readUdp(changed), `bit ${bit}`).to.equal(undefined);
    }
    for (let length = 0; length < packet.length; length++) {
      expect(readUdp(packet.subarray(0, length)), `${length} bytes`).to.equal(undefined);
    }
  });

  it('is taken with a checksum that was only begun, where somebody vouches for it', () => {
    const begun = packet.slice();
    begun[26] ^= 0x55;
    expect(readUdp(begun)).to.equal(undefined);
    expect(readUdp(begun, true)?.payload).to.deep.equal(Uint8Array.of(1, 2, 3));
  });
});
