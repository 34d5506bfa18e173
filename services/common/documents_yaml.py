"""From files to plain values, keeping what YAML would lose.

YAML turns 99.9 into a float and takes the last of two equal keys without a word. Here a decimal
stays its text, a repeated key is an error, and a secret that somebody wrote into a file is
refused before it gets any further. What a document means is not known here.
"""

import re
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import yaml

from services.common.documents_errors import DocumentError

_SUFFIXES = (".yaml", ".yml")
_SECRET = re.compile(
    r"(password|passwd|secret|token|api_?key|private_?key|credential|authorization)", re.IGNORECASE
)
_FROM_ELSEWHERE = ("_from_env", "_from_file")


@dataclass(frozen=True, slots=True)
class RawDocument:
    """A document as read: which file, which one in it (from 1), and its values."""

    file: str
    index: int
    content: Mapping[str, Any]

    def error(self, field: str, reason: str) -> DocumentError:
        """An error at a field of this document."""
        metadata = self.content.get("metadata")
        name = metadata.get("name") if isinstance(metadata, Mapping) else None
        kind = self.content.get("kind")
        return DocumentError(self.file, self.index, str(kind or ""), str(name or ""), field, reason)


class _Loader(yaml.SafeLoader):
    """SafeLoader with decimals as text and without silent overwriting."""


def _mapping(loader: _Loader, node: yaml.MappingNode) -> dict[Any, Any]:
    loader.flatten_mapping(node)
    out: dict[Any, Any] = {}
    for key_node, value_node in node.value:
        key = loader.construct_object(key_node, deep=True)
        if not isinstance(key, str):
            raise yaml.constructor.ConstructorError(None, None, f"{key!r} is not a name", key_node.start_mark)
        if key in out:
            raise yaml.constructor.ConstructorError(None, None, f"{key} is there twice", key_node.start_mark)
        out[key] = loader.construct_object(value_node, deep=True)
    return out


def _decimal(loader: _Loader, node: yaml.ScalarNode) -> str:
    return str(loader.construct_scalar(node))


_Loader.add_constructor("tag:yaml.org,2002:map", _mapping)
_Loader.add_constructor("tag:yaml.org,2002:float", _decimal)


def read_yaml(paths: list[Path]) -> tuple[list[RawDocument], list[DocumentError]]:
    """All documents of files and directories, in order, and what could not be read."""
    documents: list[RawDocument] = []
    errors: list[DocumentError] = []
    for path in paths:
        files = [path]
        if path.is_dir():
            files = sorted(child for child in path.iterdir() if child.suffix in _SUFFIXES)
            if not files:
                errors.append(_unreadable(path, "no *.yaml file in this directory"))
        for file in files:
            found, problems = _read_file(file)
            documents.extend(found)
            errors.extend(problems)
    return documents, errors


def literal_secrets(spec: Any, path: str = "spec") -> Iterator[tuple[str, str]]:
    """(field, reason) of each key that looks like a secret and has a value in the file."""
    if isinstance(spec, Mapping):
        for key, value in spec.items():
            if key.endswith(_FROM_ELSEWHERE):
                continue
            if _SECRET.search(key) and isinstance(value, str | int):
                yield f"{path}.{key}", f"secrets are not written in files: use {key}_from_env"
            else:
                yield from literal_secrets(value, f"{path}.{key}")
    elif isinstance(spec, list):
        for place, value in enumerate(spec):
            yield from literal_secrets(value, f"{path}[{place}]")


def _read_file(file: Path) -> tuple[list[RawDocument], list[DocumentError]]:
    documents: list[RawDocument] = []
    try:
        text = file.read_text(encoding="utf-8")
    except (OSError, UnicodeDecodeError) as err:
        reason = err.strerror if isinstance(err, OSError) and err.strerror else "is not UTF-8 text"
        return [], [_unreadable(file, reason)]
    errors: list[DocumentError] = []
    try:
        for index, content in enumerate(yaml.load_all(text, Loader=_Loader), start=1):
            if isinstance(content, Mapping):
                documents.append(RawDocument(str(file), index, content))
            elif content is not None:
                errors.append(DocumentError(str(file), index, "", "", "", "is not a document with a kind"))
    except yaml.MarkedYAMLError as err:
        line = f"line {err.problem_mark.line + 1}: " if err.problem_mark else ""
        errors.append(_unreadable(file, f"{line}{err.problem}", len(documents) + 1))
    except (yaml.YAMLError, ValueError) as err:
        # A date such as 2026-13-01, or a number of a million digits, is not an error of YAML itself.
        errors.append(_unreadable(file, str(err), len(documents) + 1))
    except RecursionError:
        errors.append(_unreadable(file, "is nested too deeply", len(documents) + 1))
    return documents, errors


def _unreadable(path: Path, reason: str, index: int = 0) -> DocumentError:
    return DocumentError(str(path), index, "", "", "", reason)
