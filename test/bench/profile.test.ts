import { expect } from 'chai';
import { flameGraph, sharesByKind } from '../../bench/profile/flame-graph.js';
import { type Frame, readableName, readStacks } from '../../bench/profile/stacks.js';

/** Three samples as `perf script` prints them: in the kernel, in the stack, and in another thread. */
const PRINTED = `
node  4907 38636.552645:     500250 cpu-clock: 
\tffffffff81e6651d tcp_v4_rcv.part.0+0x8d ([kernel.kallsyms])
\tffffffff816b81fa do_writev+0x7a ([kernel.kallsyms])
\t           fde9d __GI___writev+0x4d (/usr/lib/x86_64-linux-gnu/libc.so.6)
\t           27d76 [unknown] (/somewhere/prebuilds/linux-x64/tunstack.node)
\t    7f8962c6c256 JS:*flush file:///somewhere/lib/stack/link-port.ts:1:6621+0x416 (/tmp/perf-3435.map)
\t         14c05fb uv__io_poll+0x4db (/usr/bin/node)
\t         14ac8a7 uv_run+0x187 (/usr/bin/node)

node  4907 38636.553145:     500250 cpu-clock: 
\t    7f8962c36eb6 JS:~ file:///somewhere/lib/link/tun-device.ts:1:2617+0xea (/tmp/perf-3435.map)
\t         14c05fb uv__io_poll+0x4db (/usr/bin/node)

node  4911 38636.553145:     500250 cpu-clock: 
\t          b0c01d v8::internal::Heap<(anonymous namespace)::Kind>::Work(int)+0x14d (/usr/bin/node)
\t           27fff start_thread+0x1 (/usr/lib/x86_64-linux-gnu/libc.so.6)
`;

const read = (): Frame => readStacks(PRINTED, /^uv__io_poll$/);

const namesBelow = (frame: Frame): unknown[] =>
  [...frame.called.values()].map((called) => [called.name, called.samples, ...namesBelow(called)]);

describe('profiles of the benchmark', () => {
  it('name functions as readers know them', () => {
    expect(readableName('tcp_ack.isra.0+0x12', '[kernel.kallsyms]')).to.equal('tcp_ack [kernel]');
    expect(
      readableName('JS:*#find file:///a/b/lib/tcp/connection-table.ts:1:80+0x1', '/tmp/perf-1.map'),
    ).to.equal('#find lib/tcp/connection-table.ts');
    expect(readableName('JS:*get count file:///a/b/lib/tcp/segment.ts:1:80+0x1', '/tmp/perf-1.map')).to.equal(
      'get count lib/tcp/segment.ts',
    );
    expect(readableName('JS:^emit node:events:470:28+0x1', '/tmp/perf-1.map')).to.equal('emit node:events');
    const inPackage = '/a/b/node_modules/tsx/dist/register-B1.cjs:19:15';
    for (const name of ['JS:~<static_initializer>', 'JS:~', 'Eval:~']) {
      expect(readableName(`${name} ${inPackage}+0x1`, '/tmp/perf-1.map')).to.match(
        /^(?:<static_initializer>|anonymous) node_modules\/tsx$/,
      );
    }
    expect(
      readableName('JS:*of file:///a/node_modules/@b/lib/c/lib/d.js:1:2+0x1', '/tmp/perf-1.map'),
    ).to.equal('of node_modules/@b/lib');
    expect(readableName('uv_run+0x187', '/usr/bin/node')).to.equal('uv_run');
  });

  it('add up stacks from where a program begins its own work', () => {
    expect(namesBelow(read())).to.deep.equal([
      [
        'uv__io_poll',
        2,
        [
          'flush lib/stack/link-port.ts',
          1,
          ['tunstack.node', 1, ['__GI___writev', 1, ['do_writev [kernel]', 1, ['tcp_v4_rcv [kernel]', 1]]]],
        ],
        ['anonymous lib/link/tun-device.ts', 1],
      ],
      ['(elsewhere)', 1, ['v8::internal::Heap<(anonymous namespace)::Kind>::Work(int)', 1]],
    ]);
  });

  it('tell whose code was running', () => {
    const shares = sharesByKind(read());
    expect([shares.get('kernel'), shares.get('links and turn'), shares.get('Node, V8, libc')]).to.deep.equal([
      1, 1, 1,
    ]);
    expect([...shares.values()].reduce((sum, samples) => sum + samples)).to.equal(3);
  });

  it('are drawn as one SVG that says what each box is, with nothing to load', () => {
    const svg = flameGraph(read(), 'round trips & more');
    expect(svg).to.match(/^<svg [^]*<\/svg>\n$/);
    expect(svg).to.include('round trips &amp; more');
    expect(svg).to.include('<title>uv__io_poll: 66.7 %</title>');
    expect(svg).to.include('v8::internal::Heap&lt;(anonymous');
    expect(svg.match(/<rect /g)).to.have.length(1 + 3 + 10);
    expect(svg.replaceAll('http://www.w3.org/2000/svg', '')).not.to.match(/https?:/);
  });
});
