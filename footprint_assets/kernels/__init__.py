"""Numerical kernels: numba functions over int64 ticks, contracts and nanoseconds; arrays in, arrays out.

A kernel knows no table, no file and no calendar. Each has a slow, obvious reference in the tests.
"""
