"""The book at a level by the obvious loops: bars of {tick: row}, one row and one column at a time."""

from __future__ import annotations

import math
from functools import reduce
from operator import add
from statistics import median

import polars as pl

BAR = 5_000_000_000
BANDS = {"p0_1": (0, 1), "p1_2": (1, 2), "p2_3": (2, 3), "p3_5": (3, 5), "p5_10": (5, 10)}
SIDES = ("bid", "ask")


def share(part, whole):
    return None if part is None or not whole else part / whole


def imbalance(first, second):
    if first is None or second is None:
        return None
    size = abs(first) + abs(second)
    return (first - second) / size if size else 0.0


def total(rows, column):
    return sum(row[column] or 0 for row in rows)


def both_eob(rows):
    """Size of both sides of the ticks in sight; None if none is."""
    visible = [row for row in rows if row["is_visible_eob"]]
    return total(visible, "bid_qty_eob") + total(visible, "ask_qty_eob") if visible else None


def average(rows, sides=SIDES):
    shown = [row for row in rows if row["visible_ns"]]
    sizes = [row[f"{side}_qty_ns"] / row["visible_ns"] for row in shown for side in sides]
    return math.fsum(sizes) if shown else None


FLOWS = ("add_vol", "pull_vol", "fill_vol", "add_cnt", "cancel_cnt", "modify_cnt")


def seen(rows):
    return any(row["visible_ns"] or any(row[f"{s}_{f}"] for s in SIDES for f in FLOWS) for row in rows)


def net(rows, side):
    return total(rows, f"{side}_add_vol") - total(rows, f"{side}_pull_vol") - total(rows, f"{side}_fill_vol")


def walls(rows, side):
    """(ticks of the side, best first; ticks that stand out)."""
    ladder = sorted(
        ((r["price_tick"], r[f"{side}_qty_eob"]) for r in rows if r[f"{side}_qty_eob"]), reverse=side == "bid"
    )
    logs = [math.log1p(size) for _, size in ladder]
    if not logs:
        return [], []
    # Summed plainly: five levels of which one differs lie on the threshold itself.
    mean = reduce(add, logs) / len(logs)
    deviation = max(math.sqrt(reduce(add, [(x - mean) * (x - mean) for x in logs]) / len(logs)), 1e-9)
    strong = [t for (t, _), x in zip(ladder, logs, strict=True) if (x - mean) / deviation >= 2]
    return [t for t, _ in ladder], strong


def state(added, pulled, filled, depth, s):
    if added is None:
        return None
    lost = pulled + filled
    gain, ratio = added - lost, added / max(lost, 1)
    if ratio < s.vacuum_ratio and gain < -s.strong_flow_contracts:
        return 1
    if ratio > s.wall_ratio and gain > s.strong_flow_contracts:
        return 2
    if gain < -s.strong_flow_contracts and filled > pulled:
        return 3
    if gain > 0 and ratio > s.absorption_ratio:
        return 4
    if depth is not None and depth < s.weak_depth_contracts:
        return 5
    if abs(gain) < s.balanced_flow_contracts and added + lost > s.churn_contracts:
        return 4
    return 0


class Reference:
    def __init__(self, bars, price5s, shocks, tick, settings):
        self.starts = bars["bar_ts"].to_physical().to_list()
        self.bars = [{} for _ in self.starts]
        where = {ts: k for k, ts in enumerate(self.starts)}
        for row in price5s.with_columns(price5s["bar_ts"].to_physical()).to_dicts():
            self.bars[where[row["bar_ts"]]][row["price_tick"]] = row
        self.shocks = [
            (row | {"resting_side": row["resting_side"].lower()}) for row in _plain(shocks).to_dicts()
        ]
        self.tick, self.settings = tick, settings

    def pick(self, bar, wanted):
        return [row for tick, row in self.bars[bar].items() if wanted(tick)] if bar >= 0 else []

    def in_band(self, band):
        low, high = BANDS[band]
        return lambda ticks: (low < ticks * self.tick or band == "p0_1") and ticks * self.tick <= high

    def best(self, bar, side):
        ticks = [t for t, row in self.bars[bar].items() if row[f"{side}_qty_eob"]]
        return (max(ticks) if side == "bid" else min(ticks)) if ticks else None

    def row(self, bar, price, direction):
        level = round(price / self.tick)
        out = {}
        self.depth(out, bar, level, direction)
        self.at_level(out, bar, level, direction)
        self.liquidity(out, bar, level, direction)
        self.flow(out, bar, level)
        self.sides(out, bar, level, direction)
        self.order_flow(out, bar, level)
        return {f"bar5s_{name}": value for name, value in out.items()}

    def depth(self, out, bar, level, direction):
        everything = self.pick(bar, lambda _: True)
        beyond = {"below": lambda t: t < level, "above": lambda t: t > level}
        for where, on_side in beyond.items():
            for band in BANDS:
                inside = self.in_band(band)
                rows = self.pick(bar, lambda t, on=on_side, i=inside: on(t) and i(abs(t - level)))
                key = f"lvldepth_{where}_{band}"
                out[f"{key}_qty_twa"], out[f"{key}_qty_eob"] = average(rows), both_eob(rows)
                out[f"{key}_frac_twa"] = share(average(rows), average(everything))
                out[f"{key}_frac_eob"] = share(both_eob(rows), both_eob(everything))
        for band in BANDS:
            out[f"lvldepth_cdi_{band}_eob"] = imbalance(
                out[f"lvldepth_below_{band}_qty_eob"], out[f"lvldepth_above_{band}_qty_eob"]
            )
        below, above = (both_eob(self.pick(bar, on)) for on in beyond.values())
        out["lvldepth_below_total_qty_eob"], out["lvldepth_above_total_qty_eob"] = below, above
        out["lvldepth_imbal_eob"] = imbalance(below, above)
        for name, k in zip(("m4", "m3", "m2", "m1", "z0", "p1", "p2", "p3", "p4"), range(-4, 5), strict=True):
            out[f"lvldepth_rel_{name}_eob"] = self.size_at(bar, level + k * direction)

    def size_at(self, bar, tick):
        return both_eob(self.pick(bar, lambda t: t == tick))

    def at_level(self, out, bar, level, direction):
        here = self.bars[bar].get(level)
        visible = here is not None and here["is_visible_eob"]
        bid, ask = (here["bid_qty_eob"], here["ask_qty_eob"]) if visible else (None, None)
        out["lvl_bid_size_at_level_eob"], out["lvl_ask_size_at_level_eob"] = bid, ask
        out["lvl_total_size_at_level_eob"] = bid + ask if visible else None
        out["lvl_size_at_level_imbal_eob"] = imbalance(bid, ask)
        out["lvl_level_is_visible"] = 1 if visible else 0
        rows = list(self.bars[bar].values())
        wall = 0
        for side in SIDES:
            ladder, strong = walls(rows, side)
            out[f"lvl_level_book_index_{side}"] = (
                None if not visible else ladder.index(level) if level in ladder else -1
            )
            wall |= level in strong
            away = min((abs(t - level) * self.tick for t in strong), default=None)
            out[f"lvlwall_{side}_nearest_strong_dist_pts_eob"] = away
        orders = here["bid_ct_eob"] + here["ask_ct_eob"] if visible else None
        out["lvl_wall_at_level"] = int(wall) if visible else None
        out["lvl_order_count_at_level_eob"] = orders
        out["lvl_avg_order_at_level_eob"] = share(out["lvl_total_size_at_level_eob"], orders)
        if direction > 0:
            ahead = total(self.pick(bar, lambda t: t < level), "ask_qty_eob")
        else:
            ahead = total(self.pick(bar, lambda t: t > level), "bid_qty_eob")
        out["lvl_queue_ahead_qty_eob"] = ahead if visible else None
        out["lvl_size_at_level_d1_w3"] = self.change(bar, level, 3)
        out["lvl_size_at_level_d1_w12"] = self.change(bar, level, 12)
        now, then = self.change(bar, level, 12), self.change(bar - 12, level, 12)
        out["lvl_size_at_level_d2_w12"] = None if now is None or then is None else (now - then) / 12

    def change(self, bar, level, lag):
        now, then = self.size_at(bar, level), self.size_at(bar - lag, level)
        return None if now is None or then is None else (now - then) / lag

    def zone_depth(self, bar, middle, side):
        zone = self.pick(bar, lambda t: abs(t - middle) <= self.settings.zone_ticks)
        visible = [row for row in zone if row["is_visible_eob"]]
        return total(visible, f"{side}_qty_eob") if visible else None

    def usual(self, bar, level, side):
        now, past = self.best(bar, side), []
        for j in range(max(bar - self.settings.baseline_bars, 0), bar):
            then = self.best(j, side)
            if now is not None and then is not None:
                past.append(self.zone_depth(j, then + (level - now), side))
        known = [x for x in past if x is not None]
        return median(known) if known else None

    def liquidity(self, out, bar, level, direction):
        s, side = self.settings, "ask" if direction > 0 else "bid"
        depth = self.zone_depth(bar, level, side)
        for w in (3, 12, 36):
            span = range(max(bar - w + 1, 0), bar + 1)
            zone = [r for j in span for r in self.pick(j, lambda t: abs(t - level) <= s.zone_ticks)]
            here = [r for j in span for r in self.pick(j, lambda t: t == level)]
            added, pulled, filled = (
                (total(zone, f"{side}_{flow}") if seen(zone) else None) for flow in FLOWS[:3]
            )
            known = added is not None
            lost = pulled + filled if known else None
            put = lambda name, value, w=w: out.__setitem__(f"lvlliq_{name}_w{w}", value)  # noqa: E731
            put("added_qty", added)
            put("pulled_qty", pulled)
            put("filled_qty", filled)
            put("net_qty", added - lost if known else None)
            put("replenishment_ratio", added / max(lost, 1) if known else None)
            put("pull_share", share(pulled, lost))
            put("churn_qty", added + lost if known else None)
            put("depth_in_zone_qty", depth)
            put("depth_vs_baseline", share(depth, self.usual(bar, level, side)))
            put("refill_latency_ms", self.refill(bar, level, side, w))
            largest = max((r[f"{side}_max_qty"] or 0 for r in here), default=0)
            put("iceberg_ratio", share(total(here, f"{side}_fill_vol"), largest))
            put("absorption_ratio", self.absorption(filled, bar, max(bar - w, 0), level, direction, side))
            put("state", state(added, pulled, filled, depth, s))

    def refill(self, bar, level, side, w):
        end = self.starts[bar] + BAR
        waits = [
            shock["refill_ms"]
            for shock in self.shocks
            if shock["resting_side"] == side
            and abs(shock["price_tick"] - level) <= self.settings.zone_ticks
            and end - w * BAR <= shock["ts_event"] < end
            and shock["recovered_ts"] is not None
            and shock["recovered_ts"] < end
        ]
        return median(waits) if waits else None

    def absorption(self, filled, bar, start, level, direction, side):
        now, then = self.best(bar, side), self.best(start, side)
        if filled is None or now is None or then is None:
            return None
        zone = self.settings.zone_ticks
        inside = [max(-zone, min(zone, direction * (best - level))) for best in (then, now)]
        return filled / max(inside[1] - inside[0], 1)

    def flow(self, out, bar, level):
        bands = {}
        for band in BANDS:
            inside = self.in_band(band)
            bands[band] = self.pick(bar, lambda t, i=inside: i(abs(t - level)))
        for band, rows in bands.items():
            known = seen(rows)
            for side in SIDES:
                key = f"{side}_{band}_sum"
                added, pulled, filled, adds, cancels, modifies = (total(rows, f"{side}_{f}") for f in FLOWS)
                depth = average(rows, (side,)) or 0
                for name, value in (
                    ("add_vol", added),
                    ("rem_vol", pulled + filled),
                    ("net_vol", added - pulled - filled),
                    ("cnt_add", adds),
                    ("cnt_cancel", cancels),
                    ("cnt_modify", modifies),
                    ("net_volnorm", (added - pulled - filled) / max(depth, 1)),
                ):
                    out[f"lvlflow_{name}_{key}"] = value if known else None
        for band in ("p0_1", "p1_2", "p2_3"):
            rows = bands[band]
            for name, column in (
                ("add", "add_vol"), ("pull", "pull_vol"), ("fill", "fill_vol"),
                ("cnt_add", "add_cnt"), ("cnt_cancel", "cancel_cnt"),
            ):  # fmt: skip
                balance = imbalance(*(total(rows, f"{side}_{column}") for side in SIDES))
                out[f"lvlflow_{name}_imbal_{band}"] = balance if seen(rows) else None
            balance = imbalance(net(rows, "bid"), net(rows, "ask"))
            out[f"lvlflow_net_imbal_{band}"] = balance if seen(rows) else None
        self.concentration(out, bar, level, bands)

    def concentration(self, out, bar, level, bands):
        reach = [row for rows in bands.values() for row in rows]
        near, far = bands["p0_1"], bands["p1_2"] + bands["p2_3"]
        below = [r for r in reach if r["price_tick"] < level]
        above = [r for r in reach if r["price_tick"] > level]
        for name in ("add", "pull"):
            volume = lambda rows, n=name: total(rows, f"bid_{n}_vol") + total(rows, f"ask_{n}_vol")  # noqa: E731
            out[f"lvlflow_{name}_intensity_p0_1"] = share(volume(near), volume(reach)) if seen(near) else None
            out[f"lvlflow_{name}_above_below_imbal"] = (
                imbalance(volume(above), volume(below)) if seen(above) and seen(below) else None
            )
            out[f"lvlflow_near_far_{name}_ratio"] = (
                volume(near) / max(volume(far), 1) if seen(near) and seen(far) else None
            )
        gains = [net(rows, "bid") + net(rows, "ask") for rows in (above, below)]
        out["lvlflow_net_above_below_imbal"] = imbalance(*gains) if seen(above) and seen(below) else None
        weights = [
            (r["price_tick"] - level, sum(total([r], f"{s}_{f}") for s in SIDES for f in FLOWS[:3]))
            for r in reach
        ]
        weight = sum(w for _, w in weights)
        mean = sum(d * w for d, w in weights) / weight if weight else None
        out["lvlflow_centroid_pts"] = mean * self.tick if weight else None
        out["lvlflow_dispersion_pts"] = (
            math.sqrt(math.fsum(w * (d - mean) ** 2 for d, w in weights) / weight) * self.tick
            if weight
            else None
        )

    def sides(self, out, bar, level, direction):
        reach = self.pick(bar, lambda t: abs(t - level) * self.tick <= 10)
        toward, away = ("ask", "bid") if direction > 0 else ("bid", "ask")
        known = seen(reach)
        out["lvl_flow_toward_net_sum"] = net(reach, toward) if known else None
        out["lvl_flow_away_net_sum"] = net(reach, away) if known else None
        out["lvl_flow_toward_away_imbal_sum"] = net(reach, toward) - net(reach, away) if known else None

    def order_flow(self, out, bar, level):
        areas = {
            "near": lambda t: abs(t - level) <= self.settings.ofi_ticks,
            "above": lambda t: t > level,
            "below": lambda t: t < level,
        }
        for area, inside in areas.items():
            for w in (6, 12, 24, 60):
                rows = [r for j in range(max(bar - w + 1, 0), bar + 1) for r in self.pick(j, inside)]
                value = net(rows, "bid") - net(rows, "ask")
                out[f"lvlofi_{area}_w{w}"] = value if seen(rows) else None


def _plain(shocks):
    return shocks.with_columns(
        pl.col("ts_event", "recovered_ts").to_physical(), pl.col("resting_side").cast(pl.String)
    )
