"""The protocol of face swaps: fixed pairs, several methods, one table.

Identity is told by a judge that no swap network was trained with. Pose and expression are read off
our mesh network on target and result alike. What two capabilities would share (features of
pictures, their distance) is handed in.
"""

from __future__ import annotations

import hashlib
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from visagist.errors import DataError, FaceError, InputError, PhotoError
from visagist.face.align import crop
from visagist.face.expression import EXPRESSION, expression
from visagist.face.find import Mesher, default_mesher
from visagist.face.identity import Judge
from visagist.face.pose import pose
from visagist.face.raster import blur
from visagist.face.regions import outline, region_masks
from visagist.face.topology import FACE_OVAL
from visagist.photo.colour import rgb_to_lab
from visagist.swap.methods import Method, Pixels, Scene, Side
from visagist.swap.pairs import LISTS, Pair, PairList

__all__ = ["Case", "Compare", "evaluate", "measured"]


@dataclass(frozen=True, slots=True)
class Compare:
    """How sets of pictures are compared.

    Attributes:
        features: (N, S, S, 3) uint8 crops to (N, D).
        distance: of real features and those of made pictures.
    """

    features: Callable[[NDArray[np.uint8]], NDArray[np.floating]]
    distance: Callable[[NDArray[np.floating], NDArray[np.floating]], float]


_GROWN = 1.12
"""The face's oval is enlarged so far before what is outside counts as background."""
_SEEN = 2.0
"""Levels of 255 from which a pixel counts as changed."""
_FEWEST_HIDDEN = 50
"""Covered pixels of a face below which a pair says nothing about covers."""
_GAZE = [EXPRESSION.index(name) for name in ("gaze_x", "gaze_y")]
_MEANS = (
    "id_cosine",
    "id_leak",
    "id_margin",
    "pose_error",
    "expression_error",
    "gaze_error",
    "background_level",
    "background_share",
    "changed_level",
)


@dataclass(frozen=True, slots=True, kw_only=True)
class Case:
    """One pair under one method.

    Attributes:
        source: name of the picture that gives the identity.
        target: name of the other.
        found: identity of the nearest enrolled picture by the judge.
        id_top1: whether that is the source person.
        id_top1_other: the same among other pictures of people; ``None`` where the source person
            has no other.
        id_cosine: judge's cosine of result and source picture.
        id_leak: of result and target picture.
        id_margin: their difference.
        pose_error: length of the difference of yaw, pitch and roll, degrees.
        expression_error: mean absolute difference of the mesh's expression ratios, each in standard
            deviations over the targets.
        gaze_error: the same of the two ratios of the gaze.
        background_level: mean absolute change outside the face, levels of 255.
        background_share: share of those pixels that changed by more than 2 levels.
        changed_level: mean absolute change inside the face.
        refused: whether the method left the photo as it was.
        source_tone: light, medium or dark by the skin's typology angle.
        target_tone: the same.
    """

    source: str
    target: str
    source_identity: str
    found: str
    id_top1: bool
    id_top1_other: bool | None
    id_cosine: float
    id_leak: float
    id_margin: float
    pose_error: float
    expression_error: float
    gaze_error: float
    background_level: float
    background_share: float
    changed_level: float
    refused: bool
    source_tone: str
    target_tone: str


@dataclass(frozen=True, slots=True, eq=False)
class Stage:
    """What is the same for all methods.

    Attributes:
        sides: every picture of the list by name.
        enrolled: names of the gallery.
        second: names of the gallery of other pictures.
        spread: (9,) standard deviation of each expression ratio over the targets.
        judge: tells identities.
        mesher: fits meshes.
        skipped: pictures that cannot be used, with the reason.
    """

    sides: Mapping[str, Side]
    enrolled: tuple[str, ...]
    second: tuple[str, ...]
    spread: NDArray[np.float64]
    judge: Judge
    mesher: Mesher
    skipped: Mapping[str, str]

    @classmethod
    def of(
        cls,
        fixed: PairList,
        judge: Judge,
        *,
        mesher: Mesher | None = None,
        progress: Callable[[int, int], None] = lambda done, total: None,
    ) -> Stage:
        """Read every picture of a list once."""
        mesher = mesher or default_mesher()
        faces = {f.name: f for f in (*fixed.enrolled, *fixed.second)}
        for pair in fixed.pairs:
            faces |= {pair.source.name: pair.source, pair.target.name: pair.target}
        sides: dict[str, Side] = {}
        skipped: dict[str, str] = {}
        for done, (name, face) in enumerate(sorted(faces.items()), 1):
            try:
                sides[name] = Side.of(face, judge, mesher)
            except (PhotoError, FaceError) as error:
                skipped[name] = str(error)
            progress(done, len(faces))
        targets = {p.target.name for p in fixed.pairs} & set(sides)
        if len(targets) < 2:
            raise DataError(f"fewer than two targets can be read: {skipped}")
        ratios = np.array([expression(sides[name].face.mesh) for name in sorted(targets)])
        return cls(
            sides,
            tuple(f.name for f in fixed.enrolled if f.name in sides),
            tuple(f.name for f in fixed.second if f.name in sides),
            np.maximum(ratios.std(0), 1e-6),
            judge,
            mesher,
            skipped,
        )

    def nearest(self, vector: NDArray[np.float32], names: Sequence[str]) -> str:
        """Identity of the gallery picture with the largest cosine."""
        gallery = np.stack([self.sides[name].vector for name in names])
        return self.sides[names[int((gallery @ vector).argmax())]].identity


def measured(stage: Stage, method: Method, source: Side, target: Side) -> tuple[Case, Pixels]:
    """One pair under one method.

    Returns:
        The figures, and the photo with the new face.
    """
    made = method.swap(source, target.pixels, target.face)
    mesh, _ = stage.mesher.predict(made, target.face.detection)
    vector = stage.judge(made, mesh)
    gained, leaked = float(vector @ source.vector), float(vector @ target.vector)
    before, after = pose(target.face.mesh), pose(mesh)
    turned = [getattr(after, a) - getattr(before, a) for a in ("yaw", "pitch", "roll")]
    gap = np.abs(expression(mesh) - expression(target.face.mesh)) / stage.spread
    found = stage.nearest(vector, stage.enrolled)
    others = {stage.sides[name].identity for name in stage.second}
    other = None
    if source.identity in others:
        other = stage.nearest(vector, stage.second) == source.identity
    inside = _oval(target)
    change = np.abs(made.astype(np.float32) - target.pixels).mean(2)
    outside = (inside < 0.01) & _cropped(target)
    return (
        Case(
            source=source.name,
            target=target.name,
            source_identity=source.identity,
            found=found,
            id_top1=found == source.identity,
            id_top1_other=other,
            id_cosine=gained,
            id_leak=leaked,
            id_margin=gained - leaked,
            pose_error=float(np.linalg.norm(turned)),
            expression_error=float(gap.mean()),
            gaze_error=float(gap[_GAZE].mean()),
            background_level=float(change[outside].mean()) if outside.any() else 0.0,
            background_share=float((change[outside] > _SEEN).mean()) if outside.any() else 0.0,
            changed_level=float(change[inside > 0.5].mean()),
            refused=made is target.pixels or not change.any(),
            source_tone=_tone(source),
            target_tone=_tone(target),
        ),
        made,
    )


def evaluate(
    fixed: PairList,
    methods: Sequence[Method],
    stage: Stage,
    *,
    main: str | None = None,
    compare: Compare | None = None,
    cover: Callable[[Side], Scene] | None = None,
    covered: int = 60,
    resamples: int = 1000,
    progress: Callable[[int, int], None] = lambda done, total: None,
) -> dict[str, Any]:
    """Measure methods on one list of pairs.

    Args:
        fixed: the pairs.
        methods: rows of the table.
        stage: what all methods share.
        main: label of the method that gives the flat fields; the last one by default.
        compare: distance of two sets of crops, for ``fd``; without it the field is ``None``.
        cover: draws something in front of a target's face; without it nothing is told about
            covers.
        covered: pairs that are also measured so.
        resamples: of the source people, for the intervals; 0 leaves them out.
        progress: called with swaps done and in all.

    Returns:
        ``id_top1``, ``id_cosine``, ``pose_error``, ``expression_error``, ``fd``, ``params``,
        ``gmac``, ``megabytes`` and the other means of the main method; ``table`` with the same for
        every method, with ``intervals``, ``per_folder``, ``per_source_tone``, ``per_target_tone``
        and ``worst``; ``fd_floor``, of one half of the targets to the other; the list and its
        digest.

    Raises:
        DataError: no pair can be measured.
        InputError: two methods have one label.
    """
    if len({m.label for m in methods}) < len(methods) or not methods:
        raise InputError("every row of the table needs its own label")
    pairs = [
        p for p in fixed.pairs if p.source.name in stage.sides and p.target.name in stage.sides
    ]
    if not pairs:
        raise DataError(f"no pair can be measured: {stage.skipped}")
    hidden = [] if cover is None else _spread(pairs, covered)
    total = len(methods) * (len(pairs) + len(hidden))
    table: dict[str, Any] = {}
    targets = _unique(pairs)
    real = np.stack([_crop(stage.sides[name], stage.sides[name].pixels) for name in targets])
    known = None if compare is None else compare.features(real)
    count = 0

    def step() -> None:
        nonlocal count
        count += 1
        progress(count, total)

    scenes = [] if cover is None else [cover(stage.sides[pair.target.name]) for pair in hidden]
    for method in methods:
        cases, crops = [], []
        for pair in pairs:
            source, target = stage.sides[pair.source.name], stage.sides[pair.target.name]
            case, made = measured(stage, method, source, target)
            cases.append(case)
            crops.append(_crop(target, made))
            step()
        row = _row(cases, resamples)
        row["fd"] = _distance(compare, known, crops)
        row |= _covered(stage, method, hidden, scenes, step)
        table[method.label] = row | dict(method.facts)
    last = methods[-1].label if main is None else main
    flat = {
        name: value
        for name, value in table[last].items()
        if isinstance(value, int | float | str | None)
    }
    halves = None
    if compare is not None and known is not None and len(known) >= 4:
        halves = round(compare.distance(known[::2], known[1::2]), 3)
    return {
        "row": last,
        **{name: flat.get(name) for name in ("params", "gmac", "megabytes")},
        **flat,
        "fd_floor": halves,
        "fd_real": len(real),
        "enrolled": len(stage.enrolled),
        "list_sha256": fixed.sha256,
        "list_known": fixed.sha256 in LISTS.values(),
        "left_out": dict(fixed.left_out),
        "skipped": dict(stage.skipped),
        "table": table,
    }


def _distance(
    compare: Compare | None, known: NDArray[np.floating] | None, crops: Sequence[Pixels]
) -> float | None:
    if compare is None or known is None:
        return None
    return round(compare.distance(known, compare.features(np.stack(crops))), 3)


def _row(cases: Sequence[Case], resamples: int) -> dict[str, Any]:
    """Means over cases, with intervals over source people, by folder and by skin tone."""
    row: dict[str, Any] = {"pairs": len(cases), **_means(cases)}
    row["intervals"] = _intervals(cases, resamples) if resamples else {}
    row["per_folder"] = _grouped(cases, lambda c: c.target.split("/")[0])
    row["per_source_tone"] = _grouped(cases, lambda c: c.source_tone)
    row["per_target_tone"] = _grouped(cases, lambda c: c.target_tone)
    row["worst"] = {
        name: [
            {"source": c.source, "target": c.target, name: round(float(getattr(c, name)), 4)}
            for c in sorted(cases, key=lambda c: sign * float(getattr(c, name)))[:20]
        ]
        for name, sign in (
            ("id_margin", 1),
            ("pose_error", -1),
            ("expression_error", -1),
            ("background_level", -1),
        )
    }
    return row


def _means(cases: Sequence[Case]) -> dict[str, float | None]:
    other = [c.id_top1_other for c in cases if c.id_top1_other is not None]
    return {
        "id_top1": round(float(np.mean([c.id_top1 for c in cases])), 4),
        "id_top1_other": round(float(np.mean(other)), 4) if other else None,
        **{n: round(float(np.mean([getattr(c, n) for c in cases])), 4) for n in _MEANS},
        "refused": round(float(np.mean([c.refused for c in cases])), 4),
    }


def _intervals(cases: Sequence[Case], resamples: int) -> dict[str, list[float]]:
    """95 % of resampled source people: a person's pairs stand and fall together."""
    people = sorted({c.source_identity for c in cases})
    number = {p: i for i, p in enumerate(people)}
    owner = np.array([number[c.source_identity] for c in cases])
    counts = np.bincount(owner, minlength=len(people)).astype(np.float64)
    rng = np.random.default_rng(0)
    drawn = rng.multinomial(len(people), np.full(len(people), 1 / len(people)), resamples)
    out = {}
    for name in ("id_top1", "id_cosine", "pose_error", "expression_error"):
        values = np.array([float(getattr(c, name)) for c in cases])
        sums = np.bincount(owner, values, len(people))
        means = (drawn @ sums) / (drawn @ counts)
        out[name] = [round(float(v), 4) for v in np.quantile(means, (0.025, 0.975))]
    return out


def _grouped(
    cases: Sequence[Case], key: Callable[[Case], str]
) -> dict[str, dict[str, float | int | None]]:
    groups: dict[str, list[Case]] = {}
    for case in cases:
        groups.setdefault(key(case), []).append(case)
    return {name: {"pairs": len(g), **_means(g)} for name, g in sorted(groups.items())}


def _covered(
    stage: Stage,
    method: Method,
    pairs: Sequence[Pair],
    scenes: Sequence[Scene],
    step: Callable[[], None],
) -> dict[str, float | None]:
    """How much of what was drawn in front of a face a method changes.

    ``occlusion_level``: mean change of covering pixels inside the oval, levels of 255;
    ``occlusion_kept``: 1 less that change over the change that the cover made to the bare face: 1
    where it is left alone, about 0 where a face is painted over it.
    """
    levels, drawn = [], []
    for pair, scene in zip(pairs, scenes, strict=True):
        if scene.hidden.sum() >= _FEWEST_HIDDEN:
            made = method.swap(stage.sides[pair.source.name], scene.covered, scene.face)
            levels.append(float(_change(made, scene.covered)[scene.hidden].mean()))
            drawn.append(float(_change(scene.plain, scene.covered)[scene.hidden].mean()))
        step()
    if not levels:
        return {"occlusion_level": None, "occlusion_kept": None}
    return {
        "occlusion_level": round(float(np.mean(levels)), 4),
        "occlusion_kept": round(1 - sum(levels) / max(sum(drawn), 1e-6), 4),
    }


def _change(made: Pixels, before: Pixels) -> NDArray[np.float32]:
    return np.asarray(np.abs(made.astype(np.float32) - before).mean(2), np.float32)


def _spread(pairs: Sequence[Pair], count: int) -> list[Pair]:
    first = [p for p in pairs if p.shift == 1]
    if count <= 0 or not first:
        return []
    chosen = np.linspace(0, len(first) - 1, min(count, len(first)))
    return [first[int(i)] for i in chosen]


def _unique(pairs: Iterable[Pair]) -> list[str]:
    """Targets in an order that has nothing to do with their names, so that halves are alike."""
    names = {p.target.name for p in pairs}
    return sorted(names, key=lambda name: hashlib.sha256(name.encode()).hexdigest())


def _crop(side: Side, pixels: Pixels) -> Pixels:
    return crop(pixels, side.face.alignment())


def _oval(side: Side) -> NDArray[np.float32]:
    """(H, W) 1 inside the target's face, enlarged a little, 0 outside."""
    mesh = side.face.mesh[:, :2]
    centre = mesh[list(FACE_OVAL)].mean(0)
    grown = (centre + _GROWN * (mesh - centre)).astype(np.float32)
    height, width = side.pixels.shape[:2]
    return outline(grown, FACE_OVAL, height, width)


def _cropped(side: Side) -> NDArray[np.bool_]:
    """(H, W) the part of the photo that the canonical crop shows: what a network could redraw."""
    height, width = side.pixels.shape[:2]
    alignment = side.face.alignment()
    y, x = np.mgrid[:height, :width] + 0.5
    where = alignment.to_crop(np.stack([x.ravel(), y.ravel()], 1))
    inside = ((where > 0) & (where < alignment.size)).all(1)
    return np.asarray(inside.reshape(height, width), np.bool_)


def _tone(side: Side) -> str:
    """Skin tone class by typology angle (Chardon et al. 1991), two classes a bin."""
    alignment = side.face.alignment()
    view = blur(crop(side.pixels, alignment).astype(np.float32), 1.0)
    skin = region_masks(alignment.to_crop(side.face.mesh), alignment.size).skin > 0.9
    if not skin.any():
        return "unknown"
    lab = np.median(rgb_to_lab(view[skin] / np.float32(255)), axis=0)
    angle = float(np.degrees(np.arctan2(lab[0] - 50, max(float(lab[2]), 1e-3))))
    return "light" if angle > 41 else "medium" if angle > 10 else "dark"
