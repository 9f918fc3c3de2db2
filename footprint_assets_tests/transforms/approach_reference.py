"""One row of the approach table by the obvious loops over plain lists. None is "not known"."""

from __future__ import annotations

import math
from itertools import pairwise
from statistics import fmean

import polars as pl

from footprint_assets_tests.transforms.approach_markets import LevelInputs
from footprint_assets_tests.transforms.level_markets import BAR, SESSION, TICK
from footprint_assets_tests.transforms.trade_frames import MINUTE

SECOND = 1_000_000_000
WEIGHTS = {
    "PREMARKET": 1.0, "OPENING_RANGE": 0.9, "PRIOR_DAY": 0.6, "OVERNIGHT": 0.6, "PROFILE": 0.6, "ROUND": 0.0,
    "SMA_90": 0.8, "GLOBEX_VWAP": 0.7, "DEV_POC": 0.6,
}  # fmt: skip


def plain(frame: pl.DataFrame) -> list[dict]:
    return frame.with_columns(pl.col(pl.Datetime).to_physical()).to_dicts()


def ratio(a, b):
    return None if a is None or b is None or b == 0 else a / b


def minus(a, b):
    return None if a is None or b is None else a - b


def known(values):
    return [v for v in values if v is not None]


def slope(xs, ys):
    mx, my = fmean(xs), fmean(ys)
    xx = math.fsum((x - mx) ** 2 for x in xs)
    return math.fsum((x - mx) * (y - my) for x, y in zip(xs, ys, strict=True)) / xx if xx else None


class Row:
    """The row of one episode and bar."""

    def __init__(
        self, given: LevelInputs, episode: int, bar_ns: int, book_half: list[dict], large: int | None
    ):
        self.given = given
        self.episodes = plain(given.episodes)
        self.outcomes = plain(given.outcomes)
        self.episode = self.episodes[episode]
        self.earlier = list(zip(self.episodes[:episode], self.outcomes[:episode], strict=True))
        self.bars = plain(given.bars)
        self.book = plain(given.book)
        starts = [bar["bar_ts"] for bar in self.bars]
        self.t = starts.index(bar_ns)
        self.start = starts.index(self.episode["approach_start_ts"])
        self.first = starts.index(self.episode["trigger_bar_ts"]) - self.episode["lookback_bars"]
        self.end_ns = bar_ns + BAR
        self.level, self.direction = self.episode["level_price"], self.episode["approach_direction"]
        self.tick = round(self.level / TICK)
        self.trades = [t for t in plain(given.trades_clean) if t["ts_event"] < self.end_ns]
        self.book_half, self.large = book_half, large

    def dist(self, i):
        micro = self.bars[i]["bar5s_microprice_eob"] if i >= 0 else None
        return None if micro is None else micro - self.level

    def signed(self, i):
        return None if self.dist(i) is None else self.dist(i) * self.direction

    def away(self, i):
        return None if self.dist(i) is None else abs(self.dist(i))

    def window(self, read, bars, t=None):
        """The last values, None where one is not known."""
        t = self.t if t is None else t
        values = [read(i) for i in range(t - bars + 1, t + 1)]
        return None if None in values else values

    def velocity(self, bars, t=None):
        values = self.window(self.signed, bars, t)
        return None if values is None else 12 * slope(range(bars), values)

    def distances(self):
        d = self.dist(self.t)
        inside = [t for t in self.trades if t["ts_event"] >= self.end_ns - BAR]
        ticks = [(t["price_tick"] - self.tick) * self.direction for t in inside]
        ended = [m for m in plain(self.given.ohlcv) if m["bar_ts"] + MINUTE <= self.end_ns]
        side = None if d is None else 0 if abs(d) <= TICK / 2 else math.copysign(1, d)
        return {
            "dist_to_level_pts_eob": d,
            "dist_to_level_pts_twa": minus(self.book[self.t]["bar5s_microprice_twa_px"], self.level),
            "abs_dist_to_level_pts_eob": self.away(self.t),
            "dist_to_level_ticks_eob": ratio(d, TICK),
            "dist_to_level_atr_eob": ratio(d, ended[-1]["atr_14"] if ended else None),
            "dist_to_level_bps_eob": ratio(d, self.level / 10_000),
            "trade_dist_min_ticks": min(ticks, key=lambda x: (abs(x), x)) if ticks else None,
            "trade_penetration_max_ticks": max(ticks) if ticks else None,
            "side_of_level_eob": side,
            "alignment_eob": None if side is None else -side * self.episode["level_polarity"],
        }

    def speeds(self):
        out = {}
        for w in (12, 36, 72, 180):
            path, points = self.window(self.signed, w + 1), self.window(self.signed, w)
            steps = None if path is None else [b - a for a, b in pairwise(path)]
            out |= {
                f"velocity_pts_per_min_w{w}": self.velocity(w),
                f"accel_pts_per_min2_w{w}": ratio(
                    minus(self.velocity(w), self.velocity(w, self.t - w)), w / 12
                ),
                f"path_efficiency_w{w}": steps and ratio(abs(path[-1] - path[0]), sum(map(abs, steps))),
                f"time_in_band_frac_w{w}": points and sum(abs(x) <= 4 * TICK for x in points) / w,
                f"min_abs_dist_pts_w{w}": points and min(map(abs, points)),
                f"toward_bar_frac_w{w}": path and sum(abs(b) < abs(a) for a, b in pairwise(path)) / w,
                f"realized_vol_pts_w{w}": steps and math.sqrt(math.fsum(s * s for s in steps)),
            }
        now, velocity = self.signed(self.t), self.velocity(12)
        if now is not None and velocity is not None:
            speed = (velocity if now < 0 else -velocity) / 60
            out["eta_s"] = 0.0 if now == 0 else min(abs(now) / speed, 3600) if speed > 0 else 3600
        else:
            out["eta_s"] = None
        return out | self.since_start()

    def thirds(self, first):
        """Speeds of the three parts of the bars since one of them."""
        n = self.t - first
        k = n // 3
        if k < 1:
            return None, None, None
        x = [self.signed(i) for i in range(first, self.t + 1)]

        def speed(a, b):
            return ratio(minus(x[b], x[a]), (b - a) / 12)

        return speed(0, k), speed(k, n - k), speed(n - k, n)

    def since_start(self):
        run = 0
        while run < self.t and None not in (self.away(self.t - run), self.away(self.t - run - 1)):
            if not self.away(self.t - run) < self.away(self.t - run - 1):
                break
            run += 1
        out = {"consecutive_toward_bars": None if self.away(self.t) is None else run}
        if self.t < self.start:
            return out | dict.fromkeys(
                ("duration_s", "distance_travelled_pts", "max_pullback_pts", "late_over_early_velocity")
            )
        path = known(self.signed(i) for i in range(self.start, self.t + 1))
        early, _, late = self.thirds(self.start)
        return out | {
            "duration_s": (self.end_ns - self.bars[self.start]["bar_ts"]) / SECOND,
            "distance_travelled_pts": None
            if None in (self.dist(self.t), self.dist(self.start))
            else abs(self.dist(self.start) - self.dist(self.t)),
            "max_pullback_pts": max(max(path[: k + 1]) - x for k, x in enumerate(path)) if path else None,
            "late_over_early_velocity": ratio(late, early),
        }

    def derivatives(self):
        sources = {
            "lvlimbal": "bar5s_lvldepth_imbal_eob",
            "sizeatlvl": "bar5s_lvl_total_size_at_level_eob",
            "lvlcdi01": "bar5s_lvldepth_cdi_p0_1_eob",
            "lvltoward": "bar5s_lvl_flow_toward_net_sum",
        }
        reads = {name: (lambda i, s=s: self.half(i, s)) for name, s in sources.items()} | {"dist": self.dist}
        out = {}
        for name, read in reads.items():
            for w in (3, 12, 36, 72):
                d1 = {lag: ratio(minus(read(self.t - lag), read(self.t - lag - w)), w) for lag in (0, w)}
                out[f"{name}_d1_w{w}"] = d1[0]
                out[f"{name}_d2_w{w}"] = ratio(minus(d1[0], d1[w]), w)
        return out

    def half(self, i, column):
        return self.book_half[i - self.first][column] if i >= self.first else None

    def total(self, column, first):
        values = known(self.column(i, column) for i in range(first, self.t + 1))
        return sum(values) if values else None

    def column(self, i, column):
        rows = self.book if column in self.book[0] else self.bars
        return rows[i][column]

    def cumulated(self):
        sources = {
            "trade_vol": "trade_vol", "signed_trade_vol": "trade_signed_vol", "aggbuy_vol": "trade_aggbuy_vol",
            "aggsell_vol": "trade_aggsell_vol", "flow_net_bid": "flow_net_vol_bid", "flow_net_ask": "flow_net_vol_ask",
            "msg_cnt": "meta_msg_cnt", "trade_cnt": "trade_cnt", "add_cnt": "meta_add_cnt", "cancel_cnt": "meta_cancel_cnt",
            "flow_net_bid_p0_1": "flow_net_vol_bid_p0_1", "flow_net_ask_p2_3": "flow_net_vol_ask_p2_3",
        }  # fmt: skip
        if self.t < self.start:
            return dict.fromkeys([*sources, "flow_imbal", "flow_imbal_rate", "signed_trade_vol_rate"])
        out = {name: self.total(f"bar5s_{source}_sum", self.start) for name, source in sources.items()}
        bars = self.t - self.start + 1
        out["flow_imbal"] = out["flow_net_bid"] - out["flow_net_ask"]
        return out | {
            "flow_imbal_rate": out["flow_imbal"] / bars,
            "signed_trade_vol_rate": out["signed_trade_vol"] / bars,
        }

    def setup(self):
        span = range(self.first, self.t + 1)
        away = [self.away(i) for i in span]
        moves = known(minus(b, a) for a, b in pairwise(away))
        closer, farther = sum(m < 0 for m in moves), sum(m > 0 for m in moves)
        early, middle, late = self.thirds(self.first)
        volume, signed = (self.total(f"bar5s_trade_{name}_sum", self.first) for name in ("vol", "signed_vol"))
        out = {
            "start_dist_pts": known(away)[0],
            "min_dist_pts": min(known(away)),
            "max_dist_pts": max(known(away)),
            "dist_range_pts": max(known(away)) - min(known(away)),
            "approach_bars": closer,
            "retreat_bars": farther,
            "approach_ratio": ratio(closer, closer + farther),
            "early_velocity": early,
            "mid_velocity": middle,
            "late_velocity": late,
            "velocity_trend": minus(late, early),
            "total_trade_vol": volume,
            "total_signed_vol": signed,
            "trade_imbal_pct": ratio(100 * signed, volume),
            "flow_imbal_total": self.total("bar5s_flow_net_vol_bid_sum", self.first)
            - self.total("bar5s_flow_net_vol_ask_sum", self.first),
        }
        for name in ("obi0", "obi10"):
            out |= self.extent(name, [self.bars[i][f"bar5s_state_{name}_eob"] for i in span])
        strong = {}
        for side in ("bid", "ask"):
            z = known(self.bars[i][f"bar5s_wall_{side}_maxz_eob"] for i in span)
            strong[side] = sum(x >= 2 for x in z)
            out |= {f"{side}_wall_max_z": max(z, default=None), f"{side}_wall_bars": strong[side]}
        out["wall_imbal"] = strong["bid"] - strong["ask"]
        size = [self.half(i, "bar5s_lvl_total_size_at_level_eob") for i in span]
        toward = [self.half(i, "bar5s_lvl_flow_toward_net_sum") for i in span]
        at_level = self.extent("size_at_level", size)
        at_level.pop("size_at_level_min")
        for name, values in (("size_at_level", size), ("flow_toward", toward)):
            recent, third = known(values[-12:]), len(values) // 3
            ends = [known(values[:third]), known(values[len(values) - third :])]
            at_level |= {
                f"{name}_recent12_sum": sum(recent) if recent else None,
                f"{name}_early_late_ratio": ratio(*(fmean(x) if x else None for x in ends)),
            }
        return out | at_level

    @staticmethod
    def extent(name, values):
        seen = known(values)
        start = seen[0] if seen else None
        return {
            f"{name}_start": start,
            f"{name}_end": values[-1],
            f"{name}_delta": minus(values[-1], start),
            f"{name}_min": min(seen, default=None),
            f"{name}_max": max(seen, default=None),
        }

    def tape(self):
        out = {}
        orders = {}
        for t in self.trades:
            orders.setdefault(t["aggressor_order_id"], []).append(t["size"])
        for w in (3, 12, 36):
            since = self.end_ns - w * BAR
            near = [
                t for t in self.trades if t["ts_event"] >= since and abs(t["price_tick"] - self.tick) <= 16
            ]
            volume = {s: sum(t["size"] for t in near if t["aggressor_sign"] == s) for s in (-1, 0, 1)}
            pushing = [t for t in near if t["aggressor_sign"] == self.direction]
            sweeps = [t for t in pushing if t["levels_swept"] >= 2]
            large = [t for t in pushing if self.large and sum(orders[t["aggressor_order_id"]]) >= self.large]
            toward, away = volume[self.direction], volume[-self.direction]
            seconds = [(t["ts_event"] - since) / SECOND for t in near]
            total = sum(t["size"] for t in near)
            found = {
                "buy_vol": volume[1],
                "sell_vol": volume[-1],
                "imbal": ratio(volume[1] - volume[-1], volume[1] + volume[-1]),
                "toward_vol": toward,
                "away_vol": away,
                "toward_imbal": ratio(toward - away, toward + away),
                "trade_rate": len(near) / (5 * w),
                "vol_rate": total / (5 * w),
                "velocity_pts_per_s": slope(seconds, [t["price"] * self.direction for t in near])
                if len(set(seconds)) > 1
                else None,
                "sweep_toward_cnt": len({t["aggressor_order_id"] for t in sweeps}),
                "sweep_toward_vol": sum(t["size"] for t in sweeps),
                "large_toward_vol": sum(t["size"] for t in large) if self.large else None,
                "avg_size": ratio(total, len(near)),
            }
            is_full = since >= self.bars[0]["bar_ts"]
            out |= {f"{name}_w{w}": value if is_full else None for name, value in found.items()}
        return out | self.footprint()

    def footprint(self):
        ladder = {}
        for t in self.trades:
            ladder[t["price_tick"]] = ladder.get(t["price_tick"], 0) + t["size"]

        def band(tick):
            return sum(ladder.get(k, 0) for k in range(tick - 4, tick + 5))

        here, ranks = band(self.tick), [band(k) for k in range(min(ladder), max(ladder) + 1)]
        at = [t for t in self.trades if abs(t["price_tick"] - self.tick) <= 4]
        begin = self.bars[self.start]["bar_ts"]
        since = [t for t in self.trades if t["ts_event"] >= begin]
        touch = [t for t in at if t["ts_event"] >= begin]
        is_on = self.t >= self.start
        gained = minus(self.signed(self.t), self.signed(self.start)) if is_on else None
        pushed = sum(t["size"] * t["aggressor_sign"] for t in since) * self.direction
        return {
            "session_vol_at_level": here,
            "session_delta_at_level": sum(t["size"] * t["aggressor_sign"] for t in at),
            "session_vol_pctile_at_level": (sum(x < here for x in ranks) + sum(x == here for x in ranks) / 2)
            / len(ranks),
            "touch_vol": sum(t["size"] for t in touch) if is_on else None,
            "touch_delta": sum(t["size"] * t["aggressor_sign"] for t in touch) if is_on else None,
            "delta_per_tick_progress": pushed / (gained / TICK)
            if gained is not None and gained >= TICK
            else None,
        }

    def others(self):
        """(name, weight, price) of every other level known at the end of the bar; twins once."""
        rows = plain(self.given.session_levels)
        own = [row for row in rows if row["level_name"] == self.episode["level_type"]]
        found, taken = [], {self.origin(row) for row in own}
        rest = [row for row in rows if row not in own and row["valid_from_ts"] <= self.end_ns]
        for row in sorted(
            rest, key=lambda r: (r["valid_from_ts"], -WEIGHTS[r["level_class"]], r["level_name"])
        ):
            is_new = self.origin(row) not in taken
            taken.add(self.origin(row))
            found.append((row["level_name"], WEIGHTS[row["level_class"]] * is_new, row["level_price_raw"]))
        found.extend(
            (row["level_name"], WEIGHTS[row["level_name"]], row["level_price_raw"])
            for row in plain(self.given.level_series)
            if row["bar_ts"] == self.end_ns - BAR and row["level_name"] != self.episode["level_type"]
        )
        return found

    @staticmethod
    def origin(row):
        if row["extreme_ts"] is not None:
            return row["level_polarity"], row["level_price_raw"], row["extreme_ts"]
        return row["level_polarity"], row["level_price_raw"], row["level_class"], row["valid_from_ts"]

    def confluence(self):
        raw = self.episode["level_price_raw"]
        others = self.others()
        counted = [((price - raw) * self.direction, weight) for _, weight, price in others if weight]
        terms = [(d, w * max(1 - abs(d) / 5, 0)) for d, w in counted]
        score = math.fsum(term for _, term in terms)
        beyond = math.fsum(t if d > TICK / 2 else -t if d < -TICK / 2 else 0 for d, t in terms)
        prices = {name: price for name, _, price in others}
        names = {
            "pm_high": "PM_HIGH", "or_high": "OR_HIGH", "or_low": "OR_LOW", "sma_90": "SMA_90", "prev_day_high": "PDH",
            "prev_day_close": "PDC", "globex_vwap": "GLOBEX_VWAP", "dev_poc": "DEV_POC", "prev_day_poc": "PD_POC",
            "overnight_high": "OVERNIGHT_HIGH", "call_wall": "CALL_WALL", "rth_vwap": "RTH_VWAP",
        }  # fmt: skip
        return {
            **{f"count_{k}t": sum(abs(d) <= k * TICK for d, _ in counted) for k in (4, 8, 20)},
            "weighted_score": score,
            "min_dist_pts": min(abs(d) for d, _ in counted),
            "pressure": score / math.fsum(w for _, w in counted),
            "alignment": ratio(beyond, score),
            "runway_through_pts": min((d for d, _ in counted if d > TICK / 2), default=None),
            "runway_back_pts": min((-d for d, _ in counted if d < -TICK / 2), default=None),
            **{f"round{k}_dist_pts": abs(self.level - k * round(self.level / k)) for k in (25, 100)},
            **{f"dist_to_{key}_pts": minus(raw, prices.get(name)) for key, name in names.items()},
        }

    def profile(self):
        in_cash = [t for t in self.trades if t["ts_event"] >= SESSION.rth_open_ns]
        used = in_cash or self.trades
        ladder = {}
        for t in used:
            ladder[t["price_tick"]] = ladder.get(t["price_tick"], 0) + t["size"]
        near = sum(v for k, v in ladder.items() if abs(k - self.tick) <= 4)
        yesterday = next(p for p in plain(self.given.prior_sessions) if p["sessions_ago"] == 1)
        before = {}
        for side in ("bid", "ask", "unknown"):
            for k, v in zip(
                yesterday["rth_profile_tick"], yesterday[f"rth_profile_{side}_volume"], strict=True
            ):
                before[k] = before.get(k, 0) + v
        return {
            "session_vol_pctile": self.rank(ladder),
            "prev_day_vol_pctile": self.rank(before),
            "vol_share_4t": near / sum(ladder.values()),
        }

    def rank(self, ladder):
        here = ladder.get(self.tick, 0)
        rows = [ladder.get(k, 0) for k in range(min(ladder), max(ladder) + 1)]
        return (sum(v < here for v in rows) + sum(v == here for v in rows) / 2) / len(rows)

    def touch(self):
        past = [(e, o) for e, o in self.earlier if e["decision_ts"] <= self.end_ns]
        ended = [o["outcome"] for _, o in self.earlier if o["label_end_ts"] <= self.end_ns]
        codes = {"BREAK": 1, "BOUNCE": -1, "CHOP": 0}
        judged = [codes[x] for x in ended if x in codes]
        since = None
        if past:
            first = next(
                i for i, bar in enumerate(self.bars) if bar["bar_ts"] == past[-1][0]["trigger_bar_ts"]
            )
            since = max(known(self.away(i) for i in range(first, self.t + 1)), default=None)
        return {
            "attempt_index": len(self.earlier) + 1,
            "prior_touches_session": len(past),
            "prior_breaks_session": ended.count("BREAK"),
            "prior_bounces_session": ended.count("BOUNCE"),
            "time_since_last_touch_s": (self.end_ns - past[-1][0]["touch_event_ts"]) / SECOND
            if past
            else None,
            "last_outcome_code": judged[-1] if judged else None,
            "is_first_touch": float(not self.earlier),
            "max_excursion_since_touch_pts": since,
        }
