// The paths of attempts at a level side by side: one small chart a card, all on one scale, time zero at the decision.
"use strict";
(() => {
  const { data } = Page;
  // The library wants instants: the decision is the start of a day, so that its marks are whole minutes around it.
  const DECISION = 86400 * 365;
  const TONES = { BREAK: "break", BOUNCE: "bounce" };
  const all = data.paths.flatMap((path) => path.x).concat(data.barrier === null ? [] : [data.barrier, -data.barrier]);
  const low = Math.min(0, ...all), high = Math.max(0, ...all), margin = 0.05 * (high - low || 1);
  const scale = () => ({ priceRange: { minValue: low - margin, maxValue: high + margin } });
  const minutes = (time) => {
    const seconds = time - DECISION, size = Math.abs(seconds);
    const text = size % 60 ? `${Math.floor(size / 60)}:${String(size % 60).padStart(2, "0")}` : `${size / 60}`;
    return `${seconds < 0 ? "−" : seconds > 0 ? "+" : ""}${text} min`;
  };

  function draw(path) {
    const place = document.querySelector(`#card-${path.card} .path`);
    const chart = Page.create(place, {
      rightPriceScale: { borderColor: Page.colour("line"), minimumWidth: 46 },
      timeScale: { borderColor: Page.colour("line"), tickMarkFormatter: minutes, minBarSpacing: 0.01 },
      localization: { locale: "en-US", timeFormatter: minutes },
      handleScroll: false, handleScale: false,
    });
    // The footer names the library; its mark on the first chart is enough.
    if (path !== data.paths[0]) chart.applyOptions({ layout: { attributionLogo: false } });
    const points = path.t.map((second, k) => ({ time: DECISION + second, value: path.x[k] }));
    const from = points.findIndex((point) => point.time >= DECISION);
    const line = (some, name) => {
      const series = chart.addSeries(LightweightCharts.LineSeries,
        { ...Page.quiet, color: Page.colour(name), lineWidth: 2, autoscaleInfoProvider: scale, priceFormat: Page.ticks() });
      series.setData(some);
      return series;
    };
    // The two parts meet at the decision.
    const before = line(from < 0 ? points : points.slice(0, from + 1), "gap");
    if (from >= 0) line(points.slice(from), TONES[path.outcome] ?? "chop");
    const mark = (price, lineStyle, name) => before.createPriceLine(
      { price, color: Page.colour(name), lineWidth: 1, lineStyle, axisLabelVisible: false, title: "" });
    mark(0, LightweightCharts.LineStyle.Solid, "level-overnight");
    if (data.barrier !== null) for (const side of [1, -1]) mark(side * data.barrier, LightweightCharts.LineStyle.Dotted, "muted");
    chart.timeScale().fitContent();
    return chart;
  }

  Page.run(() => {
    const charts = data.paths.map(draw);
    return {
      remove: () => charts.forEach((chart) => chart.remove()),
      timeScale: () => ({ getVisibleLogicalRange: () => null }),
    };
  });
})();
