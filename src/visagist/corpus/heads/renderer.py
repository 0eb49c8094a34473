"""Draws surfaces with OpenGL, without a screen: colour, exact labels and depth in one go."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from typing import Any

import moderngl
import numpy as np
from numpy.typing import NDArray

from visagist.corpus.heads.camera import NECK_HIGH, NECK_LOW, PIVOT, Pose
from visagist.corpus.heads.drawing import Draw, Picture, Texture, View
from visagist.corpus.heads.gl import Slot, columns, open_context, set_uniform, shader
from visagist.face.parts import Part

Floats = NDArray[np.float32]
NEAR, FAR = 1.0, 80.0
_KEY_SIDE, _SKY_SIDE = 448, 160  # texels of the shadow maps
_KEY_RADIUS, _SKY_RADIUS = 1.95, 2.1  # decimetres around the middle of the head that they cover
_MIDDLE = np.array([0.0, -0.3, -0.6], np.float32)
_NO_HAT = (99.0, 0.0)
_CROWN = np.array([[0.0, 1.15, -1.0]], np.float32)
# A material and the parts of its shader that are switched on.
Variant = tuple[str, ...]
_SOLID, _SOFT, _LABEL = ("hair", "SOLID"), ("hair",), ("hair", "LABEL")
_PARTS = {"freckles": "FRECKLES", "stubble": "STUBBLE", "pattern": "PATTERN"}
_SKY_FROM = np.array([0.0, 0.78, 0.62], np.float32)


class Renderer:
    """Draws pictures of one size; textures and buffers are kept between them."""

    def __init__(self, size: int, samples: int = 2) -> None:
        """Open OpenGL and compile the shaders.

        Args:
            size: side of the pictures.
            samples: each pixel is drawn samples x samples times.

        Raises:
            DataError: no OpenGL.
        """
        self.size, self.samples = size, samples
        self.ctx = ctx = open_context()
        ctx.depth_func = "<="
        self._programs: dict[Variant, moderngl.Program] = {}
        self._shadow = ctx.program(shader("surface.vert"), shader("shadow.frag"))
        full = size * samples
        self._colour = ctx.texture((full, full), 4, dtype="f2")
        self._labels = ctx.texture((full, full), 1, dtype="u1")
        self._labels.filter = (moderngl.NEAREST, moderngl.NEAREST)
        self._depth = ctx.depth_texture((full, full))
        self._target = ctx.framebuffer([self._colour, self._labels], self._depth)
        self._depth.compare_func = ""
        self._depth.filter = (moderngl.NEAREST, moderngl.NEAREST)
        self._pixels = ctx.framebuffer(
            [ctx.texture((size, size), 4, dtype="f4"), ctx.texture((size, size), 2, dtype="f4")]
        )
        text = f"#version 330 core\n#define SAMPLES {samples}\n{shader('resolve.frag')}"
        resolve = ctx.program(shader("resolve.vert"), text)
        for name, value in {
            "colours": 0, "labels": 1, "depths": 2, "range": (NEAR, FAR),
        }.items():  # fmt: skip
            set_uniform(resolve, name, value)
        self._average = ctx.vertex_array(resolve, [])
        self._maps = {side: self._map(side) for side in (_KEY_SIDE, _SKY_SIDE)}
        self._blank = bytes(full * full)
        self._textures: dict[str, moderngl.Texture] = {}
        self._slots: list[Slot] = []

    def _map(self, side: int) -> tuple[moderngl.Texture, moderngl.Framebuffer]:
        depth = self.ctx.depth_texture((side, side))
        depth.compare_func = ""
        depth.filter = (moderngl.NEAREST, moderngl.NEAREST)
        depth.repeat_x = depth.repeat_y = False
        return depth, self.ctx.framebuffer(depth_attachment=depth)

    def draw(self, draws: Sequence[Draw], view: View) -> Picture:
        """Draw one picture.

        Args:
            draws: what is there; opaque and cut-out ones in any order, blended ones in the order
                in which they lie over each other.
            view: from where, in which light.
        """
        ordered = [_sorted(one) for one in draws]
        self._upload(ordered)
        sun = view.lighting.key.direction
        key = _shadow_matrix(sun, _KEY_RADIUS)
        sky = _shadow_matrix(_SKY_FROM, _SKY_RADIUS)
        self._cast(_KEY_SIDE, key, ordered, view)
        self._cast(_SKY_SIDE, sky, ordered, view)
        self._begin(view, key, sky, {v for one in ordered for v in _variants(one)})
        self._surfaces(ordered)
        return self._resolve()

    def visible(self, surfaces: Sequence[Draw], view: View, directions: Floats) -> Floats:
        """How much of the surroundings each vertex of the first surface sees, 0..1.

        Args:
            surfaces: the mesh, and whatever else is in the way.
            view: only its pose is used.
            directions: (D, 3) unit directions to look along, world axes.
        """
        ordered = [_sorted(one) for one in surfaces]
        self._upload(ordered)
        points, normal = surfaces[0].vertices, surfaces[0].normals
        total = np.zeros(len(points), np.float64)
        weight = np.zeros(len(points), np.float64)
        for towards in directions:
            matrix = _shadow_matrix(towards, 2.0 * _KEY_RADIUS)
            self._cast(_KEY_SIDE, matrix, ordered, view)
            raw = np.frombuffer(self._maps[_KEY_SIDE][0].read(), np.float32)
            depth = raw.reshape(_KEY_SIDE, _KEY_SIDE)
            at = (np.c_[view.pose.place(points), np.ones(len(points))] @ matrix.T)[:, :3] / 2 + 0.5
            column, row = np.clip((at[:, :2] * _KEY_SIDE).astype(int), 0, _KEY_SIDE - 1).T
            cosine = np.clip(normal @ towards, 0, None)
            total += cosine * (at[:, 2] - 0.006 < depth[row, column])
            weight += cosine
        return np.asarray(total / np.maximum(weight, 1e-6), np.float32)

    def _upload(self, draws: Sequence[Draw]) -> None:
        while len(self._slots) < len(draws):
            self._slots.append(Slot(self.ctx))
        for slot, one in zip(self._slots, draws, strict=False):
            data = np.zeros((len(one.vertices), 9), np.float32)
            data[:, :3], data[:, 3:6] = one.vertices, one.normals
            if one.uv is not None:
                data[:, 6:8] = one.uv
            data[:, 8] = 1.0 if one.openness is None else one.openness
            slot.fill(data.tobytes(), np.ascontiguousarray(one.triangles, np.int32).tobytes())

    def _cast(self, side: int, matrix: Floats, draws: Sequence[Draw], view: View) -> None:
        """Draw a shadow map."""
        _, target = self._maps[side]
        target.use()
        target.clear(depth=1.0)
        self.ctx.enable_only(moderngl.DEPTH_TEST)
        program = self._shadow
        set_uniform(program, "clip", columns(matrix))
        _place(program, view.pose)
        set_uniform(program, "hat", view.hat or _NO_HAT)
        for slot, one in zip(self._slots, draws, strict=False):
            if one.shadow and one.alpha != "blend":
                cutout = one.alpha == "cutout"
                set_uniform(program, "cutout", int(cutout))
                if cutout:
                    self.texture(one.textures["strands"]).use(0)
                    set_uniform(program, "strands", 0)
                slot.array(program).render(vertices=one.triangles.size)

    def _begin(self, view: View, key: Floats, sky: Floats, variants: set[Variant]) -> None:
        """Clear the picture and tell every material about the view."""
        self._labels.write(self._blank)
        self._target.use()
        self._mask(colour=True, label=False)
        self._target.clear(0.0, 0.0, 0.0, 0.0, depth=1.0)
        clip = view.camera.clip_matrix(view.crop, self.size, NEAR, FAR)
        light = view.lighting
        self._maps[_KEY_SIDE][0].use(0)
        self._maps[_SKY_SIDE][0].use(1)
        x, y = view.camera.shift
        for program in (*map(self._program, variants), self._shadow):
            _place(program, view.pose)
            set_uniform(program, "clip", columns(clip))
            set_uniform(program, "camera", (-x, -y, view.camera.distance))
            for name, lamp in (("key", light.key), ("fill", light.fill), ("rim", light.rim)):
                set_uniform(program, f"{name}_direction", tuple(lamp.direction.tolist()))
                set_uniform(program, f"{name}_colour", tuple(lamp.colour.tolist()))
            set_uniform(program, "sh", [tuple(row) for row in light.harmonics.tolist()])
            set_uniform(program, "key_clip", columns(key))
            set_uniform(program, "sky_clip", columns(sky))
            set_uniform(program, "key_map", 0)
            set_uniform(program, "sky_map", 1)
            set_uniform(program, "key_blur", light.softness / (2 * _KEY_RADIUS))
            set_uniform(program, "sky_blur", 0.09)
            set_uniform(program, "hat", view.hat or _NO_HAT)
            set_uniform(program, "crown", tuple(view.pose.place(_CROWN)[0].tolist()))

    def _surfaces(self, draws: Sequence[Draw]) -> None:
        """Opaque and cut-out surfaces with depth, then soft edges and blended ones over them."""
        ctx = self.ctx
        opaque, cutout, blended = (
            [(number, one) for number, one in enumerate(draws) if one.alpha == alpha]
            for alpha in ("opaque", "cutout", "blend")
        )
        ctx.enable_only(moderngl.DEPTH_TEST)
        # Hair lies in many layers: its depth comes first, so that only the foremost is shaded, and
        # it hides skin before that is shaded. The mouth comes after the lips that hide it.
        self._mask(colour=False, label=False)
        for number, one in cutout:
            self._depths(number, one)
        self._mask(colour=True, label=True)
        for number, one in sorted(opaque, key=_turn):
            self._one(number, one)
        self._target.depth_mask = False
        ctx.depth_func = "=="
        for number, one in cutout:
            self._one(number, one, _SOLID)
        ctx.depth_func = "<="
        ctx.enable_only(moderngl.DEPTH_TEST | moderngl.BLEND)
        apart: Any = (
            moderngl.SRC_ALPHA, moderngl.ONE_MINUS_SRC_ALPHA,
            moderngl.ONE, moderngl.ONE_MINUS_SRC_ALPHA,
        )  # fmt: skip
        ctx.blend_func = apart  # colour and cover; the hints know one pair only
        self._mask(colour=True, label=False)
        for number, one in cutout:
            self._one(number, one, _SOFT, cutoff=0.04, ceiling=0.5)
        for number, one in blended:
            self._one(number, one, cutoff=0.03, ceiling=2.0)
        ctx.enable_only(moderngl.DEPTH_TEST)
        self._mask(colour=False, label=True)
        for number, one in blended:
            if one.labelled:
                self._one(number, one, _variants(one)[-1], cutoff=0.3)
        self._target.depth_mask = True

    def _depths(self, number: int, one: Draw) -> None:
        """Only the depth of a cut-out surface."""
        program = self._shadow
        self.texture(one.textures["strands"]).use(2)
        set_uniform(program, "strands", 2)
        set_uniform(program, "cutout", 1)
        self._slots[number].array(program).render(vertices=one.triangles.size)

    def _program(self, variant: Variant) -> moderngl.Program:
        """A material's shader with some of its parts; compiled when it is first needed."""
        if variant not in self._programs:
            material, *parts = variant
            lines = [shader("common.glsl"), *(f"#define {part}" for part in parts)]
            text = "\n".join([*lines, shader(f"{material}.frag")])
            self._programs[variant] = self.ctx.program(shader("surface.vert"), text)
        return self._programs[variant]

    def _one(self, number: int, one: Draw, variant: Variant | None = None, **extra: float) -> None:
        program = self._program(variant or _variants(one)[0])
        for unit, (name, texture) in enumerate(one.textures.items(), 2):
            self.texture(texture).use(unit)
            set_uniform(program, name, unit)
        values = {**one.values, **extra}
        for name, value in values.items():
            set_uniform(program, name, value)
        if one.material in ("skin", "eye") or one.values.get("both_sides", 1) == 0:
            self.ctx.enable(moderngl.CULL_FACE)
        else:
            self.ctx.disable(moderngl.CULL_FACE)
        array = self._slots[number].array(program)
        if variant == _SOFT and one.soft is not None:
            set_uniform(program, "label", int(one.labels[0]))
            array.render(vertices=3 * one.soft)
            return
        for label in np.unique(one.labels).tolist():
            first = int(np.searchsorted(one.labels, label))
            count = int(np.searchsorted(one.labels, label, "right")) - first
            set_uniform(program, "label", label)
            array.render(vertices=3 * count, first=3 * first)

    def _mask(self, *, colour: bool, label: bool) -> None:
        # moderngl's hints know one mask, the library takes one a target
        masks: Any = ((colour,) * 4, (label,) * 4)
        self._target.color_mask = masks

    def texture(self, texture: Texture) -> moderngl.Texture:
        """The picture on the GPU, uploaded once."""
        found = self._textures.get(texture.name)
        if found is None:
            array = np.ascontiguousarray(texture.make()[::-1])
            height, width = array.shape[:2]
            channels = 1 if array.ndim == 2 else array.shape[2]
            # half floats keep linear colours
            kind = "f2" if array.dtype == np.float16 else "f1"
            found = self.ctx.texture(
                (width, height), channels, array.tobytes(), dtype=kind, alignment=1
            )
            found.build_mipmaps()
            found.filter = (moderngl.LINEAR_MIPMAP_LINEAR, moderngl.LINEAR)
            self._textures[texture.name] = found
        return found

    def _resolve(self) -> Picture:
        """Average the samples of each pixel; its label is the commonest, its depth goes with it."""
        self.ctx.enable_only(moderngl.NOTHING)
        self._pixels.use()
        for unit, texture in enumerate((self._colour, self._labels, self._depth)):
            texture.use(unit)
        self._average.render(moderngl.TRIANGLES, vertices=3)
        colour = np.frombuffer(self._pixels.read(components=4, dtype="f4"), np.float32)
        colour = colour.reshape(self.size, self.size, 4)[::-1]
        truth = np.frombuffer(self._pixels.read(components=2, attachment=1, dtype="f4"), np.float32)
        truth = truth.reshape(self.size, self.size, 2)[::-1]
        return Picture(
            np.ascontiguousarray(colour[..., :3]),
            np.ascontiguousarray(colour[..., 3]),
            truth[..., 0].astype(np.uint8),
            np.ascontiguousarray(truth[..., 1]),
        )


def _variants(one: Draw) -> list[Variant]:
    """The shaders that a draw needs: for its colour, and last the one for its label."""
    if one.material == "hair":
        return [_SOLID, _SOFT] if one.alpha == "cutout" else [_SOFT, _LABEL]
    # Mesa's rasteriser runs both sides of every branch, so what is not needed is left out.
    parts = [name for value, name in _PARTS.items() if one.values.get(value, 0)]
    return [(one.material, *parts)]


def _turn(numbered: tuple[int, Draw]) -> int:
    """When an opaque surface is drawn: what hides others first."""
    one = numbered[1]
    return 2 if one.labels[:1].tolist() in ([Part.MOUTH], [Part.EYES]) else one.material == "skin"


def _sorted(one: Draw) -> Draw:
    """The same with triangles grouped by label."""
    labels = one.labels
    if (labels[1:] >= labels[:-1]).all():
        return one
    order = np.argsort(labels, kind="stable")
    return replace(one, triangles=one.triangles[order], labels=labels[order])


def _shadow_matrix(towards: Floats, radius: float) -> Floats:
    """(4, 4) parallel projection along a light onto a square around the head."""
    z = towards / np.linalg.norm(towards)
    helper = np.array([0.0, 1.0, 0.0]) if abs(z[1]) < 0.9 else np.array([0.0, 0.0, -1.0])
    x = np.cross(helper, z)
    x /= np.linalg.norm(x)
    axes = np.stack([x, np.cross(z, x), -z])
    matrix = np.eye(4)
    matrix[:3, :3] = axes / np.array([[radius], [radius], [2 * radius]])
    matrix[:3, 3] = -matrix[:3, :3] @ _MIDDLE
    return matrix.astype(np.float32)


def _place(program: moderngl.Program, pose: Pose) -> None:
    head, body = pose.rotations()
    set_uniform(program, "head", columns(head))
    set_uniform(program, "turn", columns(head))
    set_uniform(program, "body", columns(body))
    set_uniform(program, "pivot", tuple(PIVOT.tolist()))
    set_uniform(program, "neck", (NECK_LOW, NECK_HIGH))
