import { expect } from 'chai';
import { UsageError } from '../../../lib/cli/frame/errors.js';
import * as values from '../../../lib/cli/frame/values.js';

describe('values of the command line', () => {
  const CASES: ReadonlyArray<
    readonly [name: string, read: (text: string) => unknown, good: Record<string, unknown>, bad: string[]]
  > = [
    [
      'whole numbers',
      values.integer(1, 9),
      { 1: 1, 9: 9, '+3': 3, '03': 3 },
      ['0', '10', '1.5', '', 'x', '1e0'],
    ],
    ['ports', values.port, { 1: 1, 65535: 65_535 }, ['0', '65536', '-1', 'http']],
    [
      'times in seconds',
      values.seconds,
      { 2: 2000, 0.2: 200, '.5': 500, '500ms': 500, '1m': 60_000, '2h': 7_200_000, '10us': 0.01, 0: 0 },
      ['', 'x', '-1', '1 s', '1d', '1000h', '1e3', '.'],
    ],
    ['times with a unit', values.duration(), { '50ms': 50, '1.5s': 1500 }, ['50', 'ms']],
    [
      'rates',
      values.rate,
      { '10mbit': 1e7, '500kbit': 5e5, '1.5Gbit': 1.5e9, '9bit/s': 9 },
      ['10', '0mbit', '10mb', '-1bit'],
    ],
    [
      'probabilities',
      values.probability,
      { '2%': 0.02, 0.02: 0.02, '100%': 1, 1: 1, 0: 0 },
      ['2', '101%', '-1%', '%'],
    ],
    [
      'whole milliseconds',
      values.milliseconds(1, 60_000),
      { 2: 2000, '1.4ms': 1, '500us': 1, '1m': 60_000 },
      ['0', '0.4ms', '61', 'x'],
    ],
    [
      'names of interfaces',
      values.interfaceName,
      { tun7: 'tun7', 'tun%d': 'tun%d', 'a-name.of_15.b': 'a-name.of_15.b' },
      ['', '.', '..', 'a b', 'a/b', 'a:b', 'sixteen-bytes-16', 'ääääääää'],
    ],
    [
      'name servers',
      values.nameServer,
      { '192.0.2.1': '192.0.2.1', '192.0.2.1:5353': '192.0.2.1:5353', '[fd00::1]:53': '[fd00::1]:53' },
      ['', 'name', '192.0.2.256', '192.0.2.1:0', '53', 'fd00::1:x'],
    ],
    [
      'addresses with a length',
      values.addressAndLength,
      { '10.0.0.1/24': '10.0.0.1/24', 'fd00::1/64': 'fd00::1/64', 'FD00:0::01/064': 'fd00::1/64' },
      ['10.0.0.1', '10.0.0.1/33', 'x/8'],
    ],
    ['prefixes', values.prefix, { '10.0.0.0/8': '10.0.0.0/8', '::1': '::1' }, ['10.0.0/8', 'fd00::/129']],
    ['addresses', values.address, { '10.0.0.1': '10.0.0.1' }, ['10.0.0.256', '10.0.0.1/8', 'host']],
    [
      'ranges of ports',
      values.portRanges,
      {
        80: [[80, 80]],
        '22,80-90': [
          [22, 22],
          [80, 90],
        ],
      },
      ['', '0', '90-80', '1-65536', '80,', '80-', 'a'],
    ],
  ];
  for (const [name, read, good, bad] of CASES) {
    it(`${name} are read`, () => {
      for (const [text, value] of Object.entries(good)) expect(read(text), text).to.deep.equal(value);
    });
    it(`${name} that are none are refused in a sentence`, () => {
      for (const text of bad) expect(() => read(text), `"${text}"`).to.throw(UsageError, /^expected /);
    });
  }
});
