"""Decoding hostile and odd files."""

from __future__ import annotations

import io
import struct
import zlib

import numpy as np
import pytest
from PIL import Image
from PIL.PngImagePlugin import PngInfo

from evaluator.data.decode import LIMITS, Limits, decode
from evaluator.data.encode import decode_own, encode
from evaluator.data.fingerprints import content_hash
from protocols.errors import DataError
from tests.evaluator.data.images import Pixels, chunks_of, file_of, picture, png_with_size

PICTURE = picture(0)


def code_of(data: bytes, limits: Limits = LIMITS) -> str:
    with pytest.raises(DataError) as caught:
        decode(data, limits)
    return caught.value.code


@pytest.mark.parametrize(
    ("format", "options"),
    [
        ("PNG", {}),
        ("BMP", {}),
        ("TIFF", {"compression": "tiff_lzw"}),
        ("WEBP", {"lossless": True}),
    ],
)
def test_lossless_formats_give_the_same_pixels(format: str, options: dict[str, object]) -> None:
    decoded = decode(file_of(PICTURE, format, **options))
    np.testing.assert_array_equal(decoded.pixels, PICTURE)
    assert decoded.source_format == format
    assert decoded.content_hash == content_hash(PICTURE)
    assert decoded.jpeg_quality is None


def test_pixels_are_plain_rgb() -> None:
    decoded = decode(file_of(Image.fromarray(PICTURE).convert("L"), "GIF"))
    assert decoded.pixels.shape == PICTURE.shape
    assert decoded.pixels.dtype == np.uint8
    assert decoded.pixels.flags.writeable
    assert decoded.source_format == "GIF"


@pytest.mark.parametrize("quality", [1, 10, 49, 50, 51, 75, 90, 95, 99, 100])
def test_the_quality_of_a_jpeg_is_read_from_its_tables(quality: int) -> None:
    data = file_of(PICTURE, "JPEG", quality=quality)
    decoded = decode(data)
    assert decoded.jpeg_quality == quality
    assert decoded.source_bytes == len(data)


def test_tables_of_another_encoder_get_a_similar_quality() -> None:
    with Image.open(io.BytesIO(file_of(PICTURE, "JPEG", quality=50))) as image:
        table = [max(1, round(value * 0.21)) for value in image.quantization[0]]  # type: ignore[attr-defined]
    decoded = decode(file_of(PICTURE, "JPEG", qtables=[table]))
    assert decoded.jpeg_quality in range(87, 92)


@pytest.mark.parametrize(
    ("name", "data"),
    [
        ("empty", b""),
        ("text", b"hello"),
        ("html", b"<!DOCTYPE html><html><body>404</body></html>"),
        ("svg", b'<svg xmlns="http://www.w3.org/2000/svg" width="64" height="64"/>'),
        ("signature alone", b"\x89PNG\r\n\x1a\n"),
        ("truncated png", file_of(PICTURE)[:-200]),
        ("truncated jpeg", file_of(PICTURE, "JPEG")[:-200]),
        ("truncated webp", file_of(PICTURE, "WEBP")[:-200]),
        ("truncated gif", file_of(PICTURE, "GIF")[:-200]),
        ("truncated bmp", file_of(PICTURE, "BMP")[:-200]),
        ("flipped bytes", bytes(b ^ (0xFF if 60 < i < 90 else 0) for i, b in enumerate(file_of(PICTURE)))),
        ("a format off the list", file_of(PICTURE, "PPM")),
        ("float samples", file_of(Image.new("F", (64, 64)), "TIFF")),
    ],
)
def test_what_is_no_image_is_broken(name: str, data: bytes) -> None:
    assert code_of(data) == "image_broken"


def test_a_bomb_is_refused_by_its_header() -> None:
    assert code_of(png_with_size(30_000, 30_000)) == "image_too_large"
    assert code_of(png_with_size(8_001, 8_000)) == "image_too_large"
    assert code_of(png_with_size(10_000, 10_000)) == "image_too_large"


def test_a_file_larger_than_the_limit_is_refused_unread() -> None:
    data = file_of(PICTURE, "BMP")
    assert code_of(data, Limits(max_bytes=len(data) - 1)) == "image_too_large"
    decode(data, Limits(max_bytes=len(data)))


def test_a_text_bomb_in_a_png_is_refused() -> None:
    data = file_of(PICTURE)
    text = b"Comment\0\0" + zlib.compress(bytes(80_000_000), 9)
    chunk = struct.pack(">I", len(text)) + b"zTXt" + text
    chunk += struct.pack(">I", zlib.crc32(b"zTXt" + text))
    assert code_of(data[:33] + chunk + data[33:]) == "image_broken"


def test_a_thin_image_is_too_small() -> None:
    assert code_of(file_of(picture(0, 31, 400))) == "image_too_small"
    assert code_of(file_of(picture(0, 400, 31))) == "image_too_small"
    decode(file_of(picture(0, 32, 32)))


@pytest.mark.parametrize("format", ["GIF", "WEBP", "PNG", "TIFF"])
def test_more_than_one_frame_is_animated(format: str) -> None:
    frames = [Image.fromarray(picture(seed)) for seed in range(3)]
    assert code_of(file_of(frames[0], format, save_all=True, append_images=frames[1:])) == "image_animated"


def test_the_first_frame_of_a_phone_s_photograph_is_the_image() -> None:
    frames = [Image.fromarray(picture(seed)) for seed in range(2)]
    data = file_of(frames[0], "MPO", save_all=True, append_images=frames[1:], quality=95)
    decoded = decode(data)
    assert decoded.source_format == "JPEG"
    assert decoded.jpeg_quality == 95
    np.testing.assert_array_equal(decoded.pixels, decode(file_of(frames[0], "JPEG", quality=95)).pixels)


@pytest.mark.parametrize("format", ["JPEG", "PNG", "WEBP", "TIFF"])
@pytest.mark.parametrize("orientation", range(1, 9))
def test_the_orientation_is_applied(format: str, orientation: int) -> None:
    exif = Image.Exif()
    exif[0x0112] = orientation
    options = {"JPEG": {"quality": 100, "subsampling": 0}, "WEBP": {"lossless": True}}.get(format, {})
    pixels = decode(file_of(PICTURE, format, exif=exif, **options)).pixels
    expected = _oriented(PICTURE, orientation)
    assert pixels.shape == expected.shape
    assert np.abs(pixels.astype(int) - expected).mean() < 3


def _oriented(pixels: Pixels, orientation: int) -> Pixels:
    """What the EXIF standard says of the eight values, in NumPy's words."""
    if orientation in (5, 6, 7, 8):
        pixels = pixels.transpose(1, 0, 2)
    flips = {1: (), 2: (1,), 3: (0, 1), 4: (0,), 5: (), 6: (1,), 7: (0, 1), 8: (0,)}[orientation]
    return np.flip(pixels, flips) if flips else pixels


@pytest.mark.parametrize("format", ["JPEG", "PNG", "WEBP"])
def test_broken_exif_does_not_cost_the_image(format: str) -> None:
    data = file_of(PICTURE, format, exif=b"Exif\0\0XX*\0\x08\0\0\0\0\0")
    assert decode(data).pixels.shape == PICTURE.shape


def test_transparency_is_laid_on_white() -> None:
    alpha = np.full(PICTURE.shape[:2], 255, np.uint8)
    alpha[:24] = 0
    image = Image.fromarray(np.dstack([PICTURE, alpha]))
    pixels = decode(file_of(image)).pixels
    assert (pixels[:24] == 255).all()
    np.testing.assert_array_equal(pixels[24:], PICTURE[24:])


def test_half_transparent_is_half_white() -> None:
    black = np.zeros((40, 40, 4), np.uint8)
    black[..., 3] = 51
    np.testing.assert_array_equal(decode(file_of(Image.fromarray(black))).pixels, np.full((40, 40, 3), 204))


def test_a_transparent_entry_of_a_palette_is_white() -> None:
    image = Image.fromarray(PICTURE).quantize(8)
    entry = image.getpixel((0, 0))
    assert isinstance(entry, int)
    pixels = decode(file_of(image, "PNG", transparency=entry)).pixels
    mask = np.asarray(image) == entry
    assert (pixels[mask] == 255).all()
    np.testing.assert_array_equal(pixels[~mask], np.asarray(image.convert("RGB"))[~mask])


def test_grey_with_alpha_is_laid_on_white() -> None:
    image = Image.new("LA", (40, 40), (0, 51))
    assert (decode(file_of(image)).pixels == 204).all()


def test_sixteen_bits_keep_their_upper_byte() -> None:
    ramp = (np.arange(64 * 64, dtype=np.uint16) * 16).reshape(64, 64)
    for format in ("PNG", "TIFF"):
        pixels = decode(file_of(Image.fromarray(ramp), format)).pixels
        np.testing.assert_array_equal(pixels, np.repeat((ramp >> 8)[..., None], 3, axis=2))


def test_cmyk_becomes_rgb() -> None:
    image = Image.new("CMYK", (64, 64), (0, 255, 255, 0))
    red = decode(file_of(image, "JPEG", quality=100)).pixels
    assert np.abs(red.reshape(-1, 3).mean(axis=0) - (255, 0, 0)).max() < 3


def test_the_content_hash_is_of_size_and_pixels_alone() -> None:
    plain = decode(file_of(PICTURE))
    info = PngInfo()
    info.add_text("Software", "somebody's camera")
    commented = decode(file_of(PICTURE, pnginfo=info, dpi=(300, 300), icc_profile=b"profile"))
    assert commented.content_hash == plain.content_hash
    assert decode(file_of(PICTURE.reshape(64, 48, 3))).content_hash != plain.content_hash
    changed = PICTURE.copy()
    changed[0, 0, 0] ^= 1
    assert decode(file_of(changed)).content_hash != plain.content_hash


@pytest.mark.parametrize(
    "pixels", [PICTURE, np.zeros((40, 40, 3), np.uint8), np.repeat(PICTURE[..., :1], 3, 2)]
)
def test_the_encoder_is_lossless_and_says_nothing_else(pixels: Pixels) -> None:
    data = encode(pixels)
    np.testing.assert_array_equal(decode_own(data), pixels)
    np.testing.assert_array_equal(np.asarray(Image.open(io.BytesIO(data))), pixels)
    assert set(chunks_of(data)) == {b"IHDR", b"IDAT", b"IEND"}
    # 8 bits, RGB, not interlaced: grey and flat images too.
    assert data[24:29] == bytes([8, 2, 0, 0, 0])
