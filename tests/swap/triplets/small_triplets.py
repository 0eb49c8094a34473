"""A corpus of drawn people, and what a build of triplets needs, small enough for a test."""

from __future__ import annotations

from functools import partial

import numpy as np

from tests.corpus.small_corpus import drawn_sample, write_corpus
from visagist.corpus.blends.gate import Gate
from visagist.swap.triplets.config import GateConfig, PeopleConfig, TripletConfig

SIZE = 96
OPEN = GateConfig(
    replaced_most=1, replaced_least=-1, edited_most=1, edited_least=-1, kept_least=-1,
    pair_least=-1, change_least=0, outside_most=255, eyes_least=0, folded_most=1,
)  # fmt: skip
PEOPLE = PeopleConfig(
    shares={"photo": 1.0}, pair_shares={"photo": 1.0}, min_face_width=0, max_yaw=90, max_pitch=90,
    min_luminance=0, yaw_difference=90, pitch_difference=90, light_difference=200, max_covered=1,
    max_glasses=1e9, grey=1.0,
)  # fmt: skip


def config(**fields):
    base = {"size": SIZE, "gates": OPEN, "people": PEOPLE, "mix": {"proxy": 1.0}}
    return TripletConfig(**(base | fields))


def people_corpus(root, **origin):
    """Six people of train with two pictures each, two of validation, one of test."""
    samples = []
    for n in range(16):
        split = "train" if n < 12 else "validation" if n < 15 else "test"
        named = {"identity": f"drawn/{n // 2}"} | origin
        samples.append((drawn_sample(n, size=144, zoom=1.5, **named), split))
    return write_corpus(root, samples)


def look(pixels, mesh):
    """An "embedder": colours at some places of the mesh."""
    side = pixels.shape[0]
    rows = np.clip(mesh[[1, 9, 50, 280, 152, 61], 1].astype(int), 0, side - 1)
    columns = np.clip(mesh[[1, 9, 50, 280, 152, 61], 0].astype(int), 0, side - 1)
    vector = pixels[rows, columns].astype(np.float32).ravel() + 1
    return vector / np.linalg.norm(vector)


def load_look():
    return look


def gate():
    return Gate("colours", partial(load_look))
