"""Pictures and pieces of pictures made by the tests themselves."""

import io
import struct
import zlib

import numpy as np
from PIL import Image

# CIE xy of the primaries; D65 white; both profiles below are adapted to D50 as ICC wants.
P3 = ((0.680, 0.320), (0.265, 0.690), (0.150, 0.060))
SRGB = ((0.64, 0.33), (0.30, 0.60), (0.15, 0.06))
GPS_SECRET = b"WGS-84 SECRET PLACE"


def picture(height=24, width=32, channels=3, seed=0):
    """Smooth colours with some noise, uint8."""
    y, x = np.mgrid[0:height, 0:width]
    base = np.stack([x * 255 / width, y * 255 / height, 255 - x * 255 / width, y * 0 + 128], -1)
    noise = np.random.default_rng(seed).integers(-20, 20, base.shape)
    return np.clip(base + noise, 0, 255).astype(np.uint8)[..., :channels].squeeze()


def encoded(array_or_image, pillow_format, **options):
    image = array_or_image
    if isinstance(image, np.ndarray):
        image = Image.fromarray(np.ascontiguousarray(image))
    out = io.BytesIO()
    image.save(out, pillow_format, **options)
    return out.getvalue()


def reopened(data):
    image = Image.open(io.BytesIO(data))
    image.load()
    return image


def exif_block(orientation=6, *, gps=True, thumbnail=None, order="<"):
    """A block as a camera lays it out: IFD0, GPS directory, its values, thumbnail IFD."""
    entries = [(0x010F, 2, 8, "make"), (0x0112, 3, 1, orientation)]
    if gps:
        entries.append((0x8825, 4, 1, "gps"))
    first = 8
    after = first + 2 + 12 * len(entries) + 4
    make_at, gps_at = after, after + 8
    gps_entries = 2
    datum_at = gps_at + 2 + 12 * gps_entries + 4
    second_at = datum_at + len(GPS_SECRET) + 1
    thumb_at = second_at + 2 + 24 + 4

    out = b"II*\0" if order == "<" else b"MM\0*"
    out += struct.pack(order + "I", first) + struct.pack(order + "H", len(entries))
    for tag, kind, count, value in entries:
        out += struct.pack(order + "HHI", tag, kind, count)
        if value == "make":
            out += struct.pack(order + "I", make_at)
        elif value == "gps":
            out += struct.pack(order + "I", gps_at)
        else:
            out += struct.pack(order + "HH", value, 0)
    out += struct.pack(order + "I", second_at if thumbnail else 0) + b"Testcam\0"
    out += struct.pack(order + "H", gps_entries)
    out += struct.pack(order + "HHI", 1, 2, 2) + b"N\0\0\0"
    out += struct.pack(order + "HHII", 18, 2, len(GPS_SECRET) + 1, datum_at)
    out += struct.pack(order + "I", 0) + GPS_SECRET + b"\0"
    if thumbnail:
        out += struct.pack(order + "H", 2)
        out += struct.pack(order + "HHII", 0x0201, 4, 1, thumb_at)
        out += struct.pack(order + "HHII", 0x0202, 4, 1, len(thumbnail))
        out += struct.pack(order + "I", 0) + thumbnail
    return out


def rgb_profile(primaries=P3, gamma=2.2):
    """A minimal ICC version 2 matrix profile (ICC.1:2001-04), without outside files."""
    columns = np.array([(x / y, 1.0, (1 - x - y) / y) for x, y in primaries]).T
    d65 = np.array([0.3127 / 0.3290, 1.0, (1 - 0.3127 - 0.3290) / 0.3290])
    d50 = np.array([0.9642, 1.0, 0.8249])
    bradford = np.array(
        [[0.8951, 0.2664, -0.1614], [-0.7502, 1.7135, 0.0367], [0.0389, -0.0685, 1.0296]]
    )
    adapt = np.linalg.inv(bradford) @ np.diag((bradford @ d50) / (bradford @ d65)) @ bradford
    matrix = adapt @ (columns * np.linalg.solve(columns, d65))

    def xyz(v):
        return b"XYZ \0\0\0\0" + b"".join(struct.pack(">i", round(c * 65536)) for c in v)

    if gamma == "srgb":
        level = np.linspace(0, 1, 1024)
        curve = np.where(level <= 0.04045, level / 12.92, ((level + 0.055) / 1.055) ** 2.4)
        table = np.rint(curve * 65535).astype(">u2").tobytes()
        curve = b"curv\0\0\0\0" + struct.pack(">I", 1024) + table
    else:
        curve = b"curv\0\0\0\0" + struct.pack(">IH", 1, round(gamma * 256)) + b"\0\0"
    text = b"desc\0\0\0\0" + struct.pack(">I", 5) + b"test\0" + bytes(79)
    parts = {
        b"desc": text + bytes(-len(text) % 4),
        b"cprt": b"text\0\0\0\0CC0\0",
        b"wtpt": xyz(d50),
        b"rXYZ": xyz(matrix[:, 0]),
        b"gXYZ": xyz(matrix[:, 1]),
        b"bXYZ": xyz(matrix[:, 2]),
        b"rTRC": curve,
        b"gTRC": curve,
        b"bTRC": curve,
    }
    return _profile(b"RGB ", parts)


def grey_profile(gamma=1.0):
    curve = b"curv\0\0\0\0" + struct.pack(">IH", 1, round(gamma * 256)) + b"\0\0"
    white = b"XYZ \0\0\0\0" + struct.pack(">iii", 63190, 65536, 54061)
    return _profile(b"GRAY", {b"cprt": b"text\0\0\0\0CC0\0", b"wtpt": white, b"kTRC": curve})


def _profile(space, parts):
    table, blob = b"", b""
    base = 128 + 4 + 12 * len(parts)
    for name, content in parts.items():
        table += name + struct.pack(">II", base + len(blob), len(content))
        blob += content
    size = base + len(blob)
    head = struct.pack(">I4sI4s4s4s", size, b"test", 0x02100000, b"mntr", space, b"XYZ ")
    head += struct.pack(">6H", 2024, 1, 1, 0, 0, 0) + b"acsp" + bytes(28)
    head += struct.pack(">iii", 63190, 65536, 54061) + bytes(128 - 80)
    return head + struct.pack(">I", len(parts)) + table + blob


def png(width, height, depth, colour, rows, *extra):
    """A PNG written chunk by chunk, for what Pillow cannot write."""
    ihdr = struct.pack(">IIBBBBB", width, height, depth, colour, 0, 0, 0)
    chunks = [(b"IHDR", ihdr), *extra, (b"IDAT", zlib.compress(rows)), (b"IEND", b"")]
    return b"\x89PNG\r\n\x1a\n" + b"".join(chunk(name, content) for name, content in chunks)


def chunk(name, content):
    crc = struct.pack(">I", zlib.crc32(name + content))
    return struct.pack(">I", len(content)) + name + content + crc


def tiff(tags, tail=b""):
    """A little-endian TIFF with these (tag, type, count, value) entries and nothing else."""
    out = b"II*\0" + struct.pack("<IH", 8, len(tags))
    for tag, kind, count, value in sorted(tags):
        out += struct.pack("<HHII", tag, kind, count, value)
    return out + struct.pack("<I", 0) + tail


def every_format():
    """Small valid files of every format and of the modes worth mutating, by name."""
    rgb, rgba = picture(), picture(channels=4)
    image = Image.fromarray(rgb)
    block = b"Exif\0\0" + exif_block()
    icc = rgb_profile()
    return {
        "jpeg": encoded(rgb, "JPEG", exif=block, icc_profile=icc),
        "jpeg progressive": encoded(rgb, "JPEG", progressive=True),
        "jpeg cmyk": encoded(image.convert("CMYK"), "JPEG"),
        "jpeg grey": encoded(image.convert("L"), "JPEG"),
        "png": encoded(rgb, "PNG", exif=block, icc_profile=icc),
        "png rgba": encoded(rgba, "PNG"),
        "png palette": encoded(image.convert("P"), "PNG", transparency=3),
        "png 16": encoded(rgb[..., 0].astype(np.uint16) * 257, "PNG"),
        "png 1": encoded(image.convert("1"), "PNG"),
        "webp": encoded(rgb, "WEBP", exif=block, icc_profile=icc),
        "webp rgba": encoded(rgba, "WEBP", lossless=True),
        "avif": encoded(rgb, "AVIF", exif=block, icc_profile=icc),
        "tiff": encoded(rgb, "TIFF", icc_profile=icc),
        "tiff lzw": encoded(rgb, "TIFF", compression="tiff_lzw"),
        "tiff deflate": encoded(rgba, "TIFF", compression="tiff_adobe_deflate"),
        "tiff cmyk": encoded(image.convert("CMYK"), "TIFF"),
        "bmp": encoded(rgb, "BMP"),
        "bmp palette": encoded(image.convert("P"), "BMP"),
    }
