"use strict";
// Draws the table that each canvas names, so that chart and table never differ.
(() => {
  const library = document.currentScript.dataset.library;
  const colour = (name) => getComputedStyle(document.documentElement).getPropertyValue(name).trim();
  const cells = (row) => [...row.querySelectorAll("td")];
  const calm = matchMedia("(prefers-reduced-motion: reduce)");

  function read(table) {
    const rows = [...table.tBodies[0].rows];
    const heads = [...table.tHead.querySelectorAll("[data-kind]")];
    return {
      labels: rows.map((row) => row.querySelector("th").firstChild.textContent.trim()),
      marks: rows.map((row) => row.dataset.mark || ""),
      series: heads.map((head, at) => ({
        label: head.textContent,
        kind: head.dataset.kind,
        data: rows.map((row) => { const value = cells(row)[at].dataset.value; return value === "" ? null : Number(value); }),
      })),
    };
  }

  function seconds(value) {
    if (value >= 3600) return `${+(value / 3600).toPrecision(3)} h`;
    if (value >= 60) return `${+(value / 60).toPrecision(3)} min`;
    return value >= 1 ? `${+value.toPrecision(3)} s` : `${+(value * 1000).toPrecision(3)} ms`;
  }

  // Powers of ten; where the chart spans less than two of them, 2 and 5 as well, so that every axis has a number.
  function marked(value, _at, ticks) {
    const wide = ticks[ticks.length - 1].value / ticks[0].value >= 100;
    return (wide ? /^1e/ : /^[125]e/).test(value.toExponential()) ? seconds(value) : null;
  }

  function dataset(series, at, timed) {
    const paint = [colour("--chart-1"), colour("--chart-2"), colour("--chart-3")][at];
    const ends = series.kind === "dashed" ? { borderDash: [6, 4] } : {};
    // a logarithmic scale has no zero
    const data = timed ? series.data.map((value) => (value === null || value <= 0 ? null : Math.max(value, 0.001))) : series.data;
    return { label: series.label, data, borderColor: paint, backgroundColor: paint, borderWidth: 2, pointRadius: alone, pointHitRadius: 8, tension: 0, ...ends };
  }

  // A point between two gaps has no line: it is drawn as a point.
  const alone = ({ dataset: { data }, dataIndex: at }) => (data[at - 1] == null && data[at + 1] == null ? 2 : 0);

  // A dashed line at the last deployment, with its version.
  const deployments = {
    id: "deployments",
    afterDatasetsDraw(chart) {
      const { ctx, chartArea: area, scales: { x } } = chart, marks = read(document.getElementById(chart.canvas.dataset.table)).marks;
      marks.forEach((version, at) => {
        if (!version) return;
        const left = x.getPixelForValue(at), late = left > (area.left + area.right) / 2;
        ctx.save();
        ctx.strokeStyle = ctx.fillStyle = colour("--body-quiet-color");
        ctx.setLineDash([4, 4]);
        ctx.beginPath(); ctx.moveTo(left, area.top); ctx.lineTo(left, area.bottom); ctx.stroke();
        ctx.textAlign = late ? "right" : "left";
        ctx.fillText(version, left + (late ? -4 : 4), area.top + 10);
        ctx.restore();
      });
    },
  };

  // A bar leads to the jobs of its time, as the number in the table does.
  const cellOf = (canvas, item) => item && cells(document.getElementById(canvas.dataset.table).tBodies[0].rows[item.index])[item.datasetIndex];
  const linkOf = (canvas, chart, event) => cellOf(canvas, chart.getElementsAtEventForMode(event, "nearest", { intersect: true }, false)[0])?.querySelector("a");

  function options(canvas, timed, bars) {
    const grid = { color: colour("--hairline-color") }, ticks = { color: colour("--body-quiet-color"), maxRotation: 0, autoSkipPadding: 16 };
    const y = timed ? { type: "logarithmic", ticks: { ...ticks, callback: marked } }
                    : { beginAtZero: true, ticks };
    return {
      animation: calm.matches ? false : { duration: 200 },
      responsive: true, maintainAspectRatio: false,
      interaction: { mode: "index", intersect: false },
      onClick: (event, _items, chart) => linkOf(canvas, chart, event)?.click(),
      onHover: (event, _items, chart) => canvas.classList.toggle("leads", Boolean(linkOf(canvas, chart, event))),
      scales: { x: { grid: { display: false }, ticks, stacked: bars }, y: { ...y, grid, stacked: bars } },
      plugins: {
        legend: { labels: { color: colour("--body-fg"), usePointStyle: true, pointStyle: bars ? "rect" : "line", pointStyleWidth: bars ? 12 : 28 } },
        tooltip: { callbacks: { label: (item) => `${item.dataset.label}: ${timed ? seconds(item.raw) : item.raw}` } },
      },
    };
  }

  function draw(canvas) {
    const table = document.getElementById(canvas.dataset.table), { labels, series } = read(table);
    const timed = canvas.dataset.unit === "s", bars = series[0].kind === "bar";
    const datasets = series.map((one, at) => dataset(one, at, timed));
    const there = Chart.getChart(canvas);
    if (there) {
      there.data.labels = labels;
      there.data.datasets.forEach((one, at) => { one.data = datasets[at].data; });
      there.update("none");
    } else new Chart(canvas, { type: bars ? "bar" : "line", data: { labels, datasets }, options: options(canvas, timed, bars), plugins: [deployments] });
  }

  const all = () => document.querySelectorAll("canvas[data-table]");
  const again = () => all().forEach((canvas) => { Chart.getChart(canvas)?.destroy(); draw(canvas); });

  function start() {
    all().forEach(draw);
    document.addEventListener("refreshed", () => all().forEach(draw));
    matchMedia("(prefers-color-scheme: dark)").addEventListener("change", again);
    new MutationObserver(again).observe(document.documentElement, { attributeFilter: ["data-theme"] });
  }

  // The library is five times as large as the page: it is loaded when a chart comes near the window.
  const near = new IntersectionObserver((seen) => {
    if (!seen.some((one) => one.isIntersecting)) return;
    near.disconnect();
    const script = Object.assign(document.createElement("script"), { src: library, onload: start });
    document.head.append(script);
  }, { rootMargin: "200px" });
  all().forEach((canvas) => near.observe(canvas));
})();
