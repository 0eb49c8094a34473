"""Make the picture of the README: faces of a folder in several styles, by the bundled network.

    python benchmarks/picture.py FACE.jpg... -o docs/images/makeup-tiny.jpg

Use generated or rendered faces only: the picture is published.
"""

from __future__ import annotations

import argparse
from pathlib import Path

import numpy as np

from visagist import Makeup, Photo
from visagist.face.align import crop
from visagist.photo.sheet import grid

STYLES = ("bare", "rosewood", "coral", "classic", "smoky", "electric")


def main() -> None:
    """Crop each face before and after."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("faces", nargs="+", type=Path)
    parser.add_argument("-o", "--output", type=Path, required=True)
    parser.add_argument("--cell", type=int, default=190)
    arguments = parser.parse_args()
    makeup = Makeup.from_pretrained()
    pictures, captions = [], []
    for path in arguments.faces:
        photo = Photo.open(path)
        for style in STYLES:
            result = makeup.apply(photo, style=style, faces="largest")
            alignment = result.faces[0].alignment(2 * arguments.cell)
            if style == STYLES[0]:
                pictures.append(crop(photo.pixels, alignment))
                captions.append("before")
            pictures.append(crop(result.photo.pixels, alignment))
            captions.append(style)
    sheet = grid(pictures, captions, columns=1 + len(STYLES), cell=arguments.cell)
    Photo.from_array(np.asarray(sheet)).save(arguments.output, quality=88, overwrite=True)


if __name__ == "__main__":
    main()
