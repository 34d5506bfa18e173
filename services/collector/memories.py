"""What a process remembers to be quick, and can forget when its memory is short.

Identities of series, decided ids, decoded records: all of it can be read or asked for again. Each has a bound
of its own, and the bounds together may still be more than a cap leaves beside what is under way; without this
a process whose memories fill its cap would refuse every request from then on.
"""

from typing import Protocol
from weakref import WeakSet


class Memory(Protocol):
    """Something that can be forgotten."""

    def forget(self) -> None:
        """Drop everything; called from any thread, whatever others do with it meanwhile."""
        ...


class Memories:
    """All memories of a process; it keeps none of them alive."""

    def __init__(self) -> None:
        self._all: WeakSet[Memory] = WeakSet()

    def add(self, memory: Memory) -> None:
        """From now on it is forgotten with the others."""
        self._all.add(memory)

    def forget(self) -> None:
        """Drop everything."""
        for memory in list(self._all):
            memory.forget()
