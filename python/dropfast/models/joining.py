"""Layer 6: parts of a Monte Carlo prediction joined to the whole, with the bits of one call."""

from __future__ import annotations

import itertools
from collections.abc import Mapping, Sequence
from dataclasses import replace
from typing import Any

import numpy as np

from dropfast.arrays import Array
from dropfast.models.monte_carlo import MonteCarlo, Part, entropy, quantiles_of
from dropfast.training.moments import Moments


def merge(parts: Any) -> Any:
    """See `MonteCarlo.merge`."""
    listed = list(parts)
    if not listed:
        raise ValueError("parts must be one or more results of predict_mc. Received: none")
    first = listed[0]
    if isinstance(first, Mapping):
        _check_alike(listed, lambda part: isinstance(part, Mapping) and part.keys() == first.keys())
        return {name: merge([part[name] for part in listed]) for name in first}
    if isinstance(first, list | tuple):
        _check_alike(
            listed, lambda part: isinstance(part, list | tuple) and len(part) == len(first)
        )
        return [merge(outputs) for outputs in zip(*listed, strict=True)]
    _check_alike(listed, lambda part: isinstance(part, MonteCarlo))
    return _merge_rows(listed)


def _check_alike(parts: Sequence[Any], fits: Any) -> None:
    for part in parts:
        if not fits(part):
            raise TypeError(
                "parts must all be results of predict_mc of one model. "
                f"Received: a {type(part).__name__}"
            )


def _part(result: MonteCarlo) -> Part:
    if result._part is None:
        raise ValueError(
            "parts must come from predict_mc or merge. Received: a MonteCarlo made by hand"
        )
    return result._part


def _merge_rows(parts: Sequence[MonteCarlo]) -> MonteCarlo:
    """Blocks of rows, each of which is joined over its samples first."""
    sources = {_part(part).source for part in parts}
    if len(sources) > 1:
        raise ValueError(
            "parts must have one key and one setting of consistent. "
            f"Received: (seed, stream, step, consistent) {sorted(sources)}"
        )
    blocks: dict[tuple[int, int], list[MonteCarlo]] = {}
    for part in parts:
        first = _part(part).first_row
        blocks.setdefault((first, first + len(part.mean)), []).append(part)
    ranges = sorted(blocks)
    _check_next("rows", ranges)
    joined = [_merge_samples(blocks[rows]) for rows in ranges]
    covered = [(p.first_sample, p.first_sample + p.count) for p in map(_part, joined)]
    for rows, samples in zip(ranges, covered, strict=True):
        if samples != covered[0]:
            raise ValueError(
                f"parts must have the same samples of all rows. Received: samples {covered[0]} of "
                f"rows {ranges[0]}, {samples} of {rows}"
            )
    return joined[0] if len(joined) == 1 else _stack(joined)


def _check_next(what: str, ranges: Sequence[tuple[int, int]]) -> None:
    """Refuse ranges, in order, of which one doesn't begin where the one before ends."""
    for (_, end), (start, stop) in itertools.pairwise(ranges):
        if start != end:
            fault = "gap" if start > end else "overlap"
            raise ValueError(
                f"parts must follow each other in {what}. Received: a {fault}, {what} up to {end} "
                f"and then {start} to {stop}"
            )


def _merge_samples(parts: Sequence[MonteCarlo]) -> MonteCarlo:
    """Parts of the samples of the same rows: the later ones are added sample by sample."""
    order = sorted(parts, key=lambda part: _part(part).first_sample)
    held = [_part(part) for part in order]
    _check_next("samples", [(part.first_sample, part.first_sample + part.count) for part in held])
    first = held[0]
    if len(order) == 1:
        return order[0]
    _check_same(order)
    moments, total = Moments(), first.entropies
    moments.mean, moments.m2, moments.count = order[0].mean, first.m2, first.count
    for part in held[1:]:
        assert part.raw is not None
        for outputs in part.raw:
            moments.add(outputs)
            total = None if total is None else total + entropy(outputs)
    raws = [part.raw for part in held if part.raw is not None]
    raw = np.concatenate(raws) if len(raws) == len(held) else None
    quantiles = None
    if first.levels is not None:
        if raw is None:
            raise ValueError(
                "parts must hold their samples to join quantiles over them: predict_mc(..., "
                "return_samples=True). Received: a part without"
            )
        quantiles = quantiles_of(raw, first.levels)
    count = moments.count
    return MonteCarlo(
        moments.mean,
        np.sqrt(moments.m2 / count),
        None if total is None else total / count,
        quantiles,
        raw if all(part.samples is not None for part in order) else None,
        replace(first, count=count, m2=moments.m2, entropies=total, raw=raw),
    )


def _check_same(parts: Sequence[MonteCarlo]) -> None:
    """Refuse parts that were asked for different things, or of different outputs."""
    seen = [
        (part.mean.shape[1:], _part(part).levels, _part(part).entropies is not None)
        for part in parts
    ]
    for one in seen:
        if one != seen[0]:
            raise ValueError(
                "parts must agree in the outputs' shape, quantiles and information. "
                f"Received: {seen[0]} and {one}"
            )


def _stack(parts: Sequence[MonteCarlo]) -> MonteCarlo:
    """Blocks of rows, one after the other."""
    _check_same(parts)
    held = [_part(part) for part in parts]

    def along(axis: int, arrays: Sequence[Array | None]) -> Any:
        known = [array for array in arrays if array is not None]
        return np.concatenate(known, axis) if len(known) == len(arrays) else None

    return MonteCarlo(
        along(0, [part.mean for part in parts]),
        along(0, [part.std for part in parts]),
        along(0, [part._expected_entropy for part in parts]),
        along(1, [part.quantiles for part in parts]),
        along(1, [part.samples for part in parts]),
        replace(
            held[0],
            m2=along(0, [part.m2 for part in held]),
            entropies=along(0, [part.entropies for part in held]),
            raw=along(1, [part.raw for part in held]),
        ),
    )
