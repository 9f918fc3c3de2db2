"""Learning from levels: pure functions over columns, from rows of `levels_signals` to models, neighbours and judgements.

Here live sampling (`splits`, and the weights of `kernels.labels.average_uniqueness`), models, distances and their measures.
Nothing here reads a file or knows Dagster; the assets do. What needs the ``[ml]`` extra imports it inside its functions.

Every row obeys one time contract: its features were known at ``decision_ts``, its label is judged over
``[decision_ts, label_end_ts)``, and both lie within its trade date (``session``, a running number of trade dates).
"""
