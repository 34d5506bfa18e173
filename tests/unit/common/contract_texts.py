"""Contracts as YAML, made from the parts that a test is about."""

from pathlib import Path
from textwrap import indent

from services.common.documents import Document, DocumentErrors, load_documents

TENANT = "kind: Tenant\nmetadata: {name: acme}\n"
UP = '{name: up, type: availability, target: "99.9%", window: month}'


def contract(*objectives: str, more: str = "", name: str = "gold", since: str = "2026-01-01") -> str:
    """One contract; `more` are lines of its spec."""
    lines = [f"- {one}" for one in objectives or (UP,)]
    spec = f"time_zone: Europe/Berlin\neffective_from: {since}\n{more}\nobjectives:\n" + "\n".join(lines)
    return f"kind: Contract\nmetadata: {{tenant: acme, name: {name}}}\nspec:\n{indent(spec, '  ')}\n"


def load(tmp_path: Path, *documents: str, known: tuple[Document, ...] = ()) -> list[Document]:
    """The documents, checked together with their tenant."""
    file = tmp_path / "all.yaml"
    file.write_text("---\n".join((TENANT, *documents)))
    return load_documents([file], known=known)[1:]


def problems(tmp_path: Path, *documents: str, known: tuple[Document, ...] = ()) -> list[tuple[str, str]]:
    """(field, reason) of everything that is wrong."""
    try:
        load(tmp_path, *documents, known=known)
    except DocumentErrors as err:
        return [(error.field, error.reason) for error in err.errors]
    return []
