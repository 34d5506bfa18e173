"""What holds for all kernels: they compile, and compiled they say what their Python says."""

import importlib
import pkgutil

from hypothesis import given
from hypothesis import strategies as st

from services.sla import kernels
from services.sla.kernels import exponential, spread, warming

INSIDE = {
    *("down", "fit", "first_slice", "last_slice", "share", "mul_div"),
    *("bucket_of_rank", "index_of", "_power", "_outermost"),
    *("_each", "_select", "_keep", "_pivot", "_insertion", "_halving"),
    *("_one_of_each_bound", "_rising", "_between"),
    *("_deciding", "product"),
    *("below", "pieces", "before"),
    *("merge_shape", "merge", "reaches", "accumulate", "fold"),
}
"""Only called by other kernels, which are compiled with them."""


def plain(function):
    """The Python of a kernel, also where compiling is switched off."""
    return getattr(function, "py_func", function)


def modules():
    """Every module of kernels, also one that nobody has thought of here."""
    names = [
        found.name
        for found in pkgutil.iter_modules(kernels.__path__)
        if found.name not in ("_jit", "warming")
    ]
    return [importlib.import_module(f"{kernels.__name__}.{name}") for name in sorted(names)]


def test_warming_compiles_every_kernel_that_services_call():
    warming.warm()

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
