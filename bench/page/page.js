/**
 * Draws the charts of the page. Runs in the browser, with uPlot before it and the charts as data in the
 * page itself; nothing is loaded.
 */
(() => {
  const { uPlot } = window;
  const charts = JSON.parse(document.getElementById('charts').textContent);
  const COLOURS = [
    '#2563eb',
    '#dc2626',
    '#16a34a',
    '#9333ea',
    '#ea580c',
    '#0891b2',
    '#4b5563',
    '#ca8a04',
    '#db2777',
    '#65a30d',
    '#7c3aed',
  ];
  const colour = (i) => COLOURS[i % COLOURS.length];
  const known = (value) => value !== null && value !== undefined;

  /** As wide as its place in the page, and never too narrow for its labels. */
  const widthOf = (element) => Math.max(320, element.clientWidth);

  /** Medians as bars from 0, and every round as a dot: what of a difference is noise can be seen. */
  function drawBars(element, chart) {
    const x = chart.rows.map((_, i) => i);
    const rounds = Math.max(...chart.rows.map((row) => row.values.length));
    const dots = Array.from({ length: rounds }, (_, round) =>
      chart.rows.map((row) => row.values[round] ?? null),
    );
    const height = Math.max(...chart.rows.flatMap((row) => [row.median, ...row.values]).filter(known));
    new uPlot(
      {
        width: widthOf(element),
        height: 300,
        // The last title reaches beyond its bar.
        padding: [null, 50, null, null],
        legend: { show: false },
        cursor: { show: false },
        scales: { x: { time: false, range: [-0.6, x.length - 0.4] }, y: { range: [0, height * 1.08] } },
        axes: [
          {
            splits: () => x,
            values: () => chart.rows.map((row) => row.title),
            grid: { show: false },
            rotate: -40,
            size: 95,
            gap: 2,
          },
          { label: chart.unit, labelSize: 18, size: 55 },
        ],
        series: [
          {},
          {
            fill: '#93b4f5',
            stroke: '#2563eb',
            paths: uPlot.paths.bars({ size: [0.7, 60] }),
            points: { show: false },
          },
          ...dots.map(() => ({
            stroke: '#111',
            paths: () => null,
            points: { show: true, size: 5, fill: '#111' },
          })),
        ],
      },
      [x, chart.rows.map((row) => row.median), ...dots],
      element,
    );
  }

  function drawLines(element, chart) {
    const logX = chart.logX ? { distr: 3 } : {};
    new uPlot(
      {
        width: widthOf(element),
        height: 340,
        scales: {
          x: { time: false, ...logX },
          y: { range: (_, _low, high) => [0, high > 0 ? high * 1.05 : 1] },
        },
        axes: [
          {
            label: chart.xTitle,
            labelSize: 22,
            ...(chart.logX
              ? { splits: () => chart.x, filter: (_, splits) => splits, values: (_, all) => all.map(String) }
              : {}),
          },
          { label: chart.yTitle, labelSize: 18, size: 65 },
        ],
        series: [
          { label: chart.xTitle },
          ...chart.lines.map((line, i) => ({
            label: line.name,
            stroke: colour(i),
            width: 2,
            points: { show: chart.points, size: 6 },
            value: (_, value) => (known(value) ? String(Number(value.toPrecision(4))) : '–'),
            spanGaps: true,
          })),
        ],
      },
      [chart.x, ...chart.lines.map((line) => line.y)],
      element,
    );
  }

  for (const element of document.querySelectorAll('[data-chart]')) {
    const chart = charts[Number(element.dataset.chart)];
    (chart.kind === 'bars' ? drawBars : drawLines)(element, chart);
  }
})();
