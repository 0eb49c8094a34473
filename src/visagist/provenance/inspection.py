"""What a file's marks say together: valid, altered, stripped or absent."""

from __future__ import annotations

import re
from dataclasses import dataclass
from typing import Literal

import numpy as np
from numpy.typing import NDArray

from visagist.provenance import watermark
from visagist.provenance.manifest import Manifest, read_manifest
from visagist.provenance.registry import Entry, Registry

__all__ = ["Inspection", "Signer", "Status", "inspect"]

Status = Literal["valid", "altered", "stripped", "absent"]
Signer = Literal["own", "trusted", "untrusted"]

_SOURCE_TYPE = re.compile(rb"DigitalSourceType[>=\"' ]+(http[^<\"']{1,200})")


@dataclass(frozen=True, slots=True, kw_only=True)
class Inspection:
    """The marks of one file.

    Attributes:
        status: ``valid``: a manifest that fits the file. ``altered``: a manifest that does not, or
            another id in the pixels than in the manifest. ``stripped``: no manifest, but our
            watermark in the pixels. ``absent``: neither, which proves nothing about the picture.
        manifest: what the manifest says, or None.
        signer: whose certificate signed: this machine's, one that the user trusts, or another;
            None without a manifest.
        watermark: what the pixels carry, or None.
        entries: what this machine's list knows about the ids found.
        declared: digital source type in plain XMP, which anybody can write, or None.
        reasons: a sentence for each thing that does not hold.
    """

    status: Status
    manifest: Manifest | None
    signer: Signer | None
    watermark: watermark.Reading | None
    entries: tuple[Entry, ...]
    declared: str | None
    reasons: tuple[str, ...]


def inspect(
    data: bytes,
    format_name: str,
    pixels: NDArray[np.uint8] | None,
    *,
    xmp: bytes | None = None,
    own_anchor: bytes | None = None,
    anchors: bytes | None = None,
    registry: Registry | None = None,
) -> Inspection:
    """Read both layers of marks.

    Args:
        data: the whole file.
        format_name: its format, by the photo room's names.
        pixels: uint8 ``(H, W, 3)`` sRGB, or None where they cannot be decoded.
        xmp: its XMP packet.
        own_anchor: the certificate at the end of this machine's own chain.
        anchors: certificates that the user trusts, in PEM.
        registry: this machine's list of marks.

    Raises:
        RegistryError: the list cannot be read.
    """
    manifest, signer = _manifest(data, format_name, own_anchor, anchors)
    found = None if pixels is None else watermark.read(pixels)
    reasons = _reasons(manifest, found, signer, decoded=pixels is not None)
    status: Status
    if manifest is not None:
        conflict = found is not None and manifest.mark_id not in (None, found.mark_id)
        whole = manifest.intact and pixels is not None and not conflict
        status = "valid" if whole else "altered"
    else:
        status = "absent" if found is None else "stripped"
    ids = [mark for mark in (manifest and manifest.mark_id, found and found.mark_id) if mark]
    entries = [e for mark in dict.fromkeys(ids) for e in (registry.find(mark) if registry else ())]
    declared = _SOURCE_TYPE.search(xmp or b"")
    return Inspection(
        status=status,
        manifest=manifest,
        signer=signer,
        watermark=found,
        entries=tuple(entries),
        declared=declared[1].decode("ascii", "replace") if declared else None,
        reasons=tuple(reasons),
    )


def _manifest(
    data: bytes, format_name: str, own_anchor: bytes | None, anchors: bytes | None
) -> tuple[Manifest | None, Signer | None]:
    manifest = read_manifest(data, format_name, anchors=own_anchor)
    if manifest is None:
        return None, None
    if own_anchor is not None and manifest.trusted:
        return manifest, "own"
    if anchors is not None:
        manifest = read_manifest(data, format_name, anchors=anchors) or manifest
        if manifest.trusted:
            return manifest, "trusted"
    return manifest, "untrusted"


def _reasons(
    manifest: Manifest | None,
    found: watermark.Reading | None,
    signer: Signer | None,
    *,
    decoded: bool,
) -> list[str]:
    reasons = []
    if not decoded:
        reasons.append("the pixels cannot be decoded: the file is truncated or damaged")
    if manifest is not None and not manifest.intact:
        broken = ", ".join(manifest.problems) or "unknown"
        reasons.append(f"the manifest does not fit the file any more: {broken}")
    if signer == "untrusted" and manifest is not None and manifest.intact:
        reasons.append(
            f"intact, but signed by {manifest.signer or 'nobody named'}, whose certificate is "
            "neither this machine's nor one given as trusted"
        )
    if manifest and found and manifest.mark_id not in (None, found.mark_id):
        reasons.append("the pixels carry another id than the manifest: it is of another picture")
    if manifest and manifest.intact and manifest.mark_id and decoded and found is None:
        reasons.append("the watermark cannot be read, though the manifest names one")
    return reasons
