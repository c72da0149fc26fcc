/** The example of datagrams to any address says what it promises. */
import { expect } from 'chai';
import { Child } from '../support/child.js';

const LIMIT_MS = 120_000;

it('example any-datagrams: one stack answers for everybody', async function () {
  this.timeout(LIMIT_MS + 5000).slow(5000);
  const node = ['--import', 'tsx', 'examples/any-datagrams.ts'];
  const { stdout, stderr } = await new Child(process.execPath, node, { limitMs: LIMIT_MS }).succeeded();
  expect(stderr).to.equal('');
  expect(stdout.trimEnd().split('\n')).to.deep.equal([
    '10.0.0.2 asks for 192.0.2.1 port 7',
    '"hello 192.0.2.1" from 192.0.2.1 port 7',
    '"hello 198.51.100.2" from 198.51.100.2 port 7',
    '"hello 203.0.113.3" from 203.0.113.3 port 7',
    '1 flow: it has one source, whatever it sends to',
    '10.0.0.2 asks for 192.0.2.1 port 25',
    'refused: EHOSTUNREACH',
    '10.0.0.2 pings 192.0.2.99',
    'and the ping was answered',
  ]);
});
