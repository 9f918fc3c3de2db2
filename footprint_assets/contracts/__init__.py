"""Contracts: what a table of the lake promises, read from one .avsc file, in every form the program needs.

May live here: loading, linting and comparing contracts, the schemas built from them, and the check of frames against
them. Not here: where tables lie (lake) and how they are computed (transforms).
"""

from footprint_assets.contracts.fields import Checks, Field
from footprint_assets.contracts.forms import TableColumn
from footprint_assets.contracts.model import (
    CONTRACTS_DIR,
    BrokenContract,
    Contract,
    ContractError,
    ContractNotFound,
    LevelNameTaken,
    all_keys,
    is_monthly,
    level_key,
    load,
    month_keys,
    parse,
    path_of,
    table_keys,
    templates,
)
from footprint_assets.contracts.validate import (
    ContractViolation,
    Failure,
    ValidationDisabled,
    Validator,
    refuse_if_disabled,
)

__all__ = [
    "CONTRACTS_DIR",
    "BrokenContract",
    "Checks",
    "Contract",
    "ContractError",
    "ContractNotFound",
    "ContractViolation",
    "Failure",
    "Field",
    "LevelNameTaken",
    "TableColumn",
    "ValidationDisabled",
    "Validator",
    "all_keys",
    "is_monthly",
    "level_key",
    "load",
    "month_keys",
    "parse",
    "path_of",
    "refuse_if_disabled",
    "table_keys",
    "templates",
]
