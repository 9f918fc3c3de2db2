"""Weighted sums in eight explicit lanes.

A processor adds eight numbers at once only if the order of the sum may change, and numba leaves that order alone. Here
the order is written down: term ``i`` goes to lane ``i`` mod 8, lanes are added up pairwise. The same on every processor.
"""

from __future__ import annotations

from typing import Any

from llvmlite import ir  # type: ignore[import-untyped]
from numba import types
from numba.core import cgutils
from numba.extending import intrinsic

LANES = 8
_EIGHT = ir.VectorType(ir.DoubleType(), LANES)


def _data(context: Any, builder: Any, array_type: Any, array: Any) -> Any:
    """Pointer to the first number of a contiguous array."""
    return context.make_array(array_type)(context, builder, array).data


def _at(builder: Any, data: Any, index: Any) -> Any:
    """Pointer to the eight numbers from an index on."""
    return builder.bitcast(builder.gep(data, [index]), _EIGHT.as_pointer())


def _splat(builder: Any, value: Any) -> Any:
    """Eight times the same number."""
    one = builder.insert_element(ir.Constant(_EIGHT, ir.Undefined), value, ir.Constant(ir.IntType(32), 0))
    return builder.shuffle_vector(one, one, ir.Constant(ir.VectorType(ir.IntType(32), LANES), [0] * LANES))


def _add_weighted(typing, values, first, weights, blocks, base, sums, at):  # type: ignore[no-untyped-def]  # noqa: ARG001
    """Add weighted differences from ``base``, and the weights; a NaN value counts in neither.

    ``values[first:]`` and ``weights`` are float64 in ``blocks`` runs of eight. ``sums[at : at + 8]`` gains weight times
    difference, ``sums[at + 8 : at + 16]`` the weight.
    """

    def codegen(context: Any, builder: Any, signature: Any, args: Any) -> Any:
        value_data, weight_data, sum_data = (
            _data(context, builder, signature.args[k], args[k]) for k in (0, 2, 5)
        )
        start, count, zero = args[1], args[3], ir.Constant(_EIGHT, [0.0] * LANES)
        less = _splat(builder, args[4])
        eight = ir.Constant(start.type, LANES)
        sum_at, weight_at = (
            _at(builder, sum_data, args[6]),
            _at(builder, sum_data, builder.add(args[6], eight)),
        )
        total = cgutils.alloca_once_value(builder, builder.load(sum_at, align=8))  # type: ignore[no-untyped-call]
        weight = cgutils.alloca_once_value(builder, builder.load(weight_at, align=8))  # type: ignore[no-untyped-call]
        with cgutils.for_range(builder, count) as loop:
            offset = builder.mul(loop.index, eight)
            v = builder.load(_at(builder, value_data, builder.add(start, offset)), align=8)
            w = builder.load(_at(builder, weight_data, offset), align=8)
            known = builder.fcmp_ordered("ord", v, v)
            term = builder.select(known, builder.fmul(builder.fsub(v, less), w), zero)
            builder.store(builder.fadd(builder.load(total), term), total)
            builder.store(builder.fadd(builder.load(weight), builder.select(known, w, zero)), weight)
        builder.store(builder.load(total), sum_at, align=8)
        builder.store(builder.load(weight), weight_at, align=8)
        return context.get_dummy_value()

    return types.void(values, types.intp, weights, types.intp, types.float64, sums, types.intp), codegen


def _lane_total(typing, sums, at):  # type: ignore[no-untyped-def]  # noqa: ARG001
    """Pairwise sum of ``sums[at : at + 8]``; the lanes are emptied."""

    def codegen(context: Any, builder: Any, signature: Any, args: Any) -> Any:
        place = _at(builder, _data(context, builder, signature.args[0], args[0]), args[1])
        lanes = builder.load(place, align=8)
        builder.store(ir.Constant(_EIGHT, [0.0] * LANES), place, align=8)
        width = LANES // 2
        while width:
            low, high = (
                builder.shuffle_vector(
                    lanes, lanes, ir.Constant(ir.VectorType(ir.IntType(32), width), list(range(k, k + width)))
                )
                for k in (0, width)
            )
            lanes, width = builder.fadd(low, high), width // 2
        return builder.extract_element(lanes, ir.Constant(ir.IntType(32), 0))

    return types.float64(sums, types.intp), codegen


add_weighted: Any = intrinsic(_add_weighted)
lane_total: Any = intrinsic(_lane_total)
