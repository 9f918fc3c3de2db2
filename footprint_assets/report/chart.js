// Draws the footprint from the JSON block with Plotly. Bar i occupies [i - 0.5, i + 0.5) of the x axis: its candle,
// its bid and ask cells and its volume profile, from left to right.
"use strict";
(() => {
  const { grid, bars, cells, levels } = JSON.parse(document.getElementById("data").textContent);
  const root = document.documentElement;
  const chart = document.getElementById("chart");
  const hint = document.getElementById("hint");
  const count = bars.label.length;

  const CANDLE = -0.44, BID_LEFT = -0.38, MIDDLE = -0.06, ASK_RIGHT = 0.26, PROFILE_LEFT = 0.29, PROFILE_RIGHT = 0.46;
  const MARGIN = { l: 12, r: 188, t: 10, b: 26 };
  const PRICE_DOMAIN = [0.3, 1], CUM_DELTA_DOMAIN = [0.145, 0.275], TABLE_DOMAIN = [0, 0.125];
  const SMALLEST_FONT = 7.5, LARGEST_FONT = 13, ROOMY_ROW = 15, TALLEST_ROW = 26, TAG_HEIGHT = 15, DIGIT_WIDTH = 0.61;
  const MONO = "ui-monospace, SFMono-Regular, Menlo, Consolas, 'Liberation Mono', 'DejaVu Sans Mono', monospace";
  const SANS = "system-ui, -apple-system, 'Segoe UI', Roboto, 'Liberation Sans', sans-serif";
  const FLAG = { buy: 1, sell: 2, poc: 4, value: 8 };
  const TABLE = [["Volume", "volume"], ["Delta", "delta"], ["Max Δ", "max_delta"], ["Min Δ", "min_delta"]];

  // A fractional row gives the edge between two rows.
  const priceAt = (row) => grid.centre + row * grid.height;
  const rowPrice = (row) => grid.low + row * grid.height;
  const formatPrice = (price) => price === null ? "–" : price.toFixed(grid.decimals);
  const formatCount = (value) => value === null ? "–" : value.toLocaleString("en-US");
  const formatShort = (value) => Math.abs(value) >= 100000 ? Math.round(value / 1000) + "k" : String(value);
  // Plotly reads labels as a small HTML dialect; names from the data must stay text.
  const plain = (text) => String(text).replace(/&/g, "&amp;").replace(/</g, "&lt;").replace(/>/g, "&gt;");
  const clamp = (value, low, high) => Math.min(Math.max(value, low), high);
  const largest = (values) => values.reduce((most, value) => Math.max(most, Math.abs(value ?? 0)), 0) || 1;

  // ------------------------------------------------------------------------------------------------------- colours

  const probe = document.createElement("span");
  probe.hidden = true;
  document.body.append(probe);
  const colour = (name) => {
    probe.style.color = `var(--${name})`;
    return getComputedStyle(probe).color;
  };
  const CLASSES = ["PREMARKET", "OPENING_RANGE", "INITIAL_BALANCE", "MOVING_AVERAGE", "OVERNIGHT", "SESSION",
    "PRIOR_DAY", "PRIOR_WEEK", "VWAP", "PROFILE", "ROUND", "OPTION"];
  const levelColour = (level) => colour("level-" +
    (CLASSES.includes(level.class) ? level.class.toLowerCase().replaceAll("_", "-") : "other"));

  // -------------------------------------------------------------------------------------------------------- traces

  const sides = largest([largest(cells.bid), largest(cells.ask)]);
  const deepest = largest(cells.total);
  const strongest = largest(cells.bid.map((bid, k) => cells.ask[k] - bid));
  const digits = (values) => String(largest(values)).length;
  const bidDigits = digits(cells.bid), askDigits = digits(cells.ask);
  const matrix = (columns) => Array.from({ length: grid.rows }, () => new Array(columns).fill(null));
  const rowPrices = Array.from({ length: grid.rows }, (_, row) => priceAt(row));

  function cellHover(k) {
    const flags = cells.flags[k], notes = [];
    if (flags & FLAG.buy) notes.push(`buy imbalance, ${cells.buyStack[k]} stacked`);
    if (flags & FLAG.sell) notes.push(`sell imbalance, ${cells.sellStack[k]} stacked`);
    if (flags & FLAG.poc) notes.push("point of control");
    if (flags & FLAG.value) notes.push("in the value area");
    const slot = cells.slot[k], delta = cells.ask[k] - cells.bid[k];
    return `<b>${formatPrice(rowPrice(cells.row[k]))}</b>  ${bars.label[slot]} ET<br>` +
      `bid ${formatCount(cells.bid[k])} × ask ${formatCount(cells.ask[k])}<br>` +
      `volume ${formatCount(cells.total[k])}, delta ${formatCount(delta)}` +
      (notes.length ? "<br>" + notes.join("<br>") : "");
  }

  // Codes of a cell: 0..1 plain by volume, 2 and 3 buy imbalance alone and stacked, -2 and -3 the same for sells.
  function sideCells() {
    const z = matrix(4 * count), text = matrix(4 * count);
    const x = [];
    for (let slot = 0; slot < count; slot++) x.push(slot - 0.5, slot + BID_LEFT, slot + MIDDLE, slot + ASK_RIGHT);
    x.push(count - 0.5);
    for (let k = 0; k < cells.slot.length; k++) {
      const row = cells.row[k], column = 4 * cells.slot[k] + 1, flags = cells.flags[k];
      z[row][column] = flags & FLAG.sell ? (cells.sellStack[k] >= 3 ? -3 : -2) : Math.sqrt(cells.bid[k] / sides);
      z[row][column + 1] = flags & FLAG.buy ? (cells.buyStack[k] >= 3 ? 3 : 2) : Math.sqrt(cells.ask[k] / sides);
      text[row][column] = text[row][column + 1] = cellHover(k);
    }
    return { x, y: rowPrices, z, text };
  }

  function deltaCells() {
    const z = matrix(2 * count), text = matrix(2 * count);
    const x = [];
    for (let slot = 0; slot < count; slot++) x.push(slot + BID_LEFT, slot + ASK_RIGHT);
    x.push(count + BID_LEFT);
    for (let k = 0; k < cells.slot.length; k++) {
      const row = cells.row[k], column = 2 * cells.slot[k], delta = cells.ask[k] - cells.bid[k];
      z[row][column] = Math.sign(delta) * Math.sqrt(Math.abs(delta) / strongest);
      text[row][column] = cellHover(k);
    }
    return { x, y: rowPrices, z, text };
  }

  function profile(inValueArea) {
    const x = [], y = [], half = 0.44 * grid.height;
    for (let k = 0; k < cells.slot.length; k++) {
      if (Boolean(cells.flags[k] & FLAG.value) !== inValueArea || !cells.total[k]) continue;
      const left = cells.slot[k] + PROFILE_LEFT, price = priceAt(cells.row[k]);
      const right = left + (PROFILE_RIGHT - PROFILE_LEFT) * cells.total[k] / deepest;
      x.push(left, right, right, left, left, null);
      y.push(price - half, price - half, price + half, price + half, price - half, null);
    }
    return { x, y };
  }

  function pocOutlines() {
    const x = [], y = [], half = 0.5 * grid.height;
    for (let k = 0; k < cells.slot.length; k++) {
      if (!(cells.flags[k] & FLAG.poc)) continue;
      const left = cells.slot[k] + BID_LEFT, right = cells.slot[k] + ASK_RIGHT, price = priceAt(cells.row[k]);
      x.push(left, right, right, left, left, null);
      y.push(price - half, price - half, price + half, price + half, price - half, null);
    }
    return { x, y };
  }

  // One vertical mark beside every cell of a stack; neighbours join into one bar.
  function stackMarks(flag, lengths, edge) {
    const x = [], y = [], half = 0.5 * grid.height;
    for (let k = 0; k < cells.slot.length; k++) {
      if (!(cells.flags[k] & flag) || lengths[k] < 3) continue;
      const price = priceAt(cells.row[k]);
      x.push(cells.slot[k] + edge, cells.slot[k] + edge, null);
      y.push(price - half, price + half, null);
    }
    return { x, y };
  }

  const slots = bars.label.map((_, slot) => slot);
  const drawn = levels.filter((level) => level.state === "drawn");

  function barHover(slot) {
    return `<b>${bars.begin[slot]} – ${bars.end[slot]} ET</b>${bars.complete[slot] ? "" : " (incomplete)"}<br>` +
      `O ${formatPrice(bars.open[slot])}  H ${formatPrice(bars.high[slot])}  ` +
      `L ${formatPrice(bars.low[slot])}  C ${formatPrice(bars.close[slot])}<br>` +
      `POC ${formatPrice(bars.poc_price[slot])}  VA ${formatPrice(bars.val_price[slot])} – ` +
      `${formatPrice(bars.vah_price[slot])}<br>volume ${formatCount(bars.volume[slot])}, ` +
      `delta ${formatCount(bars.delta[slot])} (${formatCount(bars.min_delta[slot])} to ` +
      `${formatCount(bars.max_delta[slot])})`;
  }

  function tableCells() {
    return TABLE.map(([, name]) => {
      const most = largest(bars[name]);
      return bars[name].map((value) => {
        const share = Math.sqrt(Math.abs(value) / most);
        return name === "volume" ? 2 + share : Math.sign(value) * share;
      });
    });
  }

  function traces() {
    const line = { mode: "lines", type: "scatter", hoverinfo: "skip" };
    const text = { mode: "text", type: "scatter", hoverinfo: "skip", x: [], y: [], text: [] };
    const heat = { type: "heatmap", showscale: false, hoverongaps: false, hovertemplate: "%{text}<extra></extra>" };
    const cumUp = slots.map((slot) => bars.cum_delta[slot] >= bars.cum_delta_open[slot]);
    const cumColours = cumUp.map((up) => colour(up ? "candle-up" : "candle-down"));
    const cumHover = slots.map((slot) => `<b>${bars.label[slot]} ET</b><br>cumulative delta ` +
      `${formatCount(bars.cum_delta[slot])}<br>from ${formatCount(bars.cum_delta_low[slot])} to ` +
      `${formatCount(bars.cum_delta_high[slot])}`);
    const cumBar = { type: "bar", yaxis: "y2", x: slots, marker: { color: cumColours }, text: cumHover,
      textposition: "none", hovertemplate: "%{text}<extra></extra>" };
    return [
      { uid: "cells", ...heat, ...sideCells(), zmin: -3, zmax: 3, xgap: 1, ygap: 1, colorscale: [
        [0, colour("sell-strong")], [1 / 6, colour("sell-weak")], [0.4, colour("sell-weak")],
        [0.5, colour("cell-low")], [4 / 6, colour("cell-high")], [0.75, colour("buy-weak")],
        [5 / 6, colour("buy-weak")], [1, colour("buy-strong")]] },
      { uid: "deltas", ...heat, ...deltaCells(), zmin: -1, zmax: 1, visible: false, colorscale: [
        [0, colour("candle-down")], [0.25, colour("sell-strong")], [0.4, colour("sell-weak")],
        [0.5, colour("cell-low")],
        [0.6, colour("buy-weak")], [0.75, colour("buy-strong")], [1, colour("candle-up")]] },
      { uid: "outside", ...line, ...profile(false), fill: "toself", fillcolor: colour("outside"), line: { width: 0 } },
      { uid: "value", ...line, ...profile(true), fill: "toself", fillcolor: colour("value"), line: { width: 0 } },
      { uid: "vwap", zorder: -1, ...line, x: slots.map((slot) => slot + 0.5), y: bars.vwap,
        line: { color: colour("vwap"), width: 1.6, dash: "dot" }, hoverinfo: "text",
        text: bars.vwap.map((price) => `VWAP since ${bars.vwapSince}: ${formatPrice(price)}`) },
      { uid: "buystack", ...line, ...stackMarks(FLAG.buy, cells.buyStack, ASK_RIGHT + 0.012),
        line: { color: colour("buy"), width: 3 } },
      { uid: "sellstack", ...line, ...stackMarks(FLAG.sell, cells.sellStack, BID_LEFT - 0.012),
        line: { color: colour("sell"), width: 3 } },
      { uid: "poc", ...line, ...pocOutlines(), line: { color: colour("poc"), width: 1.6 } },
      { uid: "candles", type: "candlestick", x: slots.map((slot) => slot + CANDLE), open: bars.open, high: bars.high,
        low: bars.low, close: bars.close, text: slots.map(barHover), hoverinfo: "text", line: { width: 1.2 },
        increasing: { line: { color: colour("candle-up") }, fillcolor: colour("candle-up") },
        decreasing: { line: { color: colour("candle-down") }, fillcolor: colour("candle-down") } },
      ...drawn.map((level, index) => ({ uid: "level" + index, zorder: -1, ...line, mode: "lines+markers",
        x: level.x, y: [level.price, level.price], hoverinfo: "text", hoverlabel: { namelength: -1 },
        text: Array(2).fill(`<b>${plain(level.name)}</b> ${formatPrice(level.price)}<br>known from ` +
          `${level.known} ET${level.partial ? "<br>partial window" : ""}`),
        line: { color: levelColour(level), width: 1.5, dash: level.partial ? "dash" : "solid" },
        marker: { color: levelColour(level), size: [level.x[0] > -0.5 ? 7 : 0, 0], opacity: 1 } })),
      { uid: "bid", ...text, textposition: "middle left" },
      { uid: "times", ...text, textposition: "middle center" },
      { uid: "ask", ...text, textposition: "middle right" },
      { uid: "cumwick", ...cumBar, width: 0.05, base: bars.cum_delta_low,
        y: slots.map((slot) => bars.cum_delta_high[slot] - bars.cum_delta_low[slot]) },
      { uid: "cumbody", ...cumBar, width: 0.6,
        base: slots.map((slot) => Math.min(bars.cum_delta[slot], bars.cum_delta_open[slot])),
        y: slots.map((slot) => Math.abs(bars.cum_delta[slot] - bars.cum_delta_open[slot])) },
      { uid: "table", ...heat, yaxis: "y3", x: slots, y: TABLE.map((_, row) => row), z: tableCells(), xgap: 2, ygap: 1,
        text: TABLE.map(([label, name]) => bars[name].map((value, slot) =>
          `${bars.label[slot]} ET<br>${label} ${formatCount(value)}`)),
        zmin: -1, zmax: 3, colorscale: [
          [0, colour("sell-strong")], [0.15, colour("sell-weak")], [0.25, colour("cell-low")],
          [0.35, colour("buy-weak")], [0.5, colour("buy-strong")], [0.75, colour("cell-low")],
          [1, colour("cell-high")]] },
      { uid: "figures", ...text, yaxis: "y3", textposition: "middle center" },
    ];
  }

  // -------------------------------------------------------------------------------------------------------- layout

  const lowest = priceAt(-0.5), highest = priceAt(grid.rows - 0.5);
  const size = () => ({ width: chart.clientWidth, height: chart.clientHeight });
  const panel = () => ({
    width: Math.max(chart.clientWidth - MARGIN.l - MARGIN.r, 50),
    height: Math.max((chart.clientHeight - MARGIN.t - MARGIN.b) * (PRICE_DOMAIN[1] - PRICE_DOMAIN[0]), 50),
  });

  function layout(view) {
    const axis = { gridcolor: colour("grid"), linecolor: colour("line"), zeroline: false, showline: true,
      ticks: "", tickfont: { family: SANS, size: 11, color: colour("muted") } };
    return {
      paper_bgcolor: "rgba(0,0,0,0)", plot_bgcolor: "rgba(0,0,0,0)", margin: MARGIN, showlegend: false, ...size(),
      font: { family: SANS, size: 11, color: colour("text") }, dragmode: "pan", hovermode: "closest", boxgap: 0.93,
      barmode: "overlay", bargap: 0,
      hoverlabel: { bgcolor: colour("panel"), bordercolor: colour("muted"), align: "left",
        font: { family: SANS, size: 12, color: colour("text") } },
      xaxis: { ...axis, anchor: "y3", range: view.x, showgrid: false, rangeslider: { visible: false }, tickmode: "array", tickvals: [], ticktext: [],
        minallowed: view.limits[0], maxallowed: view.limits[1] },
      yaxis: { ...axis, domain: PRICE_DOMAIN, side: "right", range: view.y, tickmode: "linear",
        tickformat: `.${grid.decimals}f`, showspikes: true, spikemode: "across", spikesnap: "cursor", spikedash: "dot",
        spikethickness: -1, spikecolor: colour("muted") },
      yaxis2: { ...axis, domain: CUM_DELTA_DOMAIN, side: "right", fixedrange: true, nticks: 4, zeroline: true,
        zerolinecolor: colour("gap"), tickformat: ",d" },
      yaxis3: { ...axis, domain: TABLE_DOMAIN, side: "right", fixedrange: true, showgrid: false, showline: false,
        range: [TABLE.length - 0.5, -0.5], tickvals: TABLE.map((_, row) => row), ticktext: TABLE.map(([name]) => name) },
      shapes: bars.gapBefore.map((slot) => ({ type: "line", xref: "x", yref: "paper", x0: slot - 0.5, x1: slot - 0.5,
        y0: 0, y1: 1, line: { color: colour("gap"), width: 1, dash: "dot" }, layer: "below" })),
    };
  }

  // ---------------------------------------------------------------------------------------------------------- views

  function padded(low, high, share) {
    const pad = Math.max((high - low) * share, grid.height);
    return [low - pad, high + pad];
  }

  function overview() {
    // A handful of bars would otherwise be as wide as the screen.
    const spare = Math.max(panel().width / 230 - count, 0) / 2;
    return { x: [-0.5 - spare, count - 0.5 + spare], y: padded(lowest, highest, 0.02) };
  }

  // The rectangle of bars and rows with the largest volume, at a size where every row shows its numbers.
  function numbersView() {
    const { width, height } = panel();
    const across = Math.max(1, Math.floor(width / ((2 * Math.max(bidDigits, askDigits) + 3) * 13)));
    const tall = Math.max(1, Math.floor(height / ROOMY_ROW));
    let best = { volume: -1, first: 0, low: 0 };
    for (let first = 0; first <= Math.max(count - across, 0); first++) {
      const volumes = new Array(grid.rows).fill(0);
      for (let k = 0; k < cells.slot.length; k++) {
        if (cells.slot[k] >= first && cells.slot[k] < first + across) volumes[cells.row[k]] += cells.total[k];
      }
      let volume = 0;
      for (let high = 0; high < grid.rows; high++) {
        volume += volumes[high] - (high >= tall ? volumes[high - tall] : 0);
        if (volume > best.volume) best = { volume, first, low: Math.max(high - tall + 1, 0) };
      }
    }
    const whole = overview();
    return {
      x: across >= count ? whole.x : [best.first - 0.5, best.first + across - 0.5],
      y: tall >= grid.rows ? padded(lowest, highest, Math.max(height / TALLEST_ROW / grid.rows - 1, 0.02) / 2)
        : [priceAt(best.low - 0.5), priceAt(best.low + tall - 0.5)],
    };
  }

  const edges = overview();
  edges.limits = [edges.x[0] - 0.5 * count - 1, edges.x[1] + 0.5 * count + 1];

  // ------------------------------------------------------------------------------------- what depends on the zoom

  function cellNumbers(view, font) {
    const side = { x: [], y: [], text: [], colour: [], weight: [] };
    const bid = structuredClone(side), ask = structuredClone(side), times = structuredClone(side);
    const spareX = 0.15 * (view.x[1] - view.x[0]), spareY = 0.15 * (view.y[1] - view.y[0]);
    const half = font * 0.62 / view.slotPixels;
    for (let k = 0; k < cells.slot.length; k++) {
      const slot = cells.slot[k], price = priceAt(cells.row[k]), flags = cells.flags[k];
      if (slot < view.x[0] - spareX - 0.5 || slot > view.x[1] + spareX + 0.5) continue;
      if (price < view.y[0] - spareY || price > view.y[1] + spareY) continue;
      bid.x.push(slot + MIDDLE - half);
      bid.text.push(String(cells.bid[k]));
      bid.colour.push(colours[flags & FLAG.sell ? "sell" : "number"]);
      bid.weight.push(flags & FLAG.sell ? "bold" : "normal");
      ask.x.push(slot + MIDDLE + half);
      ask.text.push(String(cells.ask[k]));
      ask.colour.push(colours[flags & FLAG.buy ? "buy" : "number"]);
      ask.weight.push(flags & FLAG.buy ? "bold" : "normal");
      times.x.push(slot + MIDDLE);
      times.text.push("×");
      times.colour.push(colours.muted);
      times.weight.push("normal");
      for (const one of [bid, ask, times]) one.y.push(price);
    }
    return { bid, times, ask };
  }

  function tableNumbers(view) {
    const out = { x: [], y: [], text: [], colour: [], weight: [] };
    TABLE.forEach(([, name], row) => {
      const words = bars[name].map(formatShort);
      const font = Math.min(12, (0.92 * view.slotPixels) / (Math.max(...words.map((word) => word.length)) * DIGIT_WIDTH));
      if (font < SMALLEST_FONT) return;
      slots.forEach((slot) => {
        if (slot < view.x[0] - 2 || slot > view.x[1] + 2) return;
        const tone = name === "volume" || !bars[name][slot] ? "text" : bars[name][slot] > 0 ? "buy" : "sell";
        out.x.push(slot);
        out.y.push(row);
        out.text.push(words[slot]);
        out.colour.push(colours[tone]);
        out.weight.push(name === "delta" ? "bold" : "normal");
        out.font = Math.min(out.font ?? 12, font);
      });
    });
    return out;
  }

  // Level tags beside the axis, pushed apart where they would overlap; those out of sight are counted at the ends.
  function tags(view) {
    const { height } = panel();
    const pixels = (price) => (view.y[1] - price) / (view.y[1] - view.y[0]) * height;
    const visible = drawn.filter((level) => level.x[0] < view.x[1] && level.x[1] > view.x[0]);
    const inside = visible.filter(({ price }) => price <= view.y[1] && price >= view.y[0]);
    const above = visible.filter(({ price }) => price > view.y[1]);
    const below = visible.filter(({ price }) => price < view.y[0]);
    const top = above.length ? 24 : 6, bottom = height - (below.length ? 24 : 6), out = [];
    const shorten = (label, longest = 18) => label.length > longest ? label.slice(0, longest - 1) + "…" : label;
    const tag = { xref: "paper", x: 1, xanchor: "left", xshift: 58, showarrow: false, borderpad: 1,
      font: { family: SANS, size: 10.5 } };
    const places = inside.map(({ price }) => Math.max(pixels(price), top));
    for (let k = 1; k < places.length; k++) places[k] = Math.max(places[k], places[k - 1] + TAG_HEIGHT);
    for (let k = places.length - 1, floor = bottom; k >= 0; k--, floor -= TAG_HEIGHT) {
      places[k] = Math.min(places[k], floor);
    }
    inside.forEach((level, k) => {
      if (places[k] < top - 1) return;
      out.push({ ...tag, yref: "y", y: level.price, yshift: pixels(level.price) - places[k],
        text: plain(shorten(level.name)), hovertext: `${plain(level.name)} ${formatPrice(level.price)}`,
        font: { ...tag.font, color: levelColour(level) } });
    });
    const beyond = (outOfSight, nearest, arrow, y, yanchor) => outOfSight.length && out.push({ ...tag, yref: "paper", y, yanchor,
      text: `${arrow} ${outOfSight.length}: ${plain(shorten(nearest.name, 15))}`,
      hovertext: outOfSight.map((level) => `${plain(level.name)} ${formatPrice(level.price)}`).join("<br>"),
      font: { ...tag.font, color: colours.muted } });
    beyond(above, above.at(-1), "▲", 1, "top");
    beyond(below, below[0], "▼", PRICE_DOMAIN[0], "bottom");
    const last = bars.close.at(-1);
    if (last <= view.y[1] && last >= view.y[0]) {
      out.push({ ...tag, yref: "y", y: last, xshift: 1, text: `<b>${formatPrice(last)}</b>`,
        bgcolor: last >= bars.open.at(-1) ? colours["candle-up"] : colours["candle-down"],
        font: { ...tag.font, size: 11, color: colours["tag-text"] } });
    }
    const title = { xref: "paper", x: 0, xanchor: "left", xshift: 4, showarrow: false, bgcolor: colours.panel,
      font: { family: SANS, size: 10.5, color: colours.muted } };
    out.push({ ...title, yref: "paper", y: CUM_DELTA_DOMAIN[1], yanchor: "bottom", text: "Cumulative delta since 18:00 ET" });
    return out;
  }

  function priceStep(view) {
    const multiples = [1, 2, 4, 8, 20, 40, 80, 100, 200, 400, 800, 1000, 2000, 4000, 10000];
    const pixels = (multiple) => multiple * grid.tick * view.rowPixels / grid.height;
    return (multiples.find((multiple) => pixels(multiple) >= 26) ?? 40000) * grid.tick;
  }

  function currentView() {
    const { xaxis, yaxis } = chart.layout, { width, height } = panel();
    const x = xaxis.range.map(Number), y = yaxis.range.map(Number);
    return { x, y, slotPixels: width / (x[1] - x[0]), rowPixels: height / ((y[1] - y[0]) / grid.height) };
  }

  // Applies { uid: { attribute: value } } and layout changes in one redraw; Plotly wants one array an attribute.
  function update(changes, layoutChanges) {
    const uids = Object.keys(changes);
    const attributes = new Set(uids.flatMap((uid) => Object.keys(changes[uid])));
    const restyle = {};
    for (const attribute of attributes) {
      restyle[attribute] = uids.map((uid) => changes[uid][attribute]);
    }
    return Plotly.update(chart, restyle, layoutChanges,
      uids.map((uid) => chart.data.findIndex((trace) => trace.uid === uid)));
  }

  let colours = {};
  let pending = null;

  function adapt() {
    pending = null;
    const view = currentView();
    const cellPixels = (MIDDLE - BID_LEFT) * view.slotPixels;
    const widest = Math.max(bidDigits, askDigits) + 1.1;
    const font = Math.min(LARGEST_FONT, view.rowPixels * 0.8, cellPixels / (widest * DIGIT_WIDTH));
    const numbers = font >= SMALLEST_FONT;
    const words = numbers ? cellNumbers(view, font) : null;
    const figures = tableNumbers(view);
    const empty = { x: [], y: [], text: [], colour: colours.text, weight: "normal" };
    const lettering = (one, size) => ({ x: one.x, y: one.y, text: one.text, "textfont.color": one.colour,
      "textfont.weight": one.weight, "textfont.size": size, "textfont.family": MONO });
    const shown = slots.filter((slot) => slot > view.x[0] - 0.5 && slot < view.x[1] + 0.5);
    const step = Math.max(1, ...[1, 2, 3, 4, 6, 12, 24, 48, 96].filter((bars_, k, all) =>
      k === 0 || all[k - 1] * view.slotPixels < 62));
    const ticks = slots.filter((slot) => slot % step === 0);
    const cumLow = Math.min(...shown.map((slot) => bars.cum_delta_low[slot]));
    const cumHigh = Math.max(...shown.map((slot) => bars.cum_delta_high[slot]));
    const cumPad = Math.max((cumHigh - cumLow) * 0.1, 1);
    const rowGap = view.rowPixels >= 6 ? 1 : 0;
    update({
      cells: { visible: numbers, ygap: rowGap },
      deltas: { visible: !numbers, ygap: rowGap },
      poc: { "line.width": numbers ? 1.6 : 0.9 },
      bid: lettering(words?.bid ?? empty, font),
      times: lettering(words?.times ?? empty, 0.8 * font),
      ask: lettering(words?.ask ?? empty, font),
      figures: lettering(figures, figures.font ?? SMALLEST_FONT),
    }, {
      "xaxis.tickvals": ticks, "xaxis.ticktext": ticks.map((slot) => bars.label[slot]),
      "yaxis.dtick": priceStep(view), "yaxis.tick0": 0,
      ...(shown.length ? { "yaxis2.range": [cumLow - cumPad, cumHigh + cumPad] } : {}),
      annotations: tags(view),
    }).then(() => {
      root.dataset.mode = numbers ? "numbers" : "heatmap";
      root.dataset.state = "drawn";
      hint.textContent = numbers ? "Drag to pan, scroll to zoom, double-click for all"
        : "Colours show delta at price; zoom in to read bid × ask";
    });
  }

  function adaptSoon() {
    // One redraw a frame, however many wheel events arrive in it.
    pending ??= requestAnimationFrame(adapt);
  }

  function readColours() {
    const names = ["buy", "sell", "number", "muted", "text", "panel", "candle-up", "candle-down", "tag-text"];
    colours = Object.fromEntries(names.map((name) => [name, colour(name)]));
  }

  function show({ x, y }) {
    Plotly.relayout(chart, { "xaxis.range": x, "yaxis.range": y });
  }

  readColours();
  const start = numbersView();
  Plotly.newPlot(chart, traces(), layout({ ...start, limits: edges.limits }), {
    scrollZoom: true, doubleClick: false, displaylogo: false, displayModeBar: false,
  }).then(() => {
    chart.on("plotly_relayout", adaptSoon);
    chart.on("plotly_doubleclick", () => show(overview()));
    document.getElementById("numbers").addEventListener("click", () => show(numbersView()));
    document.getElementById("overview").addEventListener("click", () => show(overview()));
    document.addEventListener("themechange", () => {
      readColours();
      const { x, y } = currentView();
      Plotly.react(chart, traces(), layout({ x, y, limits: edges.limits })).then(adaptSoon);
    });
    new ResizeObserver(() => Plotly.relayout(chart, size())).observe(chart);
    adapt();
  });
})();
