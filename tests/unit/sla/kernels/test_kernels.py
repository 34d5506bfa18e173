"""What holds for all kernels: they compile, and compiled they say what their Python says."""

import importlib
import pkgutil

import numpy as np
from hypothesis import given
from hypothesis import strategies as st

from services.sla import kernels
from services.sla.kernels import burn, exponential, spread, window

INSIDE = {
    *("down", "fit", "first_slice", "last_slice", "share", "mul_div"),
    *("bucket_of_rank", "index_of", "_power"),
    *("below", "pieces", "before"),
    *("merge_shape", "merge", "reaches", "accumulate", "fold"),
}
"""Only called by other kernels, which are compiled with them."""


def plain(function):
    """The Python of a kernel, also where compiling is switched off."""
    return getattr(function, "py_func", function)


def modules():
    """Every module of kernels, also one that nobody has thought of here."""
    names = [found.name for found in pkgutil.iter_modules(kernels.__path__) if found.name != "_jit"]
    return [importlib.import_module(f"{kernels.__name__}.{name}") for name in sorted(names)]


def test_warming_compiles_every_kernel_that_services_call():
    kernels.warm()

    for module in modules():
        for name, function in vars(module).items():
            own = hasattr(function, "py_func") and function.py_func.__module__ == module.__name__
            if own and name not in INSIDE:
                assert function.signatures, f"{module.__name__}.{name} is not warmed"


@given(st.integers(0, 2**62), st.integers(1, 2**42 - 1), st.data())
def test_compiled_and_plain_division_agree(n, length, data):
    part = data.draw(st.integers(0, length))

    assert spread.mul_div(n, part, length) == plain(spread.mul_div)(n, part, length)


@given(st.floats(1e-300, 1e300), st.integers(-10, 20))
def test_compiled_and_plain_index_agree(value, scale):
    assert exponential.index_of(value, scale) == plain(exponential.index_of)(value, scale)


@given(st.lists(st.tuples(st.integers(0, 9), st.integers(0, 9)), max_size=12), st.integers(0, 140))
def test_burn_counts_are_those_of_the_slices_in_the_window(slices, begin):
    start = np.arange(len(slices), dtype=np.int64) * 10
    good = np.array([min(pair) for pair in slices], np.int64)
    total = np.array([max(pair) for pair in slices], np.int64)

    bad, all_ = burn.window_counts(start, good, total, begin)

    inside = [(max(pair) - min(pair), max(pair)) for i, pair in enumerate(slices) if 10 * i >= begin]
    assert (bad, all_) == (sum(b for b, _ in inside), sum(t for _, t in inside))


@given(st.lists(st.lists(st.integers(0, 2**40), min_size=4, max_size=4), min_size=1, max_size=6))
def test_totals_add_up_over_any_cut(rows):
    table = np.array(rows, np.int64)
    whole, parts = np.zeros(len(rows), np.int64), np.zeros(len(rows), np.int64)

    window.totals(table, whole)
    window.totals(np.ascontiguousarray(table[:, :1]), parts)
    window.totals(np.ascontiguousarray(table[:, 1:]), parts)

    assert whole.tolist() == parts.tolist() == [sum(row) for row in rows]
