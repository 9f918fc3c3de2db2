"""The table of rules in the documentation names every rule the code can raise, and no other."""

from __future__ import annotations

import re

from footprint_assets.sources.checks import FOREIGN_RTYPE, RULES
from footprint_assets_tests.conftest import REPOSITORY

CALLS = re.compile(r"(?:refuse|_refuse|refuse_here|EnvelopeRefused)\(\s*\"([a-z_]+)\"")


def test_the_documentation_names_every_rule() -> None:
    sources = REPOSITORY / "footprint_assets" / "sources"
    raised = {rule for path in sources.glob("*.py") for rule in CALLS.findall(path.read_text())}
    raised |= {"compression_ratio", "schema", "stype", "zstd_checksum", "mapping_overlap", "mapping_conflict"}
    raised |= {FOREIGN_RTYPE, *RULES} - {"ok"}
    tables = re.findall(r"^\| (`[^|]+) \|", (REPOSITORY / "docs" / "sources.md").read_text(), re.MULTILINE)
    documented = set(re.findall(r"`([a-z_]+)`", " ".join(tables)))
    assert documented == raised
