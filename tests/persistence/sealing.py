"""Files as someone would make them who edits one and corrects its checksum."""

from __future__ import annotations

import hashlib
import json
import re
import tempfile
from pathlib import Path
from typing import Any

from skautoencoder import save


def to_bytes(estimator: Any) -> bytes:
    """Return what `save` writes."""
    with tempfile.TemporaryDirectory() as folder:
        save(estimator, Path(folder, "model"))
        return Path(folder, "model").read_bytes()


def parts_of(content: bytes) -> tuple[dict[str, Any], bytes]:
    """Return the header and the arrays' bytes."""
    length = int.from_bytes(content[:8], "little")
    return json.loads(content[8 : 8 + length]), content[8 + length :]


def document_of(content: bytes) -> dict[str, Any]:
    """Return the JSON that describes the estimator."""
    header, data = parts_of(content)
    start, stop = header["document"]["data_offsets"]
    return json.loads(data[start:stop])


def sealed(header: dict[str, Any], data: bytes) -> bytes:
    """Return a file with a correct checksum."""
    header["__metadata__"]["sha256"] = "0" * 64
    header["__metadata__"]["n_bytes"] = str(len(data))
    raw = json.dumps(header, separators=(",", ":")).encode()
    content = len(raw).to_bytes(8, "little") + raw + data
    digest = hashlib.sha256(content).hexdigest().encode()
    return re.sub(b'"sha256":"0{64}"', b'"sha256":"' + digest + b'"', content, count=1)


def with_document(content: bytes, document: Any) -> bytes:
    """Return a file with another description of the estimator."""
    header, data = parts_of(content)
    raw = document if isinstance(document, bytes) else json.dumps(document).encode()
    start = header["document"]["data_offsets"][0]  # it is the last of the arrays
    header["document"]["shape"] = [len(raw)]
    header["document"]["data_offsets"] = [start, start + len(raw)]
    return sealed(header, data[:start] + raw)


def written(path: Path, content: bytes) -> Path:
    path.write_bytes(content)
    return path
