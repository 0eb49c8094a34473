"""The few things of OpenGL that the renderer needs around its pictures."""

from __future__ import annotations

from functools import cache
from importlib.resources import files
from typing import Any

import moderngl
import numpy as np
from numpy.typing import NDArray

from visagist.errors import DataError


@cache
def shader(name: str) -> str:
    """The text of a shader file."""
    return (files("visagist.corpus.heads") / "shaders" / name).read_text(encoding="utf-8")


def open_context() -> moderngl.Context:
    """An OpenGL 3.3 context without a window: on a GPU where there is one, else on the CPU.

    Raises:
        DataError: there is no EGL, or it gives no context.
    """
    backend: Any = {"backend": "egl"}  # moderngl's hints know no settings of a backend
    try:
        return moderngl.create_context(standalone=True, require=330, **backend)
    except Exception as error:
        raise DataError(
            f"cannot open OpenGL through EGL ({error}); on Debian: apt install libegl1 "
            "libgl1-mesa-dri (the latter draws on the CPU where there is no GPU)"
        ) from error


class Slot:
    """Buffers of one position in the draw list, kept while they are large enough."""

    def __init__(self, ctx: moderngl.Context) -> None:
        self._ctx = ctx
        self._sizes = (0, 0)
        self._buffers: tuple[moderngl.Buffer, ...] = ()
        self._arrays: dict[int, moderngl.VertexArray] = {}

    def fill(self, vertices: bytes, triangles: bytes) -> None:
        """Upload interleaved vertices and triangles."""
        if len(vertices) > self._sizes[0] or len(triangles) > self._sizes[1]:
            for array in self._arrays.values():
                array.release()
            self._arrays.clear()
            for buffer in self._buffers:
                buffer.release()
            self._sizes = (len(vertices) * 5 // 4, len(triangles) * 5 // 4)
            self._buffers = tuple(self._ctx.buffer(reserve=n, dynamic=True) for n in self._sizes)
        for buffer, data in zip(self._buffers, (vertices, triangles), strict=True):
            buffer.orphan()
            buffer.write(data)

    def array(self, program: moderngl.Program) -> moderngl.VertexArray:
        """The buffers as a program's inputs; what it has no use for is skipped."""
        if program.glo not in self._arrays:
            used = {"position": "3f", "normal": "3f", "uv": "2f", "open": "1f"}
            skip = {"3f": "12x", "2f": "8x", "1f": "4x"}
            names = [name for name in used if name in program]
            layout = " ".join(f if name in names else skip[f] for name, f in used.items())
            self._arrays[program.glo] = self._ctx.vertex_array(
                program, [(self._buffers[0], layout, *names)], index_buffer=self._buffers[1]
            )
        return self._arrays[program.glo]


def columns(matrix: NDArray[np.float32]) -> tuple[float, ...]:
    """A matrix in OpenGL's order, column by column."""
    return tuple(np.asarray(matrix, np.float32).T.ravel().tolist())


def set_uniform(program: moderngl.Program, name: str, value: object) -> None:
    """Set a uniform where the shader has it: compilers drop those that they need not."""
    found = program.get(name, None)
    if isinstance(found, moderngl.Uniform):
        found.value = value
