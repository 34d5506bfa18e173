"""The single values of canonical content, each under a path that stays the same when rows come and go.

Elements of lists are named by what identifies them (`name`, `date`, `start_time`, ...) where that is unique
in the list, else by their place; so a day that is added does not move all the others.
"""

from collections.abc import Iterator, Mapping

from services.sla.reports.canonical import Json

Path = tuple[str, ...]

_IDENTITIES = ("name", "date", "version", "policy", "incident", "upper_s", "start_time", "at_time", "path")


def leaves(value: Json, path: Path = ()) -> Iterator[tuple[Path, Json]]:
    """(path, value) of everything that holds no further value; an empty list or object is one too."""
    if isinstance(value, dict) and value:
        for key in sorted(value):
            yield from leaves(value[key], (*path, key))
    elif isinstance(value, list) and value:
        for name, element in zip(names_of(value), value, strict=True):
            yield from leaves(element, (*path, name))
    else:
        yield path, value


def names_of(elements: list[Json]) -> tuple[str, ...]:
    """What to call each element of a list."""
    objects = [one for one in elements if isinstance(one, Mapping)]
    if len(objects) == len(elements):
        for key in _IDENTITIES:
            names = [_text(one[key]) for one in objects if key in one]
            if len(names) == len(elements) and len(set(names)) == len(names) and "" not in names:
                return tuple(names)
    return tuple(str(place) for place in range(len(elements)))


def pointer(path: Path) -> str:
    """As an RFC 6901 pointer."""
    return "".join("/" + part.replace("~", "~0").replace("/", "~1") for part in path)


def _text(value: Json) -> str:
    if value is None:
        return "none"
    return value if isinstance(value, str) else ""
