"""Splits by trade date against slow, obvious ones."""

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from footprint_assets.ml.splits import (
    CombinatorialSplits,
    Labels,
    TooFewSessions,
    hold_out,
    overlapping,
    purged_k_fold,
    walk_forward,
)


@st.composite
def tables(draw, min_sessions=1):
    """Rows of irregular trade dates, in any order, whose labels may run into later trade dates (ours never do)."""
    numbers = draw(st.lists(st.integers(0, 40), min_size=min_sessions, max_size=14, unique=True))
    session = np.repeat(sorted(numbers), draw(st.integers(1, 4)))
    offset = draw(st.lists(st.integers(0, 90), min_size=len(session), max_size=len(session)))
    life = draw(st.lists(st.integers(0, 250), min_size=len(session), max_size=len(session)))
    order = np.random.default_rng(len(session)).permutation(len(session))
    start = session * 100 + np.array(offset)
    return Labels(start[order], (start + np.array(life))[order], session[order])


def lives(labels, i):
    return range(labels.start_ns[i], max(labels.end_ns[i], labels.start_ns[i] + 1))


def share_an_instant(labels, i, j):
    a, b = lives(labels, i), lives(labels, j)
    return max(a.start, b.start) < min(a.stop, b.stop)


@given(tables(), st.integers(0, 2**32 - 1))
@settings(max_examples=200, deadline=None)
def test_a_row_is_purged_if_its_label_lives_while_a_test_label_does(labels, seed):
    test = np.random.default_rng(seed).random(len(labels)) < 0.3
    test[0] = True
    expected = [any(share_an_instant(labels, i, j) for j in np.flatnonzero(test)) for i in range(len(labels))]
    assert overlapping(labels, test).tolist() == expected


@given(tables(min_sessions=4), st.integers(2, 4), st.data())
@settings(max_examples=120, deadline=None)
def test_combinations_are_those_of_the_definition(labels, n_groups, data):
    n_test = data.draw(st.integers(1, n_groups - 1))
    embargo = data.draw(st.sampled_from([0, 1, 3]))
    blocks = np.array_split(np.unique(labels.session), n_groups)
    judged = np.zeros(len(labels), int)
    for split in CombinatorialSplits(n_groups, n_test, embargo).split(labels):
        judged[split.test] += 1
        tested = {int(labels.session[i]) for i in split.test}
        ends = [block[-1] for block in blocks if set(block.tolist()) <= tested]
        for i in range(len(labels)):
            in_test = int(labels.session[i]) in tested
            purged = any(share_an_instant(labels, i, j) for j in split.test)
            held_back = any(0 < labels.session[i] - end <= embargo for end in ends)
            assert (i in split.train) == (not in_test and not purged and not held_back)
            assert (i in split.test) == in_test
    assert (judged == CombinatorialSplits(n_groups, n_test).n_splits() * n_test // n_groups).all()


@given(
    tables(), st.integers(1, 3), st.sampled_from([0, 1, 3]), st.sampled_from([None, 1, 2]), st.integers(1, 3)
)
@settings(max_examples=120, deadline=None)
def test_walking_forward_learns_from_what_was_over_before_the_test(labels, length, embargo, train, least):
    sessions = sorted(set(labels.session.tolist()))
    can_start = [s for s in sessions if sum(t < s - embargo for t in sessions) >= least]
    if not can_start:
        with pytest.raises(TooFewSessions, match="too few trade dates"):
            list(
                walk_forward(labels, test_sessions=length, embargo_sessions=embargo, min_train_sessions=least)
            )
        return
    later = [s for s in sessions if s >= can_start[0]]
    splits = list(
        walk_forward(
            labels,
            test_sessions=length,
            embargo_sessions=embargo,
            train_sessions=train,
            min_train_sessions=least,
        )
    )
    assert len(splits) == -(-len(later) // length)
    for number, split in enumerate(splits):
        block = later[number * length : (number + 1) * length]
        known = [s for s in sessions if s < block[0] - embargo]
        known = known if train is None else known[-train:]
        assert split.test.tolist() == [i for i in range(len(labels)) if labels.session[i] in block]
        opens = min(labels.start_ns[i] for i in split.test)
        assert split.train.tolist() == [
            i for i in range(len(labels)) if labels.session[i] in known and lives(labels, i).stop <= opens
        ]


def test_paths_judge_every_block_once():
    """Eight blocks by two: 28 splits, 7 whole histories (Lopez de Prado, ch. 12.3)."""
    splits = CombinatorialSplits(8, 2)
    paths = splits.paths()
    assert (splits.n_splits(), splits.n_paths(), paths.shape) == (28, 7, (7, 8))
    assert paths[0].tolist() == [0, 0, 1, 2, 3, 4, 5, 6]
    assert [sorted(paths[:, group]) for group in range(8)] == [
        [number for number, choice in enumerate(splits._choices()) if group in choice] for group in range(8)
    ]


def test_one_label_a_minute_and_five_folds():
    start = np.arange(10, dtype=np.int64) * 60
    labels = Labels(start, start + 60, np.arange(10))
    splits = list(purged_k_fold(labels, n_splits=5, embargo_sessions=1))
    assert [split.test.tolist() for split in splits] == [[0, 1], [2, 3], [4, 5], [6, 7], [8, 9]]
    assert splits[1].train.tolist() == [0, 1, 5, 6, 7, 8, 9]


def test_the_last_fifth_is_held_out_behind_an_embargo():
    start = np.arange(20, dtype=np.int64)
    split = hold_out(Labels(start, start + 1, start), share=0.2, embargo_sessions=3)
    assert split.train.tolist() == list(range(13))
    assert split.test.tolist() == [16, 17, 18, 19]


def test_too_few_trade_dates_say_what_to_do():
    labels = Labels(np.arange(3), np.arange(3), np.arange(3))
    with pytest.raises(TooFewSessions, match=r"trade_dates=3, needed=5.*Remedy: backfill"):
        list(purged_k_fold(labels, n_splits=5))


@pytest.mark.parametrize(("groups", "tested"), [(3, 0), (3, 3), (1, 1)])
def test_a_split_needs_something_to_learn_from_and_to_judge(groups, tested):
    with pytest.raises(ValueError, match="nothing to learn from"):
        CombinatorialSplits(groups, tested)


def test_labels_run_forward():
    with pytest.raises(ValueError, match="ends before it starts"):
        Labels(np.array([5]), np.array([4]), np.array([0]))
