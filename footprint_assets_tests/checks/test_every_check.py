"""No check is without a lake that passes it, and one for every severity its failures can have."""

from __future__ import annotations

import dataclasses

import pytest

from footprint_assets.checks import AUDIT_CHECKS, CHECKS, Finding
from footprint_assets.checks.feature_quality import badly_named
from footprint_assets.lake import Lake
from footprint_assets.resources import Workbench
from footprint_assets.settings import Settings
from footprint_assets_tests.checks.faults import FAULTS, Fault
from footprint_assets_tests.golden_counts import counts_of, golden
from footprint_assets_tests.small_market import DAY, NEXT

UNIT_TESTED = {"feature_names"}
"""A property of the contracts, which no fault of a lake breaks: see below."""
BY_NAME = {check.name: check for check in AUDIT_CHECKS}


def found_by(name: str, settings: Settings, fault: Fault) -> list[Finding]:
    return BY_NAME[name].function(Workbench(fault.settings(settings)), fault.day)


def test_every_severity_of_every_check_has_a_fault() -> None:
    wanted = {
        (check.name, severity)
        for check in AUDIT_CHECKS
        if check.name not in UNIT_TESTED
        for severity in check.severities
    }
    assert {(fault.check, fault.severity) for fault in FAULTS} == wanted


@pytest.mark.parametrize("fault", FAULTS, ids=lambda fault: f"{fault.check}: {fault.what}")
def test_a_fault_is_found_by_its_check_and_called_as_bad_as_it_is(own_market: Settings, fault: Fault) -> None:
    check = BY_NAME[fault.check]
    fault.inject(own_market)

    failed = [finding for finding in found_by(fault.check, own_market, fault) if not finding.passed]

    assert failed
    worst = max(check.severities.index(check.severity_of(finding)) for finding in failed)
    assert check.severities[worst] == fault.severity
    assert all(finding.facts for finding in failed)


@pytest.mark.parametrize("check", AUDIT_CHECKS, ids=lambda check: check.name)
def test_an_honest_lake_passes(built_market: Settings, check: object) -> None:
    for day in (DAY, NEXT):
        found = check.function(Workbench(built_market), day)

        assert found
        assert [finding for finding in found if not finding.passed] == []


JUDGED = ("row_counts", "trade_distribution", "features_present", "no_long_pause")
"""Rules the small market is too small for, unless their thresholds are smaller too."""


@pytest.mark.parametrize("name", JUDGED)
def test_an_honest_lake_passes_where_the_rule_is_judged(built_market: Settings, name: str) -> None:
    fault = next(fault for fault in FAULTS if fault.check == name and fault.quality)

    found = found_by(name, built_market, dataclasses.replace(fault, day=NEXT))

    judged = [
        finding for finding in found if finding.symbol != "NQM5"
    ]  # too thin for an opening range on both days
    assert judged
    assert all(finding.passed and not finding.skipped for finding in judged)


def test_what_cannot_be_judged_says_why(built_market: Settings) -> None:
    bench = Workbench(built_market)

    (spy,) = BY_NAME["returns_correlate"].function(bench, DAY)
    few = BY_NAME["row_counts"].function(bench, NEXT)

    assert (spy.passed, spy.skipped) == (True, "no SPY in the lake")
    assert {finding.skipped for finding in few} == {"full sessions before it: 1, needed: 5"}
    assert BY_NAME["row_counts"].verdict_of(few[0]) == "skip"


def test_counts_rates_and_first_rows_are_told(own_market: Settings) -> None:
    fault = next(fault for fault in FAULTS if fault.what == "a bad receive time")
    fault.inject(own_market)

    finding = next(f for f in found_by("record_flags", own_market, fault) if not f.passed)

    assert (finding.facts["count"], finding.facts["rows"], finding.facts["rate"]) == (1, 360, 1 / 360)
    assert finding.facts["warn_above"] == 0.001
    assert finding.facts["first"]["row"] == 0
    assert str(finding.facts["first"]["ts_recv"]).startswith("2025-06-03T22:")


def test_a_feature_outside_the_grammar_is_found() -> None:
    listed = {"bar5s_flow_vol_sum": ["MARKET"], "Flow": ["MARKET"], "roll_x_w3": ["LEVEL"]}

    assert list(badly_named(listed, [])) == ["Flow", "roll_x_w3"]
    assert "pm_high_bar5s_approach_dist_to_level_pts_eob" in set(badly_named({}, ["pm_high"]))


def test_the_tables_of_the_small_market_have_as_many_rows_as_ever(built_market: Settings) -> None:
    assert counts_of(Lake(built_market.lake_root), (DAY, NEXT)) == golden("small_market")


def test_every_check_says_its_rule_its_reads_and_its_remedy() -> None:
    assert len(BY_NAME) == len(AUDIT_CHECKS)
    assert AUDIT_CHECKS[: len(CHECKS)] == CHECKS
    for check in AUDIT_CHECKS:
        assert check.rule.endswith("."), check.name
        assert len(check.rule) <= 130, check.name
        assert check.reads[0] == check.table
        assert "footprint-assets" in check.remedy_of(DAY)
        assert "{" not in check.remedy_of(DAY)
