"""Machine instructions that Numba has no name for: loads and stores by address, a wide multiplication.

Arrays are costly to hand from function to function in Numba (seven words each, and reference counts),
and so is taking care of negative indexes; a decoder that looks at every byte of every request cannot pay
for that. So the outermost kernels take arrays, and everything inside takes addresses. Nothing here
checks a bound: whoever loads has compared the position with the end of the message, whoever stores has
counted before. The tests hold that against guard pages.
"""

from collections.abc import Callable
from typing import Any, TypeAlias, cast

import numpy as np
from llvmlite import ir
from numba.core import types
from numba.extending import intrinsic
from numpy.typing import NDArray

Address: TypeAlias = int
Bytes = NDArray[np.uint8]
Ints = NDArray[np.int64]
Words = NDArray[np.uint64]

_BYTE, _HALF, _WORD, _WIDE = ir.IntType(8), ir.IntType(32), ir.IntType(64), ir.IntType(128)


def _place(builder: Any, base: Any, index: Any, size: int) -> Any:
    return builder.inttoptr(builder.add(base, builder.mul(index, _WORD(size))), _WORD.as_pointer())


def _load(unit: ir.IntType, scale: int, result: Any) -> Any:
    def typed(_context: Any, _base: Any, _index: Any) -> Any:
        def generate(_context: Any, builder: Any, _signature: Any, args: Any) -> Any:
            place = builder.bitcast(_place(builder, args[0], args[1], scale), unit.as_pointer())
            loaded = builder.load(place, align=1)
            return loaded if unit is _WORD else builder.zext(loaded, _WORD)

        return result(types.int64, types.int64), generate

    return intrinsic(typed)


def _store(value: Any) -> Any:
    def typed(_context: Any, _base: Any, _index: Any, _value: Any) -> Any:
        def generate(context: Any, builder: Any, _signature: Any, args: Any) -> Any:
            builder.store(args[2], _place(builder, args[0], args[1], 8))
            return context.get_dummy_value()

        return types.void(types.int64, types.int64, value), generate

    return intrinsic(typed)


def _address(_context: Any, array: Any) -> Any:
    def generate(context: Any, builder: Any, signature: Any, args: Any) -> Any:
        made = context.make_array(signature.args[0])(context, builder, args[0])
        return builder.ptrtoint(made.data, _WORD)

    return types.int64(array), generate


def _fold(_context: Any, _left: Any, _right: Any) -> Any:
    def generate(_context: Any, builder: Any, _signature: Any, args: Any) -> Any:
        product = builder.mul(builder.zext(args[0], _WIDE), builder.zext(args[1], _WIDE))
        high = builder.trunc(builder.lshr(product, _WIDE(64)), _WORD)
        return builder.xor(builder.trunc(product, _WORD), high)

    return types.uint64(types.uint64, types.uint64), generate


def _signed(_context: Any, _word: Any) -> Any:
    def generate(_context: Any, _builder: Any, _signature: Any, args: Any) -> Any:
        return args[0]

    return types.int64(types.uint64), generate


address_of = cast("Callable[[NDArray[Any]], Address]", intrinsic(_address))
"""Where the first element of a C-contiguous array is; the caller keeps the array alive."""

load_byte = cast("Callable[[Address, int], int]", _load(_BYTE, 1, types.int64))
"""The byte at an offset in bytes."""

load_half = cast("Callable[[Address, int], np.uint64]", _load(_HALF, 1, types.uint64))
"""The 4 bytes (little endian) from an offset in bytes, aligned or not."""

load_word = cast("Callable[[Address, int], np.uint64]", _load(_WORD, 1, types.uint64))
"""The 8 bytes (little endian) from an offset in bytes, aligned or not."""

get_word = cast("Callable[[Address, int], np.uint64]", _load(_WORD, 8, types.uint64))
"""Element `index` of an array of 64-bit words."""

get_int = cast("Callable[[Address, int], int]", _load(_WORD, 8, types.int64))
"""Element `index` of an array of signed 64-bit words."""

put_word = cast("Callable[[Address, int, np.uint64], None]", _store(types.uint64))
"""Set element `index` of an array of 64-bit words."""

put_int = cast("Callable[[Address, int, int], None]", _store(types.int64))
"""Set element `index` of an array of signed 64-bit words."""

signed = cast("Callable[[np.uint64], int]", intrinsic(_signed))
"""The same bits as a signed number."""

fold = cast("Callable[[np.uint64, np.uint64], np.uint64]", intrinsic(_fold))
"""Both halves of the 128-bit product, xored: the mixing step of wyhash.

Source: https://github.com/wangyi-fudan/wyhash (function `_wymix`)."""
