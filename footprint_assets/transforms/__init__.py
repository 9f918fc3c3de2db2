"""Transforms: tables in, tables out. They view columns as arrays for the kernels and name the results.

A transform opens no file and reads no environment; everything it needs is an argument.
"""
