"""Products that need more than 64 bits, compared exactly: the place of rationals in kernels."""

from services.sla.kernels._jit import kernel


@kernel
def product(a: int, b: int) -> tuple[int, int]:
    """(high, low) with a * b = high * 2**62 + low and 0 <= low < 2**62, for 0 <= a, b < 2**62."""
    # Halves of 31 bits keep every partial product and every sum of them below 2**63.
    half = 31
    mask = (1 << 31) - 1
    a_high = a >> half
    a_low = a & mask
    b_high = b >> half
    b_low = b & mask
    low = a_low * b_low
    middle = a_high * b_low + (low >> half)
    other = a_low * b_high + (middle & mask)
    high = a_high * b_high + (middle >> half) + (other >> half)
    return high, ((other & mask) << half) | (low & mask)


@kernel
def greater(a: int, b: int, c: int, d: int) -> bool:
    """a * b > c * d, exactly, for 0 <= all < 2**62."""
    left_high, left_low = product(a, b)
    right_high, right_low = product(c, d)
    return left_high > right_high or (left_high == right_high and left_low > right_low)
