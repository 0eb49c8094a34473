"""A learned style's model folder: its card, and its way into the user's store."""

from __future__ import annotations

import json
import shutil
import tempfile
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import visagist
from visagist.errors import InputError
from visagist.photo.files import write_atomically
from visagist.runtime.manifest import verify, write_manifest
from visagist.runtime.store import CONFIG, user_models

CARD = "card.md"


def write_card(model: Path, name: str, numbers: Mapping[str, Any], backend: str) -> None:
    """Describe a learned model in its own folder, and list its files anew.

    Args:
        model: folder that :func:`visagist.deploy.export.export_makeup` wrote.
        name: of the style.
        numbers: of :func:`visagist.amplify.learn.summary`.
        backend: that amplified the pairs.
    """
    pairs = f"{numbers['pairs']} pair" + ("" if numbers["pairs"] == 1 else "s")
    config = json.loads((model / CONFIG).read_text(encoding="utf-8"))
    config["description"] = f"Learned from {pairs} of photos"
    write_atomically(model / CONFIG, (json.dumps(config, indent=2) + "\n").encode(), overwrite=True)
    write_atomically(model / CARD, _card(name, numbers, backend, pairs).encode(), overwrite=True)
    write_manifest(
        model,
        name=name,
        version=visagist.__version__,
        # The network started from weights under Apache-2.0; the look is its maker's own.
        licence="LicenseRef-own",
        created_by=f"visagist learn --name {name} --backend {backend}",
    )


def _card(name: str, numbers: Mapping[str, Any], backend: str, pairs: str) -> str:
    def shown(field: str, unit: str = "", digits: int = 2) -> str:
        value = numbers.get(field)
        return "not measured" if value is None else f"{value:.{digits}f}{unit}"

    warnings = "".join(f"* {text}\n" for text in numbers.get("warnings", ()))
    return f"""# {name}

A makeup style learned from {pairs} of before and after photos with `visagist learn` (amplifier:
{backend}), {numbers.get("params", 0):,} parameters. The network started from the bundled one.

The amplifier made up {numbers["samples"]} faces ({numbers["rejected"]} more were rejected); the
network was trained on them for {numbers["steps"]} steps. Judged on {numbers.get("held_out", 0)}
people that neither has learned from, against the amplifier, **which is no truth**: the numbers say
what was lost on the way into the small network, not how good the style is.

|  |  |
| --- | --- |
| PSNR to the amplifier's picture | {shown("psnr", " dB")} |
| the bare picture's (floor) | {shown("psnr_bare", " dB")} |
| gain over bare | {shown("gain", " dB")} |
| gain where makeup is | {shown("gain_in_mask", " dB")} |
| leakage out of the face's regions | {shown("leakage", "", 3)} |
| the amplifier's own leakage | {shown("leakage_teacher", "", 3)} |
| change for a shift by one pixel | {shown("shift_sensitivity", "", 3)} |
| gain over bare on the pairs themselves, which were learned from | {shown("pairs_gain", " dB")} |

{warnings}
Whose look it is and who may use it is for whoever made the pairs to say.
"""


def install(model: Path, name: str, *, replace: bool = False) -> Path:
    """Copy a model folder into the user's store: it is there whole or not at all.

    Args:
        model: the folder; it stays.
        name: under which it is opened.
        replace: put it in the place of one that is there.

    Returns:
        The folder in the store.

    Raises:
        InputError: there is one already, and ``replace`` is false.
        ModelDamagedError: the copy differs from its manifest.
        OSError: the store cannot be written.
    """
    store = user_models()
    target = store / name
    if target.exists() and not replace:
        raise InputError(f"{target} is there already; --replace puts the new style in its place")
    store.mkdir(parents=True, exist_ok=True)
    fresh = Path(tempfile.mkdtemp(prefix=f".{name}-", dir=store))
    try:
        for path in sorted(model.iterdir()):
            shutil.copyfile(path, fresh / path.name)
        verify(fresh)
        fresh.chmod(0o755)
        if target.exists():
            old = Path(tempfile.mkdtemp(prefix=f".{name}-old-", dir=store))
            target.replace(old / "model")
            try:
                fresh.replace(target)
            except BaseException:  # the old one is better than none
                (old / "model").replace(target)
                raise
            finally:
                shutil.rmtree(old, ignore_errors=True)
        else:
            fresh.replace(target)
    finally:
        shutil.rmtree(fresh, ignore_errors=True)
    return target
