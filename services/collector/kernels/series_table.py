"""A hash table from the two hashes of a series to a number that the caller gave it. Open addressing.

Threads look up while another one inserts, without a lock. That is safe because an entry is never changed
once it is there, and because a reader that sees half an entry finds nothing: the reference is written
last, and a reference with hashes that do not fit is passed over. Inserting takes the caller's lock.
"""

import numpy as np

from services.collector.kernels._jit import kernel
from services.collector.kernels.machine import Ints, Words

MISSING = -1


@kernel
def find_series(hash_a: Words, hash_b: Words, keys: Words, references: Ints, found: Ints) -> int:
    """`found[i]` becomes the reference of series i, or MISSING; returns how many are missing.

    `keys` has shape (slots, 2), slots being a power of two.
    """
    missing = 0
    mask = np.uint64(len(references) - 1)
    for index in range(len(hash_a)):
        slot = hash_a[index] & mask
        reference = references[slot]
        while reference != MISSING:
            if keys[slot, 0] == hash_a[index] and keys[slot, 1] == hash_b[index]:
                break
            slot = (slot + np.uint64(1)) & mask
            reference = references[slot]
        found[index] = reference
        missing += reference == MISSING
    return missing


@kernel
def insert_series(hash_a: Words, hash_b: Words, given: Ints, keys: Words, references: Ints) -> int:
    """Insert series that are not there yet; the table keeps a free slot.

    Returns how many of them meet another series with the same first hash: a collision, kept apart.
    """
    collisions = 0
    mask = np.uint64(len(references) - 1)
    for index in range(len(hash_a)):
        slot = hash_a[index] & mask
        met = False
        while references[slot] != MISSING:
            met = met or keys[slot, 0] == hash_a[index]
            slot = (slot + np.uint64(1)) & mask
        keys[slot, 0] = hash_a[index]
        keys[slot, 1] = hash_b[index]
        references[slot] = given[index]
        collisions += met
    return collisions


@kernel
def number_series(references: Ints, scratch: Ints, numbers: Ints, distinct: Ints) -> int:
    """Number the series of a request in order of first appearance.

    `numbers[i]` becomes the number of point i's series and `distinct[number]` its reference; returns how
    many there are. `scratch` has shape (slots, 2) with a power of two of slots, more than points.
    """
    count = 0
    mask = np.uint64(len(scratch) - 1)
    scratch[:, 0] = MISSING
    for index in range(len(references)):
        reference = references[index]
        slot = np.uint64(reference) & mask
        while scratch[slot, 0] != MISSING and scratch[slot, 0] != reference:
            slot = (slot + np.uint64(1)) & mask
        if scratch[slot, 0] == MISSING:
            scratch[slot, 0] = reference
            scratch[slot, 1] = count
            distinct[count] = reference
            count += 1
        numbers[index] = scratch[slot, 1]
    return count
