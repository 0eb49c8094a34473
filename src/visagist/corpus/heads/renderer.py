"""Draws surfaces with OpenGL, without a screen: colour, exact labels and depth in one go."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from functools import cache
from importlib.resources import files
from types import MappingProxyType
from typing import Any, Literal

import moderngl
import numpy as np
from numpy.typing import NDArray

from visagist.corpus.heads.camera import NECK_HIGH, NECK_LOW, PIVOT, Camera, Pose
from visagist.corpus.heads.light import Lighting
from visagist.errors import DataError
from visagist.face.parts import Part

Floats = NDArray[np.float32]
Material = Literal["skin", "eye", "hair", "plain"]
NEAR, FAR = 1.0, 80.0
_KEY_SIDE, _SKY_SIDE = 512, 192  # texels of the shadow maps
_KEY_RADIUS, _SKY_RADIUS = 1.95, 2.1  # decimetres around the middle of the head that they cover
_MIDDLE = np.array([0.0, -0.3, -0.6], np.float32)
_SKY_FROM = np.array([0.0, 0.78, 0.62], np.float32)
_NO_HAT = (99.0, 0.0, 0.0)


@dataclass(frozen=True, slots=True)
class Texture:
    """A picture for the GPU, made when it is first needed and kept by its name.

    Attributes:
        name: equal names are equal pictures.
        make: gives (H, W) or (H, W, C) uint8 or float16, first row at the top.
    """

    name: str
    make: Callable[[], NDArray[Any]]


@dataclass(frozen=True, slots=True)
class Draw:
    """One mesh and how it looks.

    Attributes:
        material: which shader.
        vertices: (V, 3) in model space.
        normals: (V, 3) unit.
        triangles: (T, 3).
        labels: (T,) Part of each triangle.
        uv: (V, 2), zeros where there is no texture.
        openness: (V,) 0..1, how much of the surroundings the vertex sees.
        values: the shader's uniforms.
        textures: the shader's pictures.
        alpha: opaque; cutout, decided by the texture; blend, drawn last without depth.
        labelled: it owns the pixels that it covers.
        shadow: it casts one.
    """

    material: Material
    vertices: Floats
    normals: Floats
    triangles: NDArray[np.int32]
    labels: NDArray[np.uint8]
    uv: Floats | None = None
    openness: Floats | None = None
    values: Mapping[str, Any] = field(default_factory=lambda: MappingProxyType({}))
    textures: Mapping[str, Texture] = field(default_factory=lambda: MappingProxyType({}))
    alpha: Literal["opaque", "cutout", "blend"] = "opaque"
    labelled: bool = True
    shadow: bool = True


@dataclass(frozen=True, slots=True)
class View:
    """From where, and in which light.

    Attributes:
        pose: of the head.
        camera: the photo.
        crop: (2, 3) from photo pixels to crop pixels.
        lighting: the light.
        hat: hair above y = hat[0] + hat[1] z is not drawn (it lies under a hat).
    """

    pose: Pose
    camera: Camera
    crop: NDArray[np.float64]
    lighting: Lighting
    hat: tuple[float, float, float] = _NO_HAT


@dataclass(frozen=True, slots=True)
class Picture:
    """What was drawn, at the crop's size.

    Attributes:
        colour: (S, S, 3) float32 linear, multiplied by ``cover``.
        cover: (S, S) float32 0..1, what is not background.
        parts: (S, S) uint8 label map.
        depth: (S, S) float32 decimetres from the camera's plane, 0 where there is background.
    """

    colour: Floats
    cover: Floats
    parts: NDArray[np.uint8]
    depth: Floats


@cache
def _source(name: str) -> str:
    return (files("visagist.corpus.heads") / "shaders" / name).read_text(encoding="utf-8")


def open_context() -> moderngl.Context:
    """An OpenGL 3.3 context without a window: on a GPU where there is one, else on the CPU.

    Raises:
        DataError: there is no EGL, or it gives no context.
    """
    try:
        return moderngl.create_context(standalone=True, backend="egl", require=330)
    except Exception as error:  # noqa: BLE001 - the driver's errors have no common class
        raise DataError(
            f"cannot open OpenGL through EGL ({error}); on Debian: apt install libegl1 "
            "libgl1-mesa-dri (the latter draws on the CPU where there is no GPU)"
        ) from error


class _Slot:
    """Buffers of one position in the draw list, kept between pictures while they are large enough."""

    def __init__(self, ctx: moderngl.Context) -> None:
        self._ctx = ctx
        self._sizes = (0, 0)
        self._arrays: dict[int, moderngl.VertexArray] = {}

    def fill(self, vertices: bytes, triangles: bytes) -> None:
        if len(vertices) > self._sizes[0] or len(triangles) > self._sizes[1]:
            for array in self._arrays.values():
                array.release()
            self._arrays.clear()
            if self._sizes[0]:
                self._vertices.release()
                self._indices.release()
            self._sizes = (len(vertices) * 5 // 4, len(triangles) * 5 // 4)
            self._vertices = self._ctx.buffer(reserve=self._sizes[0], dynamic=True)
            self._indices = self._ctx.buffer(reserve=self._sizes[1], dynamic=True)
        else:
            self._vertices.orphan()
            self._indices.orphan()
        self._vertices.write(vertices)
        self._indices.write(triangles)

    def array(self, program: moderngl.Program) -> moderngl.VertexArray:
        if program.glo not in self._arrays:
            used = {"position": "3f", "normal": "3f", "uv": "2f", "open": "1f"}
            skip = {"3f": "12x", "2f": "8x", "1f": "4x"}
            names = [name for name in used if name in program]
            layout = " ".join(f if name in names else skip[f] for name, f in used.items())
            self._arrays[program.glo] = self._ctx.vertex_array(
                program, [(self._vertices, layout, *names)], index_buffer=self._indices
            )
        return self._arrays[program.glo]


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
        vertex = _source("surface.vert")
        common = _source("common.glsl")
        self._programs = {
            name: ctx.program(vertex, common + _source(f"{name}.frag"))
            for name in ("skin", "eye", "hair", "plain")
        }
        solid = f"{common}\n#define SOLID\n{_source('hair.frag')}"
        self._programs["hair solid"] = ctx.program(vertex, solid)
        self._shadow = ctx.program(vertex, _source("shadow.frag"))
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
        resolve = ctx.program(_source("resolve.vert"), _source("resolve.frag"))
        for name, value in {
            "colours": 0, "labels": 1, "depths": 2, "samples": samples, "range": (NEAR, FAR),
        }.items():  # fmt: skip
            _set(resolve, name, value)
        self._average = ctx.vertex_array(resolve, [])
        self._maps = {side: self._map(side) for side in (_KEY_SIDE, _SKY_SIDE)}
        self._blank = bytes(full * full)
        self._textures: dict[str, moderngl.Texture] = {}
        self._slots: list[_Slot] = []

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
        self._begin(view, key, sky)
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
            self._slots.append(_Slot(self.ctx))
        for slot, one in zip(self._slots, draws, strict=False):
            data = np.zeros((len(one.vertices), 9), np.float32)
            data[:, :3], data[:, 3:6] = one.vertices, one.normals
            if one.uv is not None:
                data[:, 6:8] = one.uv
            data[:, 8] = 1.0 if one.openness is None else one.openness
            slot.fill(data.tobytes(), np.ascontiguousarray(one.triangles, np.int32).tobytes())

    def _cast(self, side: int, matrix: Floats, draws: Sequence[Draw], view: View) -> None:
        """Draw a shadow map."""
        depth, target = self._maps[side]
        target.use()
        target.clear(depth=1.0)
        self.ctx.enable_only(moderngl.DEPTH_TEST)
        program = self._shadow
        _set(program, "clip", _columns(matrix))
        _place(program, view.pose)
        _set(program, "hat", view.hat)
        for slot, one in zip(self._slots, draws, strict=False):
            if one.shadow and one.alpha != "blend":
                cutout = one.alpha == "cutout"
                _set(program, "cutout", int(cutout))
                if cutout:
                    self.texture(one.textures["strands"]).use(0)
                    _set(program, "strands", 0)
                slot.array(program).render(vertices=one.triangles.size)

    def _begin(self, view: View, key: Floats, sky: Floats) -> None:
        """Clear the picture and tell every material about the view."""
        self._labels.write(self._blank)
        self._target.use()
        self._mask(True, False)
        self._target.clear(0.0, 0.0, 0.0, 0.0, depth=1.0)
        clip = view.camera.clip_matrix(view.crop, self.size, NEAR, FAR)
        light = view.lighting
        self._maps[_KEY_SIDE][0].use(0)
        self._maps[_SKY_SIDE][0].use(1)
        x, y = view.camera.shift
        for program in (*self._programs.values(), self._shadow):
            _place(program, view.pose)
            _set(program, "clip", _columns(clip))
            _set(program, "camera", (-x, -y, view.camera.distance))
            for name, lamp in (("key", light.key), ("fill", light.fill), ("rim", light.rim)):
                _set(program, f"{name}_direction", tuple(lamp.direction.tolist()))
                _set(program, f"{name}_colour", tuple(lamp.colour.tolist()))
            _set(program, "sh", [tuple(row) for row in light.harmonics.tolist()])
            _set(program, "key_clip", _columns(key))
            _set(program, "sky_clip", _columns(sky))
            _set(program, "key_map", 0)
            _set(program, "sky_map", 1)
            _set(program, "key_blur", light.softness / (2 * _KEY_RADIUS))
            _set(program, "sky_blur", 0.09)
            _set(program, "hat", view.hat)

    def _surfaces(self, draws: Sequence[Draw]) -> None:
        """Opaque and cut-out surfaces with depth, then soft edges and blended ones over them."""
        ctx = self.ctx
        numbered = list(enumerate(draws))
        ctx.enable_only(moderngl.DEPTH_TEST)
        self._mask(True, True)
        # Hair lies in many layers: its depth comes first, so that only the foremost is shaded, and
        # it hides skin before that is shaded. The mouth comes after the lips that hide it.
        self._mask(False, False)
        for number, one in numbered:
            if one.alpha == "cutout":
                self._depths(number, one)
        self._mask(True, True)
        for number, one in sorted(numbered, key=_turn):
            if one.alpha == "opaque":
                self._one(number, one)
        self._target.depth_mask = False
        ctx.depth_func = "=="
        for number, one in numbered:
            if one.alpha == "cutout":
                self._one(number, one, "hair solid")
        ctx.depth_func = "<="
        ctx.enable_only(moderngl.DEPTH_TEST | moderngl.BLEND)
        ctx.blend_func = (
            moderngl.SRC_ALPHA, moderngl.ONE_MINUS_SRC_ALPHA,
            moderngl.ONE, moderngl.ONE_MINUS_SRC_ALPHA,
        )  # fmt: skip
        self._mask(True, False)
        for number, one in numbered:
            if one.alpha == "cutout":
                self._one(number, one, cutoff=0.04, ceiling=0.5)
        for number, one in numbered:
            if one.alpha == "blend":
                if one.material == "hair":
                    self._one(number, one, cutoff=0.03, ceiling=2.0)
                else:
                    self._one(number, one)
        ctx.enable_only(moderngl.DEPTH_TEST)
        self._mask(False, True)
        for number, one in numbered:
            if one.alpha == "blend" and one.labelled:
                self._one(number, one, labels_only=1, cutoff=0.3, ceiling=2.0)
        self._target.depth_mask = True

    def _depths(self, number: int, one: Draw) -> None:
        """Only the depth of a cut-out surface."""
        program = self._shadow
        self.texture(one.textures["strands"]).use(2)
        _set(program, "strands", 2)
        _set(program, "cutout", 1)
        self._slots[number].array(program).render(vertices=one.triangles.size)

    def _one(self, number: int, one: Draw, material: str = "", **extra: float) -> None:
        program = self._programs[material or one.material]
        for unit, (name, texture) in enumerate(one.textures.items(), 2):
            self.texture(texture).use(unit)
            _set(program, name, unit)
        values = {"labels_only": 0, **one.values, **extra}
        for name, value in values.items():
            _set(program, name, value)
        if one.material in ("skin", "eye") or one.values.get("both_sides", 1) == 0:
            self.ctx.enable(moderngl.CULL_FACE)
        else:
            self.ctx.disable(moderngl.CULL_FACE)
        array = self._slots[number].array(program)
        for label in np.unique(one.labels).tolist():
            first = int(np.searchsorted(one.labels, label))
            count = int(np.searchsorted(one.labels, label, "right")) - first
            _set(program, "label", label)
            array.render(vertices=3 * count, first=3 * first)

    def _mask(self, colour: bool, label: bool) -> None:
        self._target.color_mask = ((colour,) * 4, (label,) * 4)

    def texture(self, texture: Texture) -> moderngl.Texture:
        """The picture on the GPU, uploaded once."""
        found = self._textures.get(texture.name)
        if found is None:
            array = np.ascontiguousarray(texture.make()[::-1])
            height, width = array.shape[:2]
            channels = 1 if array.ndim == 2 else array.shape[2]
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
        size = (self.size, self.size)
        colour = np.frombuffer(self._pixels.read(components=4, dtype="f4"), np.float32)
        colour = colour.reshape(*size, 4)[::-1]
        truth = np.frombuffer(self._pixels.read(components=2, attachment=1, dtype="f4"), np.float32)
        truth = truth.reshape(*size, 2)[::-1]
        return Picture(
            np.ascontiguousarray(colour[..., :3]),
            np.ascontiguousarray(colour[..., 3]),
            truth[..., 0].astype(np.uint8),
            np.ascontiguousarray(truth[..., 1]),
        )


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
    return Draw(
        one.material, one.vertices, one.normals, one.triangles[order], labels[order], one.uv,
        one.openness, one.values, one.textures, one.alpha, one.labelled, one.shadow,
    )  # fmt: skip


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


def _columns(matrix: Floats) -> tuple[float, ...]:
    return tuple(np.asarray(matrix, np.float32).T.ravel().tolist())


def _place(program: moderngl.Program, pose: Pose) -> None:
    head, body = pose.rotations()
    _set(program, "head", _columns(head))
    _set(program, "turn", _columns(head))
    _set(program, "body", _columns(body))
    _set(program, "pivot", tuple(PIVOT.tolist()))
    _set(program, "neck", (NECK_LOW, NECK_HIGH))


def _set(program: moderngl.Program, name: str, value: Any) -> None:
    """Set a uniform where the shader has it: compilers drop those that they need not."""
    found = program.get(name, None)
    if isinstance(found, moderngl.Uniform):
        found.value = value
