// The session: candles of one minute over the book, with profile, levels, VWAP bands and attempts. Position k on the axis
// is minute k of data.t, whether it traded or not.
"use strict";
(() => {
  const { data, colour, faded, price, count, signed, largest, clock } = Page;
  const { bars, t: times } = data;
  const LINE = LightweightCharts.LineSeries, STYLE = LightweightCharts.LineStyle;
  const MARK = { BOUNCE: "bounce", BREAK: "break" };
  const PROFILE_SHARE = 0.17;
  const parts = { depth: true, "VWAP bands": true, attempts: true };
  const select = document.getElementById("profile");
  const traded = times.map((_, k) => bars.close[k] !== null);

  // --------------------------------------------------------------------------------------------------------- pictures

  // A picture under or over the series of a pane; `paint(context, size, yOf, xOf)` draws it on every frame.
  const picture = (zOrder, paint) => {
    let chart = null, series = null;
    const yOf = (tick) => series.priceToCoordinate(tick * data.tick);
    const xOf = (slot) => {
      const scale = chart.timeScale(), first = scale.logicalToCoordinate(0), second = scale.logicalToCoordinate(1);
      return first + slot * (second - first);
    };
    const renderer = { draw: (target) => target.useMediaCoordinateSpace(({ context, mediaSize }) => {
      context.save();
      paint(context, mediaSize, yOf, xOf);
      context.restore();
    }) };
    const view = { zOrder: () => zOrder, renderer: () => renderer };
    return { attached: (of) => { chart = of.chart; series = of.series; }, paneViews: () => [view] };
  };

  const heatColours = () => {
    const stops = [0, 1, 2, 3, 4, 5].map((k) => colour(`heat-${k}`).match(/[\d.]+/g).slice(0, 3).map(Number));
    return Array.from({ length: 256 }, (_, value) => {
      const at = value / 255 * (stops.length - 1), below = Math.min(Math.floor(at), stops.length - 2), share = at - below;
      return stops[below].map((from, channel) => Math.round(from + share * (stops[below + 1][channel] - from)));
    });
  };

  // The book as one image, a pixel a cell; each frame only stretches it.
  function depthImage() {
    const { rows, cells } = data.depth, raw = atob(cells), columns = times.length, heat = heatColours();
    const canvas = document.createElement("canvas");
    canvas.width = columns;
    canvas.height = rows;
    const context = canvas.getContext("2d"), image = context.createImageData(columns, rows);
    for (let row = 0; row < rows; row++) {
      for (let column = 0; column < columns; column++) {
        const value = raw.charCodeAt(row * columns + column);
        if (!value) continue;
        const place = 4 * ((rows - 1 - row) * columns + column), [red, green, blue] = heat[value];
        image.data.set([red, green, blue, 255], place);
      }
    }
    context.putImageData(image, 0, 0);
    return canvas;
  }

  function depthPicture() {
    const image = depthImage(), { low, ticks, rows } = data.depth;
    return picture("bottom", (context, size, yOf, xOf) => {
      const left = xOf(-0.5), right = xOf(times.length - 0.5), bottom = yOf(low - 0.5), top = yOf(low + ticks * rows - 0.5);
      context.imageSmoothingEnabled = false;
      context.globalAlpha = 0.72;
      context.drawImage(image, left, top, right - left, bottom - top);
    });
  }

  function hoursPicture() {
    const [open, close] = data.hours.map((time) => time === null ? null : Page.firstFrom(times, time) - 0.5);
    return picture("top", (context, size, yOf, xOf) => {
      context.strokeStyle = colour("muted");
      context.setLineDash([2, 4]);
      for (const slot of [open, close]) {
        if (slot === null) continue;
        context.beginPath();
        context.moveTo(Math.round(xOf(slot)) + 0.5, 0);
        context.lineTo(Math.round(xOf(slot)) + 0.5, size.height);
        context.stroke();
      }
    });
  }

  function profilePicture() {
    const rows = data.profiles[select.value];
    const most = largest(rows.total);
    return picture("top", (context, size, yOf) => {
      const tall = Math.max(yOf(0) - yOf(1), 0.5), inner = tall > 3 ? tall - 1 : tall, wide = PROFILE_SHARE * size.width;
      rows.tick.forEach((tick, k) => {
        const y = yOf(tick + 0.5);
        if (y > size.height || y + tall < 0) return;
        const length = wide * rows.total[k] / most, ask = length * rows.ask[k] / (rows.total[k] || 1);
        const bid = length * rows.bid[k] / (rows.total[k] || 1), alpha = rows.value[k] ? 0.78 : 0.34;
        context.fillStyle = rows.poc[k] ? colour("poc") : faded("muted", alpha);
        context.fillRect(size.width - length, y, length, inner);
        if (!rows.poc[k]) {
          context.fillStyle = faded("candle-down", alpha);
          context.fillRect(size.width - length, y, bid, inner);
          context.fillStyle = faded("candle-up", alpha);
          context.fillRect(size.width - length + bid, y, ask, inner);
        } else {
          context.fillStyle = faded("poc", 0.55);
          context.fillRect(0, y + inner / 2 - 0.5, size.width - length, 1);
        }
      });
    });
  }

  // ------------------------------------------------------------------------------------------------------------ chart

  function bands(chart) {
    for (const [name, { vwap, std }] of Object.entries(data.vwap)) {
      if (vwap.every((value) => value === null)) continue;
      for (const sigma of [0, 1, -1, 2, -2]) {
        const line = chart.addSeries(LINE, { ...Page.quiet, priceFormat: Page.ticks(), autoscaleInfoProvider: () => null,
          color: sigma ? faded(name === "rth" ? "level-vwap" : "vwap-globex", Math.abs(sigma) === 1 ? 0.7 : 0.45)
            : colour(name === "rth" ? "level-vwap" : "vwap-globex"),
          lineWidth: sigma ? 1 : 2, lineStyle: sigma ? STYLE.Dashed : STYLE.Solid,
          lastValueVisible: !sigma, title: sigma ? "" : (name === "rth" ? "RTH VWAP" : "VWAP") });
        line.setData(times.map((time, k) => vwap[k] === null || (sigma && std[k] === null) ? { time }
          : { time, value: vwap[k] + sigma * (std[k] ?? 0) }));
      }
    }
  }

  function moving(chart) {
    if (!shown.has("MOVING_AVERAGE") && Page.data.levels.some((level) => level.class === "MOVING_AVERAGE")) return;
    for (const [name, values] of Object.entries(data.moving)) {
      const line = chart.addSeries(LINE, { ...Page.quiet, priceFormat: Page.ticks(), autoscaleInfoProvider: () => null,
        color: colour("level-moving-average"), lineWidth: 2, lastValueVisible: true, title: name });
      line.setData(times.map((time, k) => values[k] === null ? { time } : { time, value: values[k] }));
    }
  }

  // An attempt stands at its level in the minute of its decision, in the colour of its outcome.
  function attempts(candles) {
    const marks = data.episodes.flatMap((episode, index) => {
      const slot = Page.firstFrom(times, episode.t + 1e-6) - 1;
      return slot < 0 ? [] : [{ id: String(index), time: times[slot], price: episode.price, position: "atPriceMiddle",
        shape: "circle", size: 0.9, color: colour(MARK[episode.outcome] ?? "chop") }];
    });
    LightweightCharts.createSeriesMarkers(candles, marks.sort((one, other) => one.time - other.time));
  }

  function build(view) {
    const chart = Page.create();
    const up = colour("candle-up"), down = colour("candle-down");
    const candles = chart.addSeries(LightweightCharts.CandlestickSeries, { upColor: up, downColor: down, wickUpColor: up,
      wickDownColor: down, borderVisible: false, priceFormat: Page.ticks() });
    candles.setData(times.map((time, k) => traded[k]
      ? { time, open: bars.open[k], high: bars.high[k], low: bars.low[k], close: bars.close[k] } : { time }));
    candles.priceScale().applyOptions({ scaleMargins: { top: 0.06, bottom: 0.03 } });
    if (parts.depth && data.depth) candles.attachPrimitive(depthPicture());
    candles.attachPrimitive(hoursPicture());
    if (data.profiles[select.value]) candles.attachPrimitive(profilePicture());
    if (parts["VWAP bands"]) bands(chart);
    moving(chart);
    Page.drawLevels(chart, times, shown);
    if (parts.attempts) attempts(candles);
    const volume = chart.addSeries(LightweightCharts.HistogramSeries, { ...Page.quiet, priceFormat: Page.contracts, title: "Volume" }, 1);
    volume.setData(times.map((time, k) => traded[k] ? { time, value: bars.volume[k],
      color: faded(bars.delta[k] < 0 ? "candle-down" : "candle-up", 0.75) } : { time }));
    const delta = chart.addSeries(LightweightCharts.CandlestickSeries, { ...Page.quiet, upColor: up, downColor: down,
      wickUpColor: up, wickDownColor: down, borderVisible: false, priceFormat: Page.contracts, title: "Cum. Δ",
      lastValueVisible: true }, 2);
    delta.setData(times.map((time, k) => traded[k] ? { time, open: bars.cum_delta_open[k], high: bars.cum_delta_high[k],
      low: bars.cum_delta_low[k], close: bars.cum_delta[k] } : { time }));
    chart.panes().forEach((pane, k) => pane.setStretchFactor([0.74, 0.11, 0.15][k]));
    chart.subscribeCrosshairMove((at) => point(at, candles));
    if (view) chart.timeScale().setVisibleLogicalRange(view); else look(chart, 0, times.length - 1);
    point({}, candles);
    return chart;
  }

  // The profile stands at the right: the last bars stay left of it.
  const look = (chart, from, to) => chart.timeScale().setVisibleLogicalRange(
    { from: from - 0.5, to: to + (select.value in data.profiles ? (to - from) * PROFILE_SHARE / (1 - PROFILE_SHARE) : 2) });

  function depthAt(slot, value) {
    const { low, ticks, rows, cells, most } = data.depth, row = Math.floor((value / data.tick + 0.5 - low) / ticks);
    if (row < 0 || row >= rows) return null;
    // The brightest byte stands for every size from there on.
    const place = row * times.length + slot, byte = atob(cells.slice(4 * Math.floor(place / 3), 4 * Math.floor(place / 3) + 4)).charCodeAt(place % 3);
    return byte ? (byte === 255 ? "≥ " : "") + Math.round(most * byte / 255) : null;
  }

  function point({ logical, point: at, paneIndex, hoveredInfo, hoveredObjectId }, candles) {
    const slot = logical === undefined || logical === null ? traded.lastIndexOf(true)
      : Math.min(Math.max(Math.round(logical), 0), times.length - 1);
    const tone = Page.toneOf(bars.close[slot] - bars.open[slot]);
    const lines = [traded[slot] ? [`${clock(times[slot], false)} ET`, "O", [price(bars.open[slot]), tone], "H", [price(bars.high[slot]), tone],
      "L", [price(bars.low[slot]), tone], "C", [price(bars.close[slot]), tone], "volume", [count(bars.volume[slot]), "strong"],
      "delta", [signed(bars.delta[slot]), Page.toneOf(bars.delta[slot])],
      "cum. delta", [signed(bars.cum_delta[slot]), Page.toneOf(bars.cum_delta[slot])],
      "VWAP", [price(data.vwap.globex.vwap[slot]), "strong"], "RTH VWAP", [price(data.vwap.rth.vwap[slot]), "strong"]]
      : [`${clock(times[slot], false)} ET`, "no trades"]];
    const under = at && paneIndex === 0 ? candles.coordinateToPrice(at.y) : null;
    if (under !== null && data.depth) {
      const size = depthAt(slot, under);
      if (size !== null) lines.push(["resting at", [price(Math.round(under / data.tick) * data.tick), "strong"], [size, "warn"], "contracts, mean of the minute"]);
    }
    const episode = data.episodes[hoveredInfo?.objectId ?? hoveredObjectId];
    if (episode) {
      lines.push([[`${episode.level} ${price(episode.price)}`, "strong"], `attempt ${episode.attempt}`,
        episode.direction > 0 ? "from below" : "from above", "decided", `${clock(episode.t)} ET:`, [episode.outcome ?? "not decided", "warn"]]);
    }
    Page.readout(lines);
  }

  const redraw = () => page.again();
  for (const name of Object.keys(parts)) {
    if (name === "depth" && !data.depth) continue;
    Page.toggle(document.getElementById("parts"), name, true, (on) => { parts[name] = on; redraw(); });
  }
  const shown = Page.chips(redraw);
  const page = Page.run(build);
  const whole = () => look(page.chart, 0, times.length - 1);
  select.addEventListener("change", redraw);
  document.getElementById("overview").addEventListener("click", whole);
  Page.element.addEventListener("dblclick", whole);
  const cash = document.getElementById("cash");
  cash.hidden = data.hours[0] === null;
  cash.addEventListener("click", () => look(page.chart, ...data.hours.map((time, k) => Page.firstFrom(times, time) - k)));
  for (const button of document.querySelectorAll("[data-episode]")) {
    button.addEventListener("click", () => {
      const slot = Page.firstFrom(times, data.episodes[button.dataset.episode].t);
      look(page.chart, slot - 45, slot + 60);
      Page.element.scrollIntoView({ block: "nearest" });
    });
  }
})();
