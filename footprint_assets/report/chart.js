// What every chart of these pages shares: colours of the theme, a chart in New York time, levels, pictures in its panes.
// Times are New York wall clocks in seconds, shown as if they were UTC: the library knows no time zones.
"use strict";
const Page = (() => {
  const root = document.documentElement;
  const data = JSON.parse(document.getElementById("data").textContent);
  const element = document.getElementById("chart");
  const SANS = "system-ui, -apple-system, 'Segoe UI', Roboto, 'Liberation Sans', sans-serif";
  const MONO = "ui-monospace, SFMono-Regular, Menlo, Consolas, 'Liberation Mono', 'DejaVu Sans Mono', monospace";
  // Classes of levels shown at first; the others are a click away.
  const CLASSES = { PREMARKET: true, OPENING_RANGE: true, INITIAL_BALANCE: false, MOVING_AVERAGE: true, OVERNIGHT: true,
    SESSION: false, PRIOR_DAY: true, PRIOR_WEEK: false, VWAP: false, PROFILE: false, ROUND: false, OPTION: false };

  const probe = document.createElement("span");
  probe.hidden = true;
  document.body.append(probe);
  let colours = {};
  const colour = (name) => {
    if (!(name in colours)) {
      probe.style.color = `var(--${name})`;
      colours[name] = getComputedStyle(probe).color;
    }
    return colours[name];
  };
  const faded = (name, alpha) => colour(name).replace(/^rgb\((.*)\)$/, `rgba($1, ${alpha})`);
  const levelColour = (level) =>
    colour("level-" + (level.class in CLASSES ? level.class.toLowerCase().replaceAll("_", "-") : "other"));

  const two = (value) => String(value).padStart(2, "0");
  const clock = (seconds, withSeconds = true) => {
    const moment = new Date(seconds * 1000);
    return `${two(moment.getUTCHours())}:${two(moment.getUTCMinutes())}` +
      (withSeconds ? `:${two(moment.getUTCSeconds())}` : "");
  };
  const price = (value) => value === null || value === undefined ? "–" : value.toFixed(data.decimals);
  const count = (value) => value === null || value === undefined ? "–" : value.toLocaleString("en-US");
  const short = (value) => Math.abs(value) >= 100000 ? Math.round(value / 1000) + "k" : String(value);
  const signed = (value) => (value > 0 ? "+" : "") + count(value);
  const largest = (values) => values.reduce((most, value) => Math.max(most, Math.abs(value ?? 0)), 0) || 1;
  const clamp = (value, low, high) => Math.min(Math.max(value, low), high);

  // First position whose time is not before the given one.
  const firstFrom = (times, time) => {
    let low = 0, high = times.length;
    while (low < high) {
      const middle = (low + high) >> 1;
      if (times[middle] < time) low = middle + 1; else high = middle;
    }
    return low;
  };

  function create(place = element, options = {}) {
    return LightweightCharts.createChart(place, {
      autoSize: true,
      layout: { background: { color: colour("panel") }, textColor: colour("muted"), fontFamily: SANS, fontSize: 11,
        panes: { separatorColor: colour("line"), separatorHoverColor: faded("muted", 0.3), enableResize: true } },
      grid: { vertLines: { color: colour("grid") }, horzLines: { color: colour("grid") } },
      crosshair: { mode: LightweightCharts.CrosshairMode.Normal,
        vertLine: { color: colour("muted"), labelBackgroundColor: colour("tag") },
        horzLine: { color: colour("muted"), labelBackgroundColor: colour("tag") } },
      rightPriceScale: { borderColor: colour("line"), minimumWidth: 78 },
      timeScale: { borderColor: colour("line"), timeVisible: true, secondsVisible: true, minBarSpacing: 0.02,
        rightOffset: 2 },
      localization: { locale: "en-US", timeFormatter: (time) => clock(time) + " ET" },
      ...options,
    });
  }

  // The price format of the contract: its axis moves in ticks.
  const ticks = () => ({ type: "price", precision: data.decimals, minMove: data.tick });
  const contracts = { type: "custom", minMove: 1, formatter: (value) => count(Math.round(value)) };
  const quiet = { lastValueVisible: false, priceLineVisible: false, crosshairMarkerVisible: false };

  // One line a level, from the first bar that begins when it is known. Levels at one price share one label.
  function drawLevels(chart, times, shown) {
    const named = new Map(), order = Object.keys(CLASSES);
    const classOf = new Map(data.levels.map((level) => [level.name, level.class]));
    const lines = data.levels.filter((level) => level.state === "drawn" && shown.has(level.class)).flatMap((level) => {
      const from = firstFrom(times, level.from);
      const end = level.to === null ? times.length - 1 : firstFrom(times, level.to) - 1;
      if (from > end) return [];
      named.set(level.price, [...(named.get(level.price) ?? []), level.name]);
      return [{ level, points: [...new Set([from, end])].map((k) => ({ time: times[k], value: level.price })) }];
    });
    const rank = (name) => order.indexOf(classOf.get(name));
    for (const names of named.values()) names.sort((one, other) => rank(one) - rank(other) || one.length - other.length);
    lines.sort((one, other) => rank(one.level.name) - rank(other.level.name) || one.level.name.length - other.level.name.length);
    const titled = new Set();
    return lines.map(({ level, points }) => {
      const names = named.get(level.price), first = !titled.has(level.price);
      titled.add(level.price);
      const line = chart.addSeries(LightweightCharts.LineSeries, { ...quiet, color: levelColour(level),
        lineWidth: 1, lineStyle: level.partial ? LightweightCharts.LineStyle.Dashed : LightweightCharts.LineStyle.Solid,
        priceFormat: ticks(), lastValueVisible: first, autoscaleInfoProvider: () => null,
        title: first ? names[0] + (names.length > 1 ? ` +${names.length - 1}` : "") : "" });
      line.setData(points);
      return line;
    });
  }

  // One switch a class of levels that has a line.
  function chips(redraw) {
    const box = document.getElementById("classes");
    const present = new Set(data.levels.filter((level) => level.state === "drawn").map((level) => level.class));
    const shown = new Set([...present].filter((name) => CLASSES[name]));
    for (const name of [...present].sort()) {
      toggle(box, name.toLowerCase().replaceAll("_", " "), shown.has(name), (on) => {
        if (on) shown.add(name); else shown.delete(name);
        redraw();
      }, levelColour({ class: name }));
    }
    return shown;
  }

  function toggle(box, label, on, changed, mark) {
    const button = document.createElement("button");
    button.type = "button";
    button.textContent = label;
    button.setAttribute("aria-pressed", String(on));
    if (mark) button.style.setProperty("--mark", mark);
    button.addEventListener("click", () => {
      const now = button.getAttribute("aria-pressed") !== "true";
      button.setAttribute("aria-pressed", String(now));
      changed(now);
    });
    box.append(button);
    return button;
  }

  // The words in the corner of the chart; always text.
  function readout(lines) {
    const box = document.getElementById("readout");
    box.replaceChildren(...lines.map((words) => {
      const line = document.createElement("div");
      for (const word of words) {
        const [text, tone] = Array.isArray(word) ? word : [word, ""];
        const span = document.createElement("span");
        span.textContent = text;
        span.className = tone;
        line.append(span);
      }
      return line;
    }));
  }
  const toneOf = (value) => value > 0 ? "buy" : value < 0 ? "sell" : "";

  // Builds the chart, and builds it again where the theme changes; `build` gives the chart and what it looks at.
  function run(build) {
    let chart = build(null);
    // Keeps the stretch of time that is looked at, unless the bars are others.
    const again = (afresh = false) => {
      const view = afresh ? null : chart.timeScale().getVisibleLogicalRange();
      chart.remove();
      chart = build(view);
    };
    document.addEventListener("themechange", () => {
      colours = {};
      again();
    });
    // Two frames: the first lays the chart out, the second has drawn it.
    requestAnimationFrame(() => requestAnimationFrame(() => { root.dataset.state = "drawn"; }));
    return { again, get chart() { return chart; } };
  }

  return { root, data, element, SANS, MONO, colour, faded, clock, price, count, short, signed, largest, clamp, firstFrom,
    create, ticks, contracts, quiet, drawLevels, chips, toggle, readout, toneOf, run };
})();
