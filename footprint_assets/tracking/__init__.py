"""Where trainings are written down for people: nowhere, as JSON lines, in MLflow or in Weights & Biases, offline.

A tracker takes finished :class:`TrackedRun` values; it never sees a model or a table, and nothing in the lake depends on it.
The same month trained again with the same bytes is not a second run. Nothing here opens a connection. What needs an extra
imports it inside its functions.
"""

from __future__ import annotations

from footprint_assets.tracking.choice import tracker_of, tracking_root
from footprint_assets.tracking.run import TrackedRun, Tracker, TrackingBusy, identity_of

__all__ = ["TrackedRun", "Tracker", "TrackingBusy", "identity_of", "tracker_of", "tracking_root"]
