import { expect } from 'chai';
import { htmlPage } from '../../bench/support/html.js';
import type { BenchResult, Latency, Sample } from '../../bench/support/results.js';
import { runPage } from './support/browser.js';
import { madeResult } from './support/made-result.js';

const latency: Latency = { p10Us: 1, p50Us: 2, p90Us: 2, p99Us: 3, histogram: [0, 5, 90, 5] };

function sampleResult(): BenchResult {
  const result = madeResult(
    { raw: { udp: [410, 400, 420], rtt: [9, 10, 11] }, swap: { udp: [500, 500, 510] } },
    {
      curves: [
        {
          name: 'loss',
          title: 'Goodput </script> by loss',
          source: 'virtual time',
          xTitle: '% lost',
          yTitle: 'Mbit/s',
          logX: true,
          x: [0.01, 1, 5],
          lines: [
            { name: 'cubic', y: [90, 10, null] },
            { name: 'bbr', y: [90, 85, 60] },
          ],
        },
      ],
    },
  );
  return {
    ...result,
    targets: [...result.targets, { name: 'lwip', title: 'lwIP', missing: 'needs <lwIP>' }],
    samples: result.samples.map((one): Sample => (one.measure === 'rtt' ? { ...one, latency } : one)),
  };
}

describe('page of the benchmark', () => {
  const html = htmlPage(sampleResult());

  it('needs nothing from anywhere else', () => {
    const markup = html.replace(/<(script|style)\b[^>]*>[\s\S]*?<\/\1>/g, '');
    expect(markup).to.not.match(
      /<(?:link|img|iframe|object|embed|base)\b|\b(?:src|href|action|poster|srcset)\s*=/,
    );
    expect(html).to.not.match(/<script[^>]*\ssrc|@import|url\(/);
    expect(html).to.not.match(
      /\bimport\s*\(|\bfetch\s*\(|XMLHttpRequest|WebSocket|EventSource|sendBeacon|importScripts/,
    );
    expect(html).to.not.include('http://');
    // The one address is in the plotting library's own notice.
    expect(html.match(/https:\/\/[^ "']+/g)).to.deep.equal(['https://github.com/leeoniya/uPlot']);
  });

  it('has the figures, the goals and why a row is missing as text', () => {
    expect(html).to.include('410.0<small>400.0…420.0</small>');
    expect(html).to.match(/<li class="met">raw UDP 64 B echo.*0\.82 × swap/);
    expect(html).to.include('needs &#60;lwIP&#62;');
  });

  it('lets no text end a script or a tag', () => {
    expect(html).to.not.include('Goodput </script>');
    expect(html).to.include('Goodput &#60;/script&#62; by loss');
  });

  it('draws a chart of each column, of the distribution and of each curve', () => {
    const { charts, texts } = runPage(html);
    expect(charts).to.equal(4);
    // A logarithmic axis names the points that were measured, and nothing else.
    expect(texts).to.include.members(['0.01', '1', '5']);
    expect(texts).to.not.include('null');
    expect(texts).to.include.members(['raw', 'swap', '% lost', 'Mbit/s', 'k/s', '% of round trips']);
  });
});
