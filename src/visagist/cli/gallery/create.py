"""``visagist gallery create``: an empty gallery and its key."""

from __future__ import annotations

import sys

from visagist.cli.gallery.shared import Key, Model, Place, recognizer_of
from visagist.cli.output import Json, needs_extra, print_json

__all__ = ["create"]


def create(
    gallery: Place,
    key: Key = None,
    model: Model = "recognizer",
    as_json: Json = False,
) -> None:
    """Make an empty gallery for one model; a key file that is not there is made, too."""
    with needs_extra("gallery"):
        from visagist.gallery.crypto import new_key, read_key, write_key
        from visagist.gallery.gallery import Gallery

    recognizer = recognizer_of(model)
    made = key is not None and not key.exists()
    if made:
        assert key is not None
        secret = new_key()
        write_key(key, secret)
    else:
        secret = read_key(key)
    try:
        opened = Gallery.create(
            gallery, model_id=recognizer.model_id, dimension=recognizer.dimension, key=secret
        )
    except BaseException:
        if made and key is not None:
            key.unlink(missing_ok=True)  # nothing is sealed with it
        raise
    with opened:
        document = {
            "gallery": opened.place,
            "model_id": opened.model_id,
            "key": str(key) if key is not None else None,
            "key_made": made,
        }
    if as_json:
        print_json(document)
    else:
        print(f"{gallery} is ready for vectors of {recognizer.model_id}")
    if made:
        print(
            f"visagist: the key is in {key}: keep a copy of it away from the gallery; "
            "without it the gallery is lost, and with it anybody can read it",
            file=sys.stderr,
        )
