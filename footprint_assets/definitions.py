"""The definitions Dagster loads."""

from footprint_assets.build import build_definitions
from footprint_assets.settings import Settings

defs = build_definitions(Settings.from_env())
