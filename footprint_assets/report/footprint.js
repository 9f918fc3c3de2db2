// The footprint: a series of our own in the chart library. Bar by bar, what fits is drawn: bid × ask in numbers, delta at
// price as colours, or a candle. Under it each bar's figures and the cumulative delta.
"use strict";
(() => {
  const { data, colour, faded, price, count, short, signed, largest, clamp, clock } = Page;
  const FLAG = { buy: 1, sell: 2, poc: 4, value: 8, buyStack: 16, sellStack: 32 };
  const FIGURES = [["Volume", "volume"], ["Delta", "delta"], ["Max Δ", "max_delta"], ["Min Δ", "min_delta"],
    ["Cum. Δ", "cum_delta"]];
  const NUMBERS_WIDTH = 62, NUMBERS_HEIGHT = 9, CELLS_WIDTH = 5;
  const height = data.tick * data.ticksPerRow;
  const hint = document.getElementById("hint");
  const select = document.getElementById("bars");

  let bars = data.sets[data.barTypes[0]];
  let scales = scalesOf(bars);

  function scalesOf(set) {
    return { side: Math.max(largest(set.bid), largest(set.ask)), total: largest(set.total),
      delta: largest(set.bid.map((bid, k) => set.ask[k] - bid)),
      figures: Object.fromEntries(FIGURES.map(([, name]) => [name, largest(set[name])])) };
  }

  // ------------------------------------------------------------------------------------------------------- price rows

  class Footprint {
    update(state) { this.state = state; }
    renderer() { return this; }
    priceValueBuilder(bar) { return [bar.low, bar.high, bar.close]; }
    isWhitespace(bar) { return bar.close === undefined; }
    defaultOptions() { return { ...LightweightCharts.customSeriesDefaultOptions }; }

    draw(target, toY) {
      const { bars: items, barSpacing, visibleRange } = this.state;
      if (!visibleRange || !items.length) return;
      const low = items[visibleRange.from].originalData.low;
      const base = toY(low), tall = Math.abs(toY(low + height) - base);
      if (base === null) return;
      // The axis is linear: one line gives every row's place.
      const yOf = (tick) => base - (tick * data.tick - low) * tall / height;
      const numbers = barSpacing >= NUMBERS_WIDTH && tall >= NUMBERS_HEIGHT;
      const mode = numbers ? "numbers" : barSpacing >= CELLS_WIDTH ? "cells" : "candles";
      if (Page.root.dataset.mode !== mode) {
        Page.root.dataset.mode = mode;
        hint.textContent = numbers ? "Drag to pan, scroll to zoom, drag an axis to stretch it"
          : "Colours show delta at price; zoom in to read bid × ask";
      }
      const paint = { numbers: this.numbers, cells: this.cells, candles: this.candle }[mode];
      target.useMediaCoordinateSpace(({ context, mediaSize }) => {
        const pen = { context, tall, yOf, width: barSpacing, bottom: mediaSize.height };
        if (numbers) this.lettering(pen);
        for (let k = visibleRange.from; k < visibleRange.to; k++) paint.call(this, pen, items[k].x, items[k].time);
      });
    }

    lettering(pen) {
      const digits = Math.max(short(scales.side).length, 2);
      pen.font = clamp(Math.min(pen.tall * 0.82, pen.width * 0.7 / ((2 * digits + 2) * 0.61)), 6.5, 13);
      pen.plain = `${pen.font}px ${Page.MONO}`;
      pen.bold = `700 ${pen.font}px ${Page.MONO}`;
      pen.context.textBaseline = "middle";
    }

    *rows(pen, slot) {
      for (let k = bars.first[slot]; k < bars.first[slot + 1]; k++) {
        const y = pen.yOf(bars.tick[k] + data.ticksPerRow - 0.5);
        if (y < pen.bottom && y + pen.tall > 0) yield [k, y];
      }
    }

    numbers(pen, x, slot) {
      const { context, tall, width } = pen;
      const left = x - 0.44 * width, middle = x - 0.09 * width, right = x + 0.26 * width;
      this.body(pen, x - 0.47 * width, Math.max(3, 0.04 * width), slot);
      for (const [k, y] of this.rows(pen, slot)) {
        const flags = bars.flags[k], inner = Math.max(tall - 1, 1), centre = y + tall / 2;
        this.side(context, left, y, middle - left - 0.5, inner, flags & FLAG.sell, flags & FLAG.sellStack, "sell", bars.bid[k]);
        this.side(context, middle + 0.5, y, right - middle - 0.5, inner, flags & FLAG.buy, flags & FLAG.buyStack, "buy", bars.ask[k]);
        context.fillStyle = colour(flags & FLAG.value ? "value" : "outside");
        context.fillRect(right + 0.02 * width, y, 0.19 * width * bars.total[k] / scales.total, inner);
        context.textAlign = "right";
        this.word(pen, short(bars.bid[k]), middle - 0.55 * pen.font, centre, flags & FLAG.sell, "sell");
        context.textAlign = "center";
        this.word(pen, "×", middle, centre, false);
        context.textAlign = "left";
        this.word(pen, short(bars.ask[k]), middle + 0.55 * pen.font, centre, flags & FLAG.buy, "buy");
        if (flags & FLAG.poc) this.outline(context, left, y, right - left, inner);
      }
    }

    side(context, x, y, width, tall, imbalance, stacked, tone, volume) {
      context.fillStyle = colour("cell-low");
      context.fillRect(x, y, width, tall);
      context.fillStyle = imbalance ? colour(stacked ? `${tone}-strong` : `${tone}-weak`)
        : faded("cell-high", Math.sqrt(volume / scales.side).toFixed(2));
      context.fillRect(x, y, width, tall);
      if (stacked) {
        context.fillStyle = colour(tone);
        context.fillRect(tone === "sell" ? x : x + width - 3, y, 3, tall + 1);
      }
    }

    word(pen, text, x, y, strong, tone) {
      pen.context.font = strong ? pen.bold : pen.plain;
      pen.context.fillStyle = colour(strong ? tone : text === "×" || text === "0" ? "muted" : "number");
      pen.context.fillText(text, x, y);
    }

    outline(context, x, y, width, tall) {
      context.strokeStyle = colour("poc");
      context.lineWidth = 1.6;
      context.strokeRect(x + 0.5, y + 0.5, width - 1, Math.max(tall - 1, 0.5));
    }

    cells(pen, x, slot) {
      const { context, tall, width } = pen;
      const left = x - 0.42 * width, wide = 0.84 * width, gap = tall >= 4 ? 1 : 0;
      for (const [k, y] of this.rows(pen, slot)) {
        const delta = bars.ask[k] - bars.bid[k], share = Math.sqrt(Math.abs(delta) / scales.delta);
        context.fillStyle = colour("cell-low");
        context.fillRect(left, y, wide, tall - gap);
        context.fillStyle = faded(delta < 0 ? "candle-down" : "candle-up", (0.12 + 0.88 * share).toFixed(2));
        context.fillRect(left, y, delta ? wide : 0, tall - gap);
        if (bars.flags[k] & FLAG.poc) {
          context.fillStyle = colour("poc");
          context.fillRect(left, y, Math.max(2, 0.12 * wide), tall - gap);
        }
      }
      this.body(pen, x - 0.47 * width, Math.max(1, 0.06 * width), slot);
    }

    candle(pen, x, slot) { this.body(pen, x, Math.max(1, 0.7 * pen.width), slot); }

    body(pen, x, width, slot) {
      const { context, yOf } = pen;
      const y = (value) => yOf(value / data.tick);
      context.fillStyle = colour(bars.close[slot] >= bars.open[slot] ? "candle-up" : "candle-down");
      context.fillRect(x - 0.5, y(bars.high[slot]), 1, y(bars.low[slot]) - y(bars.high[slot]));
      const top = y(Math.max(bars.open[slot], bars.close[slot]));
      context.fillRect(x - width / 2, top, width, Math.max(y(Math.min(bars.open[slot], bars.close[slot])) - top, 1));
    }
  }

  // ------------------------------------------------------------------------------------------------------ bar figures

  class Figures {
    update(state) { this.state = state; }
    renderer() { return this; }
    priceValueBuilder() { return [0, 1, 0]; }
    isWhitespace(bar) { return bar.close === undefined; }
    defaultOptions() { return { ...LightweightCharts.customSeriesDefaultOptions }; }

    draw(target) {
      const { bars: items, barSpacing, visibleRange } = this.state;
      if (!visibleRange) return;
      target.useMediaCoordinateSpace(({ context, mediaSize }) => {
        const tall = mediaSize.height / FIGURES.length, font = clamp(tall * 0.62, 7, 11.5);
        const written = barSpacing >= font * 0.62 * 7;
        context.textBaseline = "middle";
        context.font = `${font}px ${Page.MONO}`;
        context.textAlign = "center";
        for (let k = visibleRange.from; k < visibleRange.to; k++) {
          FIGURES.forEach(([, name], row) => {
            const value = bars[name][items[k].time], share = Math.sqrt(Math.abs(value) / scales.figures[name]);
            const tone = name === "volume" ? "cell-high" : value < 0 ? "candle-down" : "candle-up";
            context.fillStyle = faded(tone, (name === "volume" ? 0.15 + 0.85 * share : 0.08 + 0.6 * share).toFixed(2));
            context.fillRect(items[k].x - 0.46 * barSpacing, row * tall, Math.max(0.92 * barSpacing, 0.6), tall - 1);
            if (!written) return;
            context.fillStyle = colour("text");
            context.fillText(short(value), items[k].x, (row + 0.5) * tall);
          });
        }
        context.textAlign = "left";
        context.font = `${font}px ${Page.SANS}`;
        FIGURES.forEach(([label], row) => {
          context.fillStyle = faded("panel", 0.85);
          context.fillRect(0, row * tall, 56, tall - 1);
          context.fillStyle = colour("muted");
          context.fillText(label, 6, (row + 0.5) * tall);
        });
      });
    }
  }

  // ------------------------------------------------------------------------------------------------------------ chart

  let series = null;

  function build(view) {
    const chart = Page.create();
    const times = bars.t;
    const points = times.map((time, k) => ({ time, open: bars.open[k], high: bars.high[k], low: bars.low[k], close: bars.close[k] }));
    Page.drawLevels(chart, times, shown);
    const vwap = chart.addSeries(LightweightCharts.LineSeries, { ...Page.quiet, color: colour("vwap"), lineWidth: 1,
      lineStyle: LightweightCharts.LineStyle.Dotted, priceFormat: Page.ticks(), autoscaleInfoProvider: () => null });
    vwap.setData(times.map((time, k) => bars.vwap[k] === null ? { time } : { time, value: bars.vwap[k] }));
    series = chart.addCustomSeries(new Footprint(), { priceFormat: Page.ticks(), priceLineVisible: true,
      priceLineColor: colour("muted"), color: colour(points.at(-1).close >= points.at(-1).open ? "candle-up" : "candle-down") });
    series.setData(points);
    series.priceScale().applyOptions({ scaleMargins: { top: 0.04, bottom: 0.02 } });
    const figures = chart.addCustomSeries(new Figures(), { ...Page.quiet, priceFormat: { type: "custom", minMove: 1, formatter: () => "" } }, 1);
    figures.setData(points);
    const cumulative = chart.addSeries(LightweightCharts.CandlestickSeries, { ...Page.quiet, priceFormat: Page.contracts,
      upColor: colour("candle-up"), downColor: colour("candle-down"), wickUpColor: colour("candle-up"),
      wickDownColor: colour("candle-down"), borderVisible: false, title: "Cum. Δ" }, 2);
    cumulative.setData(times.map((time, k) => ({ time, open: bars.cum_delta_open[k], high: bars.cum_delta_high[k],
      low: bars.cum_delta_low[k], close: bars.cum_delta[k] })));
    chart.panes().forEach((pane, k) => pane.setStretchFactor([0.76, 0.11, 0.13][k]));
    chart.subscribeCrosshairMove(point);
    if (view) chart.timeScale().setVisibleLogicalRange(view); else look(chart, series);
    point({});
    return chart;
  }

  // Around the busiest bars, with rows tall enough to read.
  function look(chart, footprint) {
    const shownBars = clamp(Math.floor(Page.element.clientWidth / 118), 3, 24);
    const last = bars.t.length, size = Math.min(shownBars, last);
    let best = 0, sum = 0, most = -1;
    bars.volume.forEach((volume, k) => {
      sum += volume - (k >= size ? bars.volume[k - size] : 0);
      if (k >= size - 1 && sum > most) { most = sum; best = k - size + 1; }
    });
    chart.timeScale().setVisibleLogicalRange({ from: best - 0.6, to: best + size + 0.4 });
    const low = Math.min(...bars.low.slice(best, best + size)), high = Math.max(...bars.high.slice(best, best + size));
    const rows = Page.element.clientHeight * 0.72 / 14, middle = (low + high) / 2;
    const half = Math.min((high - low) / 2 + 2 * height, rows * height / 2);
    footprint.priceScale().setVisibleRange({ from: middle - half, to: middle + half });
  }

  function point({ logical, point: at, paneIndex }) {
    const slot = logical === undefined || logical === null ? bars.t.length - 1 : clamp(Math.round(logical), 0, bars.t.length - 1);
    const tone = Page.toneOf(bars.close[slot] - bars.open[slot]);
    const lines = [[`${clock(bars.t[slot])} – ${clock(bars.end[slot])} ET${bars.complete[slot] ? "" : " (incomplete)"}`,
      "O", [price(bars.open[slot]), tone], "H", [price(bars.high[slot]), tone], "L", [price(bars.low[slot]), tone],
      "C", [price(bars.close[slot]), tone], "volume", [count(bars.volume[slot]), "strong"],
      "delta", [signed(bars.delta[slot]), Page.toneOf(bars.delta[slot])],
      "VWAP", [price(bars.vwap[slot]), "strong"]]];
    const under = at && paneIndex === 0 ? series.coordinateToPrice(at.y) : null;
    if (under !== null) {
      const tick = under / data.tick;
      for (let k = bars.first[slot]; k < bars.first[slot + 1]; k++) {
        if (tick < bars.tick[k] - 0.5 || tick >= bars.tick[k] + data.ticksPerRow - 0.5) continue;
        const flags = bars.flags[k], delta = bars.ask[k] - bars.bid[k];
        lines.push([price(bars.tick[k] * data.tick), "bid", [count(bars.bid[k]), flags & FLAG.sell ? "sell" : "strong"], "× ask",
          [count(bars.ask[k]), flags & FLAG.buy ? "buy" : "strong"], "delta", [signed(delta), Page.toneOf(delta)],
          ...(flags & FLAG.buy ? [["buy imbalance" + (flags & FLAG.buyStack ? ", stacked" : ""), "buy"]] : []),
          ...(flags & FLAG.sell ? [["sell imbalance" + (flags & FLAG.sellStack ? ", stacked" : ""), "sell"]] : []),
          ...(flags & FLAG.poc ? [["point of control", "warn"]] : [])]);
      }
    }
    Page.readout(lines);
  }

  const shown = Page.chips(() => page.again());
  const page = Page.run(build);
  const all = () => {
    series.priceScale().setAutoScale(true);
    page.chart.timeScale().setVisibleLogicalRange({ from: -1, to: bars.t.length });
  };
  document.getElementById("numbers").addEventListener("click", () => look(page.chart, series));
  document.getElementById("overview").addEventListener("click", all);
  Page.element.addEventListener("dblclick", all);
  select.addEventListener("change", () => {
    bars = data.sets[select.value];
    scales = scalesOf(bars);
    page.again(true);
  });
})();
