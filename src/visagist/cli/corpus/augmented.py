"""Which training a recipe belongs to, and how that training shows its faces."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from itertools import count
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from visagist.corpus.feed.cache import FaceCache
from visagist.corpus.feed.selection import FeedConfig
from visagist.errors import ConfigError
from visagist.training.augmentation import AugmentConfig

Views = Callable[[FaceCache, AugmentConfig], NDArray[np.uint8]]
Viewer = tuple[FeedConfig, AugmentConfig, Views]


def viewer(path: Path, seed: int) -> Viewer:
    """The data section, the augment section and the views of the training that ``path`` is for.

    Raises:
        ConfigError: no training knows the recipe; the message has each one's reason.
    """
    reasons = []
    for training in (_mesh, _makeup, _parser):
        try:
            return training(path, count(seed))
        except ConfigError as error:
            reasons.append(str(error))
    raise ConfigError(f"no training that can be shown knows this recipe: {'; '.join(reasons)}")


def _mesh(path: Path, seeds: Iterator[int]) -> Viewer:
    from visagist.face.mesh.data import disturbed_views
    from visagist.face.mesh.training import MeshRecipe
    from visagist.training.run import read_recipe

    recipe = read_recipe(path, MeshRecipe)

    def views(faces: FaceCache, augmentation: AugmentConfig) -> NDArray[np.uint8]:
        training = recipe.training
        if augmentation != recipe.augment:
            # Crops without a face, and calm ones, are shown where everything is together.
            training = training.model_copy(update={"negatives": 0.0, "calm": 0.0})
        return disturbed_views(faces, recipe.network, training, augmentation, next(seeds))

    return recipe.data, recipe.augment, views


def _makeup(path: Path, seeds: Iterator[int]) -> Viewer:
    from visagist.makeup.data import disturbed_views
    from visagist.makeup.training import MakeupRecipe
    from visagist.training.run import read_recipe

    recipe = read_recipe(path, MakeupRecipe)

    def views(faces: FaceCache, augmentation: AugmentConfig) -> NDArray[np.uint8]:
        return disturbed_views(faces, recipe.training, augmentation, next(seeds))

    return recipe.data, recipe.augment, views


def _parser(path: Path, seeds: Iterator[int]) -> Viewer:
    from visagist.face.parser.config import ParserRecipe
    from visagist.face.parser.data import disturbed_views
    from visagist.training.run import read_recipe

    recipe = read_recipe(path, ParserRecipe)
    # The parser stores its own crops; these are as wide and as large.
    feed = FeedConfig(use="parser", size=recipe.data.size, zoom=recipe.data.field)

    def views(faces: FaceCache, augmentation: AugmentConfig) -> NDArray[np.uint8]:
        return disturbed_views(faces, recipe, augmentation, next(seeds))

    return feed, recipe.augment, views
