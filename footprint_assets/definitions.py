"""The definitions Dagster loads."""

from footprint_assets.build import build_definitions
from footprint_assets.redaction import redact_logs
from footprint_assets.settings import Settings

redact_logs()
defs = build_definitions(Settings.from_env())
