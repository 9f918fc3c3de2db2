"""Measures the project beside its peers: ``python -m benchmarks``, or ``make bench``.

``cases`` says what is measured, one module a subject, ours and its peers side by side as plain functions; ``market``
makes the data, ``run`` runs every side in a process of its own, ``measure`` reads the clocks, ``report`` and ``growth``
write down what came out. No part of the installed package, and nothing in the package depends on it.
"""
