"""OpenSLO v1 documents among ours: turned into contracts and alert rules before anything is checked.

The result is checked like what people write themselves, so errors name fields of our documents. What has no
meaning here is listed with its reason; what would change the meaning of a promise is an error instead.
"""

from collections.abc import Mapping, Sequence
from typing import Any

from services.common.documents_errors import DocumentError
from services.common.documents_yaml import RawDocument
from services.common.openslo_alerts import rules_from
from services.common.openslo_import import Found, Refused, SloReader
from services.common.openslo_values import API_VERSION, KINDS

_UNUSED = {
    "Service": "services are not documents here: a contract is the unit",
    "DataSource": "data comes in over OTLP, not from a data source",
    "AlertNotificationTarget": "alerts go to Receiver documents",
}


def from_openslo(
    raws: Sequence[RawDocument],
) -> tuple[list[RawDocument], list[DocumentError], list[DocumentError]]:
    """(documents of ours, errors, notes) of what was read.

    Documents that are not OpenSLO's pass unchanged, and those of theirs that become one of ours take the
    place of the first that it is made of. Notes say what is not expressed: field and reason.
    """
    theirs = [raw for raw in raws if _openslo(raw.content)]
    if not theirs:
        return list(raws), [], []
    found = Found({(str(raw.content.get("kind")), _name(raw)): raw for raw in theirs})
    errors: list[DocumentError] = []
    reader = SloReader(found)
    made: dict[int, list[RawDocument]] = {}
    for raw in theirs:
        try:
            match raw.content.get("kind"):
                case "SLO":
                    reader.add(raw)
                    made[id(raw)] = rules_from(raw, reader.place_of(raw), found)
                case "SLI" | "AlertPolicy" | "AlertCondition":
                    pass
                case kind:
                    found.note(raw, "kind", _UNUSED.get(str(kind), f"{kind} is not of OpenSLO v1"))
        except Refused as err:
            errors.extend(raw.error(field, reason) for field, reason in err.problems)
    contracts = reader.contracts()
    out: list[RawDocument] = []
    for raw in raws:
        if not _openslo(raw.content):
            out.append(raw)
            continue
        out.extend(contract for source, contract in contracts if source is raw)
        out.extend(made.get(id(raw), []))
    return out, errors, found.notes


def _openslo(content: Mapping[str, Any]) -> bool:
    return content.get("apiVersion") == API_VERSION or (
        content.get("kind") in KINDS and str(content.get("apiVersion", "")).startswith("openslo")
    )


def _name(raw: RawDocument) -> str:
    metadata = raw.content.get("metadata")
    return str(metadata.get("name", "")) if isinstance(metadata, Mapping) else ""
