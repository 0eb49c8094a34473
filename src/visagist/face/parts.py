"""What a pixel of a portrait belongs to: the classes of label maps and of the parser."""

from __future__ import annotations

from enum import IntEnum


class Part(IntEnum):
    """Values of a label map, (H, W) uint8.

    Skin is the face with the nose, the ears and the neck. Glasses are frames and tinted lenses;
    skin seen through clear lenses is skin. An occluder is anything else in front of the face:
    hands, hats, masks, microphones. Bald parts of the head are skin; beards are hair.
    """

    BACKGROUND = 0
    SKIN = 1
    LIPS = 2
    MOUTH = 3
    EYES = 4
    BROWS = 5
    HAIR = 6
    GLASSES = 7
    OCCLUDER = 8
    CLOTHES = 9
