"""Sums in explicit lanes: weighted sums in eight of them, distances of sixteen rows side by side.

A processor adds several numbers at once only if the order of the sum may change, and numba leaves that order alone. Here
the order is written down, and is the same on every processor. Of a weighted sum term ``i`` goes to lane ``i`` mod 8, lanes are
added up pairwise; a distance has a lane of its own.
"""

from __future__ import annotations

from typing import Any

from llvmlite import ir  # type: ignore[import-untyped]
from numba import types
from numba.core import cgutils
from numba.extending import intrinsic

LANES = 8
ROWS = 16
"""Rows that are measured side by side."""
TERMS = 8
"""Terms of a distance that are added up pairwise before its sum is touched."""
_EIGHT = ir.VectorType(ir.DoubleType(), LANES)
_SIXTEEN = ir.VectorType(ir.FloatType(), ROWS)


def _data(context: Any, builder: Any, array_type: Any, array: Any) -> Any:
    """Pointer to the first number of a contiguous array."""
    return context.make_array(array_type)(context, builder, array).data


def _at(builder: Any, data: Any, index: Any, vector: Any = _EIGHT) -> Any:
    """Pointer to the eight, or sixteen, numbers from an index on."""
    return builder.bitcast(builder.gep(data, [index]), vector.as_pointer())


def _splat(builder: Any, value: Any, vector: Any = _EIGHT) -> Any:
    """Eight, or sixteen, times the same number."""
    one = builder.insert_element(ir.Constant(vector, ir.Undefined), value, ir.Constant(ir.IntType(32), 0))
    first = ir.Constant(ir.VectorType(ir.IntType(32), vector.count), [0] * vector.count)
    return builder.shuffle_vector(one, one, first)


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


def _squared_distances(typing, packed, block, query, sums):  # type: ignore[no-untyped-def]  # noqa: ARG001
    """Squared Euclidean distances of sixteen rows that lie side by side.

    ``packed[block]`` and ``query`` are float32[terms, 16] and float32[terms], in runs of eight terms; ``sums[:16]`` is written.
    """

    def codegen(context: Any, builder: Any, signature: Any, args: Any) -> Any:
        row_data, query_data, sum_data = (
            _data(context, builder, signature.args[k], args[k]) for k in (0, 2, 3)
        )
        size = context.make_array(signature.args[2])(context, builder, args[2]).shape
        width = builder.extract_value(size, 0)
        rows, terms = (ir.Constant(width.type, count) for count in (ROWS, TERMS))
        start = builder.mul(builder.mul(args[1], width), rows)
        zero = ir.Constant(_SIXTEEN, [0.0] * ROWS)
        total = cgutils.alloca_once_value(builder, zero)  # type: ignore[no-untyped-call]
        builder.store(zero, total)
        with cgutils.for_range(builder, builder.udiv(width, terms)) as loop:
            first = builder.mul(loop.index, terms)
            squares = []
            for k in range(TERMS):
                term = builder.add(first, ir.Constant(width.type, k))
                place = builder.add(start, builder.mul(term, rows))
                value = builder.load(_at(builder, row_data, place, _SIXTEEN), align=4)
                asked = builder.load(builder.gep(query_data, [term]))
                far = builder.fsub(value, _splat(builder, asked, _SIXTEEN))
                squares.append(builder.fmul(far, far))
            while len(squares) > 1:
                squares = [builder.fadd(*pair) for pair in zip(squares[::2], squares[1::2], strict=True)]
            builder.store(builder.fadd(builder.load(total), squares[0]), total)
        builder.store(
            builder.load(total), _at(builder, sum_data, ir.Constant(width.type, 0), _SIXTEEN), align=4
        )
        return context.get_dummy_value()

    return types.void(packed, types.intp, query, sums), codegen


add_weighted: Any = intrinsic(_add_weighted)
lane_total: Any = intrinsic(_lane_total)
squared_distances: Any = intrinsic(_squared_distances)
