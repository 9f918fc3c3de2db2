"""Models as rows of a table and back: text, names and numbers, nothing that runs when it is read."""

from __future__ import annotations

import polars as pl

from footprint_assets.ml.heads import HEADS, HeadName, Model


def model_rows(model: Model) -> pl.DataFrame:
    """A model as rows, one a booster by name.

    Args:
        model: The model.

    Returns:
        ``head``, ``booster``, ``text``, ``features`` (a list), ``features_sha256``, ``sha256``, ``rows``, ``sessions``.
    """
    names = sorted(model.boosters)
    return pl.DataFrame(
        {
            "booster": names,
            "text": [model.boosters[name] for name in names],
            "features": [list(model.features)] * len(names),
        }
    ).with_columns(
        head=pl.lit(model.head, pl.Enum(list(HEADS))),
        features_sha256=pl.lit(model.features_sha256),
        sha256=pl.lit(model.sha256),
        rows=pl.lit(model.rows, pl.Int32),
        sessions=pl.lit(model.sessions, pl.Int32),
    )


def model_of(head: HeadName, rows: pl.DataFrame) -> Model | None:
    """The model of a head that :func:`model_rows` wrote down.

    Args:
        head: Name of the head.
        rows: Its rows.

    Returns:
        The model; ``None`` where there are no rows, because none was trained.
    """
    if rows.is_empty():
        return None
    first = rows.row(0, named=True)
    texts = dict(zip(rows["booster"], rows["text"], strict=True))
    return Model(
        head,
        tuple(first["features"]),
        first["features_sha256"],
        {name: texts[name] for name in HEADS[head].objectives},
        first["rows"],
        first["sessions"],
    )
