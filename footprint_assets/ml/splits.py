"""Training and test rows by trade date: walk-forward, purged folds, and combinations of purged folds.

Labels end within their trade date and rows of one trade date share its path, so a fold is a block of whole trade dates. Two
channels are left and closed here: a label that is judged while a test label is (**purging**: such rows leave the training
set), and features that look back over earlier trade dates (**embargo**: the trade dates right after a test block leave it).

M. Lopez de Prado, *Advances in Financial Machine Learning* (2018), ch. 7 and 12.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from itertools import combinations
from math import comb
from typing import Any

import numpy as np
import numpy.typing as npt

from footprint_assets.errors import FootprintError

Int64 = npt.NDArray[np.int64]
Mask = npt.NDArray[np.bool_]


class TooFewSessions(FootprintError):  # noqa: N818 - names the fact a reader meets
    """The rows span fewer trade dates than the split needs."""


@dataclass(frozen=True)
class Labels:
    """When the label of each row is judged, and the trade date it belongs to.

    Args:
        start_ns: Start, ``decision_ts``; int64[rows], ns.
        end_ns: End, excluded, ``label_end_ts``; int64[rows], ns. A label that ends where it starts counts as 1 ns long.
        session: Running number of the trade date in the calendar, so that one without rows still counts for an embargo;
            int64[rows].

    Raises:
        ValueError: The columns differ in length, or a label ends before it starts.
    """

    start_ns: Int64
    end_ns: Int64
    session: Int64

    def __post_init__(self) -> None:
        if not self.start_ns.shape == self.end_ns.shape == self.session.shape:
            raise ValueError("start_ns, end_ns and session must have one entry a row")
        if np.any(self.end_ns < self.start_ns):
            raise ValueError("a label ends before it starts")

    def __len__(self) -> int:
        return int(self.session.shape[0])


@dataclass(frozen=True)
class Split:
    """Rows to learn from and rows to judge by, each in the order of the table.

    Args:
        train: Row numbers; int64.
        test: Row numbers; int64.
    """

    train: Int64
    test: Int64


def walk_forward(
    labels: Labels,
    *,
    test_sessions: int,
    embargo_sessions: int = 0,
    train_sessions: int | None = None,
    min_train_sessions: int = 1,
) -> Iterator[Split]:
    """Judge each block of trade dates by what was known before it.

    Args:
        labels: The rows.
        test_sessions: Trade dates with rows in a test block; the last block may have fewer.
        embargo_sessions: Trade dates of the calendar right before a test block that are left out of training.
        train_sessions: Trade dates with rows before the embargo to learn from; all where ``None``.
        min_train_sessions: Fewest trade dates to learn from; earlier blocks are no test.

    Yields:
        One split a block, oldest first. No training label ends after the first test label starts.

    Raises:
        TooFewSessions: No block has ``min_train_sessions`` before it.
    """
    sessions = np.unique(labels.session)
    first = _first_test(sessions, embargo_sessions, min_train_sessions)
    for begin in range(first, sessions.shape[0], test_sessions):
        block = sessions[begin : begin + test_sessions]
        known = sessions[sessions < block[0] - embargo_sessions]
        if train_sessions is not None:
            known = known[-train_sessions:]
        test = np.isin(labels.session, block)
        earlier = np.isin(labels.session, known) & (_ends(labels) <= labels.start_ns[test].min())
        yield Split(np.flatnonzero(earlier), np.flatnonzero(test))


def hold_out(labels: Labels, *, share: float, embargo_sessions: int = 0) -> Split:
    """Judge the last trade dates by those before.

    Args:
        labels: The rows.
        share: Share of the trade dates with rows that is judged, at least one.
        embargo_sessions: Trade dates of the calendar right before them that are left out of training.

    Raises:
        TooFewSessions: There is none to learn from.
    """
    sessions = np.unique(labels.session).shape[0]
    judged = max(1, round(share * sessions))
    learned = max(1, sessions - judged - embargo_sessions)
    return next(
        walk_forward(
            labels,
            test_sessions=sessions,
            embargo_sessions=embargo_sessions,
            min_train_sessions=learned,
        )
    )


def purged_k_fold(labels: Labels, *, n_splits: int, embargo_sessions: int = 0) -> Iterator[Split]:
    """Judge each of ``n_splits`` blocks of trade dates by all others, purged and with an embargo.

    Args:
        labels: The rows.
        n_splits: Blocks; they differ by one trade date at most.
        embargo_sessions: Trade dates of the calendar right after the test block that are left out of training.

    Returns:
        One split a block, oldest first.

    Raises:
        TooFewSessions: There are fewer trade dates than blocks.
    """
    return CombinatorialSplits(n_splits, 1, embargo_sessions).split(labels)


@dataclass(frozen=True)
class CombinatorialSplits:
    """Every choice of ``n_test_groups`` out of ``n_groups`` blocks of trade dates as a test, purged and with an embargo.

    Each block is judged in several splits; taking its judgements one by one gives whole histories (paths) that no training
    row has seen.

    Args:
        n_groups: Blocks of trade dates; they differ by one trade date at most.
        n_test_groups: Blocks in a test.
        embargo_sessions: Trade dates of the calendar right after each run of test blocks that are left out of training.

    Raises:
        ValueError: There is no block to learn from or none to judge.
    """

    n_groups: int
    n_test_groups: int
    embargo_sessions: int = 0

    def __post_init__(self) -> None:
        if not 0 < self.n_test_groups < self.n_groups:
            raise ValueError(
                f"{self.n_test_groups} of {self.n_groups} groups leave nothing to learn from or to judge"
            )

    def n_splits(self) -> int:
        """How many splits there are."""
        return comb(self.n_groups, self.n_test_groups)

    def n_paths(self) -> int:
        """How many whole histories the tests make."""
        return comb(self.n_groups - 1, self.n_test_groups - 1)

    def paths(self) -> Int64:
        """The split that judges each block of each path; int64[n_paths, n_groups]."""
        seen = np.zeros(self.n_groups, np.int64)
        table = np.empty((self.n_paths(), self.n_groups), np.int64)
        for number, groups in enumerate(self._choices()):
            for group in groups:
                table[seen[group], group] = number
                seen[group] += 1
        return table

    def split(self, labels: Labels) -> Iterator[Split]:
        """Split rows, in the order of ``paths``.

        Args:
            labels: The rows.

        Raises:
            TooFewSessions: There are fewer trade dates than blocks.
        """
        sessions = np.unique(labels.session)
        if sessions.shape[0] < self.n_groups:
            raise _too_few(sessions, needed=self.n_groups)
        blocks = np.array_split(sessions, self.n_groups)
        group = np.searchsorted([block[0] for block in blocks], labels.session, side="right") - 1
        # What a test of several blocks closes is what each of them closes: asked of 8 blocks, not of 28 choices.
        closed = np.array(
            [self._closed(labels, group == number, block[-1]) for number, block in enumerate(blocks)]
        )
        for choice in self._choices():
            chosen = list(choice)
            test = np.zeros(self.n_groups, np.bool_)
            test[chosen] = True
            yield Split(np.flatnonzero(~closed[chosen].any(axis=0)), np.flatnonzero(test[group]))

    def _closed(self, labels: Labels, block: Mask, last: int) -> Mask:
        """Which rows a test block that ends at the trade date ``last`` leaves nothing to learn from."""
        after = labels.session - last
        return overlapping(labels, block) | ((after > 0) & (after <= self.embargo_sessions))

    def _choices(self) -> Iterator[tuple[int, ...]]:
        return combinations(range(self.n_groups), self.n_test_groups)


def overlapping(labels: Labels, test: Mask) -> Mask:
    """Which rows have a label that is alive while that of a test row is.

    Args:
        labels: The rows.
        test: The test rows; bool[rows], at least one.

    Returns:
        bool[rows]; test rows overlap themselves.
    """
    ends = _ends(labels)
    order = np.argsort(labels.start_ns[test], kind="stable")
    start, end = labels.start_ns[test][order], np.maximum.accumulate(ends[test][order])
    begins = np.concatenate(
        ([True], start[1:] > end[:-1])
    )  # of an interval that no test label before it reaches
    first, last = start[begins], end[np.concatenate((begins[1:], [True]))]
    place = np.searchsorted(last, labels.start_ns, side="right")
    reached = np.concatenate((first, [np.iinfo(np.int64).max]))[place]
    overlap: Mask = reached < ends
    return overlap


def _ends(labels: Labels) -> Int64:
    ends: Int64 = np.maximum(labels.end_ns, labels.start_ns + 1)
    return ends


def _first_test(sessions: Int64, embargo: int, min_train: int) -> int:
    """Index of the first trade date with enough others before its embargo."""
    known = np.searchsorted(sessions, sessions - embargo, side="left")
    enough = np.flatnonzero(known >= min_train)
    if not enough.size:
        raise _too_few(sessions, needed=min_train + embargo + 1)
    return int(enough[0])


def _too_few(sessions: Int64, needed: int) -> TooFewSessions:
    where: dict[str, Any] = {"trade_dates": int(sessions.shape[0]), "needed": needed}
    return TooFewSessions(
        "There are too few trade dates with rows to split.",
        where=where,
        remedy="backfill more trade dates, or ask for fewer blocks or a shorter embargo.",
    )
