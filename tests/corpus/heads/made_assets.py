"""Makes a small assets folder out of the base mesh's own helpers: tests need no download."""

from __future__ import annotations

from pathlib import Path

import numpy as np
from PIL import Image

from visagist.corpus.heads.assets import base_mesh

SCALES = "x_scale 5399 11998 1.48\nz_scale 962 5320 1.9221\ny_scale 791 881 2.3298\n"
_SKINS = [
    f"{age}_{tone}skinned_{sex}_diffuse"
    for age in ("young", "middleage", "old")
    for tone in ("light", "dark")
    for sex in ("female", "male")
]


def make_assets(root: Path) -> Path:
    """One of each kind, with plain textures; hair, brows and lashes have a see-through border."""
    base = base_mesh()
    for name in ("short01", "long01"):
        _proxy(root / "hair" / name / name, base.triangles_of("helper-hair"))
        _picture(root / "hair" / name / f"{name}_diffuse.png", (70, 50, 30), alpha=True)
    vertices = base.vertices[base.mesh.triangles]
    brow = (np.abs(vertices[..., 1] - 7.45).max(1) < 0.08) & (vertices[..., 2].min(1) > 1.35)
    _proxy(
        root / "eyebrows/eyebrow001/eyebrow001",
        brow & base.triangles_of("body") & (np.abs(vertices[..., 0]).min(1) > 0.1),
        offset=(0.0, 0.0, 0.02),
    )
    _picture(root / "eyebrows/eyebrow001/eyebrow001.png", (40, 30, 20), alpha=True)
    lashes = [f"helper-{side}-eyelashes-{k}" for side in "lr" for k in (1, 2)]
    _proxy(root / "eyelashes/eyelashes01/eyelashes01", base.triangles_of(*lashes))
    _picture(root / "eyelashes/eyelashes01/eyelashes01.png", (10, 10, 10), alpha=True)
    teeth = base.triangles_of("helper-upper-teeth", "helper-lower-teeth")
    _proxy(root / "teeth/teeth_base/teeth_base", teeth)
    _picture(root / "teeth/teeth.png", (230, 225, 215))
    _proxy(root / "tongue/tongue01/tongue01", base.triangles_of("helper-tongue"))
    _picture(root / "tongue/tongue01/tongue01_diffuse.png", (190, 90, 90))
    _proxy(root / "eyes/high-poly", base.triangles_of("helper-l-eye", "helper-r-eye"))
    for iris, colour in (("brown_eye", (90, 60, 40)), ("blue_eye", (90, 120, 180))):
        _picture(root / "eyes" / f"{iris}.png", colour)
    for skin in _SKINS:
        shade = (110, 75, 60) if "dark" in skin else (215, 170, 150)
        _picture(root / "skins_512" / f"{skin}.png", shade, side=64)
    _picture(root / "skins_2048" / f"{_SKINS[0]}.png", (215, 170, 150), side=128)
    return root


def write_obj(path: Path, vertices: np.ndarray, uv: np.ndarray, faces: str) -> None:
    """An OBJ file; ``faces`` are its ``f`` and ``g`` lines."""
    path.parent.mkdir(parents=True, exist_ok=True)
    lines = [f"v {x:.5f} {y:.5f} {z:.5f}" for x, y, z in vertices]
    lines += [f"vt {u:.5f} {v:.5f}" for u, v in uv]
    path.write_text("\n".join([*lines, faces]) + "\n", encoding="utf-8")


def _proxy(
    stem: Path, triangles: np.ndarray, offset: tuple[float, float, float] | None = None
) -> None:
    """Some triangles of the base mesh as a mesh of its own that hangs on the same vertices."""
    base = base_mesh()
    used, corners = np.unique(base.mesh.triangles[triangles], return_inverse=True)
    corners = corners.reshape(-1, 3) + 1
    vertices = base.vertices[used]
    span = vertices.max(0) - vertices.min(0)
    uv = 0.05 + 0.7 * ((vertices - vertices.min(0)) / np.maximum(span, 1e-6))[:, :2]
    faces = "\n".join(f"f {a}/{a} {b}/{b} {c}/{c}" for a, b, c in corners)
    write_obj(stem.with_suffix(".obj"), vertices, uv, faces)
    rows = [f"{v}" for v in used]
    if offset is not None:
        rows = [f"{v} {v} {v} 0.5 0.25 0.25 {offset[0]} {offset[1]} {offset[2]}" for v in used]
    text = f"# made for a test\nname {stem.name}\n{SCALES}verts 0\n" + "\n".join(rows) + "\n"
    stem.with_suffix(".mhclo").write_text(text, encoding="utf-8")


def _picture(
    path: Path, colour: tuple[int, int, int], *, side: int = 32, alpha: bool = False
) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    pixels = np.empty((side, side, 4), np.uint8)
    pixels[..., :3], pixels[..., 3] = colour, 255
    if alpha:
        edge = side // 8
        pixels[:edge, :, 3] = pixels[-edge:, :, 3] = 0
    image = Image.fromarray(pixels)
    (image if alpha else image.convert("RGB")).save(path)
