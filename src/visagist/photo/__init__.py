"""Photos: the one safe door for pixels, in and out.

photo = Photo.open("me.jpg")          # any file: a photo within Limits, or a PhotoError
photo.with_pixels(edited).save("out.jpg")
"""

from __future__ import annotations

from visagist.photo.limits import Limits
from visagist.photo.photo import Photo

__all__ = ["Limits", "Photo"]
