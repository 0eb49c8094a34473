"""A student's recipe with small batches, for tests of everything around the training."""

from __future__ import annotations

from collections.abc import Sequence

from visagist.amplify.student import student_recipe
from visagist.makeup.training import MakeupRecipe


def quick_recipe(styles: Sequence[str], **options: object) -> MakeupRecipe:
    """As :func:`student_recipe`, with a batch of two faces."""
    recipe = student_recipe(styles, **options)  # type: ignore[arg-type]
    training = recipe.training.model_copy(update={"batch": 2, "patches": 128})
    return recipe.model_copy(update={"training": training})
