"""What is drawn: a person, and everything around one picture of them, drawn at random.

A person is the build, the skin, the eyes and the brows, and keeps the hair's colour. Hair, what is
worn, expression, pose, light, camera and background belong to a picture: the same person looks
different on the next, as in life.
"""

from __future__ import annotations

import dataclasses
from dataclasses import dataclass
from typing import Literal

import numpy as np
from numpy.typing import NDArray
from pydantic import BaseModel, ConfigDict, Field

from visagist.corpus.heads.assets import HeadAssets
from visagist.corpus.heads.background import sample_background
from visagist.corpus.heads.camera import Camera, Pose
from visagist.corpus.heads.develop import Development
from visagist.corpus.heads.expression import sample_expression
from visagist.corpus.heads.geometry import HeadSpec
from visagist.corpus.heads.light import Lighting, kelvin, sample_lighting
from visagist.corpus.heads.materials import Finish, HairLook, SkinLook
from visagist.corpus.heads.occluders import Kind, Worn
from visagist.corpus.heads.sampling import sample_person

Counterfactual = Literal["makeup", "other"]
_Random = np.random.Generator
Triple = tuple[float, float, float]

# Natural hair colours (linear albedo), from black to white, with how common they are on light and
# on dark skins; brows are a little darker.
_HAIR: tuple[tuple[str, Triple, float, float], ...] = (
    ("black", (0.010, 0.008, 0.008), 0.24, 0.62),
    ("dark brown", (0.026, 0.015, 0.010), 0.24, 0.28),
    ("brown", (0.065, 0.034, 0.018), 0.19, 0.06),
    ("chestnut", (0.085, 0.034, 0.015), 0.07, 0.01),
    ("dark blond", (0.17, 0.105, 0.055), 0.11, 0.0),
    ("blond", (0.34, 0.235, 0.125), 0.08, 0.01),
    ("red", (0.16, 0.050, 0.016), 0.04, 0.0),
    ("grey", (0.21, 0.20, 0.19), 0.03, 0.02),
)
_GREY: Triple = (0.24, 0.235, 0.225)
_WORN: tuple[tuple[Kind, float], ...] = (
    ("glasses", 0.15), ("sunglasses", 0.05), ("beanie", 0.035), ("cap", 0.035), ("mask", 0.04),
    ("hand", 0.06), ("scarf", 0.025), ("microphone", 0.025), ("box", 0.025),
)  # fmt: skip
_HATS = ("beanie", "cap")
# Cards of these meshes show their edges in any light colour.
_DARK_ONLY = ("afro01",)
# Worn together they would be in each other's way.
_FACE_COVERS = ("mask", "microphone", "hand", "box", "scarf")


class HeadsConfig(BaseModel):
    """How heads are drawn."""

    model_config = ConfigDict(extra="forbid", frozen=True)

    count: int = Field(100, description="pictures", ge=1)
    per_identity: int = Field(1, description="pictures of each person", ge=1)
    size: int = Field(256, description="side of the crops in pixels", ge=32, le=1024)
    zoom: float = Field(
        1.0, description="field of view: 1 is the canonical crop, 2 twice its side", ge=0.5, le=4
    )
    seed: int = Field(0, description="another seed draws other people", ge=0)
    counterfactuals: tuple[Counterfactual, ...] = Field(
        (), description="the same picture once more: with makeup, with another person's head"
    )
    worn: float = Field(
        1.0, description="factor on how often glasses, hats, hands and so on appear", ge=0, le=2
    )
    photo: bool = Field(
        True, description="blur, noise and JPEG of a camera; without them pixels are clean"
    )


@dataclass(frozen=True, slots=True)
class Person:
    """Who is drawn.

    Attributes:
        identity: unique in every corpus of this seed.
        spec: build, skin, iris, brows and usual hair, with a neutral face.
        skin: colour and structure.
        hair: colour.
        hair_name: of the colour, for reports.
        tone: individual typology angle of the skin's colour, degrees.
    """

    identity: str
    spec: HeadSpec
    skin: SkinLook
    hair: HairLook
    hair_name: str
    tone: float


@dataclass(frozen=True, slots=True)
class Scene:
    """One picture of a person.

    Attributes:
        person: who.
        spec: the person's with this picture's expression and hair.
        finish: the skin's state.
        pose: of the head.
        camera: the photo that the crop is cut from.
        lighting: the light.
        background: its kind.
        background_seed: what decides it.
        worn: what is before or on the head.
        clothes_seed: what decides the clothes.
        development: the camera's and the file's doing.
    """

    person: Person
    spec: HeadSpec
    finish: Finish
    pose: Pose
    camera: Camera
    lighting: Lighting
    background: str
    background_seed: int
    worn: tuple[Worn, ...]
    clothes_seed: int
    development: Development


def person_seed(seed: int, number: int, other: int = 0) -> int:
    """A person's own number; ``other`` 1 and up are people who only stand in for someone."""
    state = np.random.SeedSequence([seed, number, other]).generate_state(1, np.uint32)
    return int(state[0])


def draw_person(seed: int, number: int, assets: HeadAssets, other: int = 0) -> Person:
    """The person of a number: the same in every corpus of this seed."""
    own = person_seed(seed, number, other)
    spec = sample_person(own, assets)
    random = np.random.default_rng([own, 2])
    dark = "dark" in spec.skin
    colour, tone = _skin_colour(random, dark, spec.shape.races)
    man = spec.shape.male > 0.5
    age = spec.shape.age
    stubble = float(random.uniform(0.0, 0.75)) if man and random.random() < 0.65 else 0.0
    light_skin = tone > 25
    curly = spec.hair in _DARK_ONLY
    name, hair = _hair_colour(
        random, dark or spec.shape.races[1] > 0.5, age, shades=2 if curly else len(_HAIR)
    )
    skin = SkinLook(
        colour,
        contrast=float(random.uniform(0.8, 1.05)),
        detail=int(random.integers(3)),
        fine=float(np.clip(random.normal(0.75 + 0.5 * age, 0.15), 0.4, 1.3)),
        redness=float(random.uniform(0.3, 1.6)),
        freckles=float(random.uniform(0.2, 0.7)) if light_skin and random.random() < 0.12 else 0.0,
        stubble=stubble,
        lips=_lips(random, man),
        seed=float(random.uniform(0, 50)),
    )
    suffix = f"-{other}" if other else ""
    return Person(f"head-{seed}-{number:07d}{suffix}", spec, skin, hair, name, tone)


def draw_scene(config: HeadsConfig, number: int, picture: int, assets: HeadAssets) -> Scene:
    """A picture of the person of a number.

    Args:
        config: the settings.
        number: of the person, from 0.
        picture: of the person, from 0; another picture has everything else anew.
        assets: where people are taken from.
    """
    person = draw_person(config.seed, number, assets)
    random = np.random.default_rng([config.seed, number, picture, 5])
    expression = sample_expression(random)
    hair = person.spec.hair
    if picture and random.random() < 0.4:
        hair = sample_person(person_seed(config.seed, number, 0) + picture, assets).hair or hair
        if _other_sex(hair, person.spec, assets):
            hair = person.spec.hair
    worn = _draw_worn(random, config.worn)
    if any(one.kind in _HATS for one in worn) and hair in ("afro01",):
        hair = ""
    spec = dataclasses.replace(person.spec, expression=expression, hair=hair)
    pose = Pose(
        yaw=_tailed(random, 15, 60),
        pitch=float(np.clip(random.normal(0, 8), -25, 25)),
        roll=float(np.clip(random.normal(0, 6), -20, 20)),
        follow=float(random.uniform(0.1, 0.8)),
    )
    return Scene(
        person,
        spec,
        Finish(float(random.uniform(0.36, 0.58)), float(random.uniform(0.5, 1.25))),
        pose,
        _draw_camera(random),
        sample_lighting(random),
        sample_background(random),
        int(random.integers(2**31)),
        worn,
        int(random.integers(2**31)),
        _draw_development(random, person, config.photo),
    )


def _other_sex(hair: str, spec: HeadSpec, assets: HeadAssets) -> bool:
    """Long hair stays with those who wore it first; men's short cuts suit everybody."""
    return hair not in assets.names["hair"] or (
        spec.shape.male > 0.5 and hair in ("bob01", "bob02", "braid01", "long01", "ponytail01")
    )


def _skin_colour(random: _Random, dark: bool, races: Triple) -> tuple[Triple, float]:
    """Linear albedo of a skin and its typology angle, over the whole range of people."""
    if dark:
        lightness, b = random.uniform(24, 50), random.uniform(9, 19)
        a = random.uniform(7, 12.5)
    else:
        asian = races[1]
        lightness = random.uniform(47, 75)
        b = random.uniform(12, 19) + 2.5 * asian
        a = random.uniform(7, 12) + 0.12 * max(62 - lightness, 0)
    fy = (lightness + 16) / 116
    xyz = np.array([_cube(fy + a / 500) * 0.9505, _cube(fy), _cube(fy - b / 200) * 1.089])
    matrix = np.array(
        [[3.2406, -1.5372, -0.4986], [-0.9689, 1.8758, 0.0415], [0.0557, -0.2040, 1.0570]]
    )
    r, g, blue = np.clip(matrix @ xyz, 0.008, 1.0).tolist()
    return (r, g, blue), float(np.degrees(np.arctan2(lightness - 50, b)))


def _cube(t: float) -> float:
    return t**3 if t > 6 / 29 else 3 * (6 / 29) ** 2 * (t - 4 / 29)


def _hair_colour(random: _Random, dark: bool, age: float, shades: int) -> tuple[str, HairLook]:
    """A natural colour of the first so many; grey comes with age, if all are allowed."""
    shares = np.array([row[3] if dark else row[2] for row in _HAIR[:shades]])
    name, colour, _, _ = _HAIR[int(random.choice(shades, p=shares / shares.sum()))]
    base = np.array(colour) * np.exp(random.normal(0, 0.15)) * np.exp(random.normal(0, 0.05, 3))
    grey = float(np.clip(random.normal(2.2 * (age - 0.45), 0.3), 0, 1))
    if grey > 0.25 and shades == len(_HAIR):
        name = f"greying {name}"
        base = base * (1 - grey) + np.array(_GREY) * grey
    tip = np.clip(base * random.uniform(1.3, 2.2), 0, 0.75)
    brows = base * random.uniform(0.45, 0.85)
    brows = np.minimum(brows, np.array([0.11, 0.075, 0.05]) * (1 + grey))
    look = HairLook(_triple(base), _triple(tip), float(random.uniform(0.5, 1.2)), _triple(brows))
    return name, look


def _lips(random: _Random, man: bool) -> Triple:
    """Factors of the lips' natural colour."""
    strength = random.uniform(0.0, 0.5 if man else 1.0)
    return _triple(1 + strength * (np.array([1.0, 0.82, 0.85]) * random.uniform(0.85, 1.05) - 1))


def _triple(values: NDArray[np.floating]) -> Triple:
    a, b, c = (float(v) for v in values)
    return a, b, c


def _tailed(random: _Random, deviation: float, most: float) -> float:
    """A normal deviate, now and then even up to the limit."""
    value = random.uniform(-most, most) if random.random() < 0.12 else random.normal(0, deviation)
    return float(np.clip(value, -most, most))


def _draw_worn(random: _Random, factor: float) -> tuple[Worn, ...]:
    worn: list[Worn] = []
    kinds: set[str] = set()
    for kind, share in _WORN:
        seed = int(random.integers(2**31))
        if random.random() >= share * factor:
            continue
        if kind == "sunglasses" and "glasses" in kinds:
            continue
        if kind in _HATS and kinds & set(_HATS):
            continue
        if kind in _FACE_COVERS and kinds & set(_FACE_COVERS):
            continue
        kinds.add(kind)
        worn.append(Worn(kind, seed))
    return tuple(worn)


def _draw_camera(random: _Random) -> Camera:
    """From an arm's length to a long lens; the face 90 to 700 photo pixels wide."""
    distance = float(np.exp(random.uniform(np.log(4.5), np.log(25.0))))
    width = float(np.exp(random.uniform(np.log(90), np.log(700))))
    off = 0.12 * distance * random.normal(0, 0.5, 2).clip(-1, 1)
    return Camera(
        distance, focal=width / 1.45 * distance, side=float(round(width * 2.4)),
        shift=(float(off[0]), float(off[1])),
    )  # fmt: skip


def _draw_development(random: _Random, person: Person, photo: bool) -> Development:
    luminance = float(np.array(person.skin.colour) @ [0.2126, 0.7152, 0.0722])
    level = 0.21 * (luminance / 0.3) ** 0.6 * float(np.exp(random.normal(0.05, 0.22)))
    white = 1 / kelvin(random.uniform(5600, 7600)) * random.uniform(0.97, 1.03, 3)
    white = white / white.mean()
    blur, noise = float(abs(random.normal(0, 0.45))), float(abs(random.normal(0, 0.014)))
    jpeg = int(random.choice((0, 0, 95, 90, 80, 65)))
    return Development(
        skin_level=float(np.clip(level, 0.018, 0.5)),
        white=_triple(white),
        contrast=float(random.uniform(0.9, 1.18)),
        blur=blur if photo else 0.0,
        detail=1.0,
        noise=noise if photo else 0.0,
        jpeg=jpeg if photo else 0,
        seed=int(random.integers(2**31)),
    )


def scene_facts(scene: Scene) -> dict[str, object]:
    """What a corpus's index says about a picture: JSON."""
    spec, look = scene.spec, scene.development
    key = scene.lighting.key.direction
    return {
        "person": spec.shape.seed,
        "male": round(spec.shape.male, 3),
        "age": round(spec.shape.age, 3),
        "skin": spec.skin,
        "albedo": [round(v, 4) for v in scene.person.skin.colour],
        "tone": round(scene.person.tone, 1),
        "hair": spec.hair,
        "hair_colour": scene.person.hair_name,
        "brows": spec.brows,
        "iris": spec.iris,
        "expression": spec.expression.name,
        "units": {k: round(v, 3) for k, v in sorted(spec.expression.units.items()) if v > 5e-4},
        "gaze": [round(v, 2) for v in spec.expression.gaze],
        "yaw": round(scene.pose.yaw, 2),
        "pitch": round(scene.pose.pitch, 2),
        "roll": round(scene.pose.roll, 2),
        "distance": round(scene.camera.distance, 3),
        "light": scene.lighting.name,
        "key": [round(float(v), 3) for v in key],
        "softness": round(scene.lighting.softness, 3),
        "background": scene.background,
        "worn": [one.kind for one in scene.worn],
        "exposure": round(look.skin_level, 4),
        "white": [round(v, 3) for v in look.white],
        "blur": round(look.blur, 3),
        "noise": round(look.noise, 4),
        "jpeg": look.jpeg,
    }


def other_person(scene: Scene, person: Person) -> Scene:
    """The same picture of another person: build, skin, eyes and brows change, nothing else."""
    spec = dataclasses.replace(person.spec, expression=scene.spec.expression, hair=scene.spec.hair)
    mixed = dataclasses.replace(
        person.hair, colour=scene.person.hair.colour, tip=scene.person.hair.tip
    )
    return dataclasses.replace(scene, person=dataclasses.replace(person, hair=mixed), spec=spec)
