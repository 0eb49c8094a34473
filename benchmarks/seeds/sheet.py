"""Styles from real seeds on generated test faces, as a sheet.

    python benchmarks/seeds/sheet.py --pairs PAIRS --template PHOTO --face PHOTO ... -o SHEET.jpg

PAIRS is what make_seeds.py wrote. The first row: the pairs after, then the photo that a style is
taken from and the estimate of how it looked before. Below: each face bare, with the style of the
pairs, and with that of the photo.
"""

from __future__ import annotations

import argparse
from pathlib import Path

import numpy as np
from PIL import Image

from visagist.amplify.backend import BACKENDS, DEFAULT, CropFace, open_backend
from visagist.amplify.pairs import load_pairs
from visagist.amplify.template import open_template
from visagist.face.align import align, crop
from visagist.face.find import find_faces
from visagist.photo import Photo


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--pairs", type=Path, required=True)
    parser.add_argument("--template", type=Path, required=True)
    parser.add_argument("--face", type=Path, action="append", required=True)
    parser.add_argument("--backend", choices=list(BACKENDS), default=DEFAULT)
    parser.add_argument("-o", "--output", type=Path, required=True)
    asked = parser.parse_args()
    found = load_pairs(asked.pairs)
    for one in (*found.left_out, *found.warnings):
        print(one)
    template = open_template(asked.template)
    backend = open_backend(asked.backend)
    faces = [opened(path) for path in asked.face]
    bare = np.stack([face.crop for face in faces])
    rows = [[*(x.after for x in found.looks[:4]), template.after, template.before], bare]
    for looks in (found.looks, [template]):
        made = bare + backend.fit(looks).render(faces)
        rows.append(np.clip(np.rint(made), 0, 255).astype(np.uint8))
    sheet = np.vstack([np.hstack(list(row)) for row in rows])
    picture = Image.fromarray(sheet)
    picture.resize((sheet.shape[1] * 3 // 4, sheet.shape[0] * 3 // 4)).save(
        asked.output, quality=66
    )


def opened(path: Path) -> CropFace:
    pixels = Photo.open(path).pixels
    mesh = find_faces(pixels)[0].mesh
    alignment = align(mesh)
    return CropFace(path.stem, crop(pixels, alignment), alignment.to_crop(mesh))


if __name__ == "__main__":
    main()
