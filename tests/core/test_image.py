"""Photos of all kinds to pixels; and the camera's path to the very same pixels."""

from __future__ import annotations

import io
import struct
import warnings
import zlib
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from PIL import Image

from edgecnn.core.errors import InputError
from edgecnn.core.image import Preprocessing, as_photo, decode, load, prepare

SMALL = Preprocessing(height=8, width=8)


@st.composite
def _ways(draw: st.DrawFn) -> Preprocessing:
    return Preprocessing(
        height=draw(st.integers(1, 70)),
        width=draw(st.integers(1, 70)),
        channels=draw(st.sampled_from([1, 3])),
        resize=draw(st.sampled_from(["cover", "squash", "letterbox"])),
        filter=draw(st.sampled_from(["bilinear", "bicubic"])),
        crop=draw(st.one_of(st.sampled_from([1.0, 0.875]), st.floats(0.01, 1.0))),
    )


@settings(deadline=None, max_examples=300)
@given(
    how=_ways(),
    height=st.integers(1, 120),
    width=st.integers(1, 120),
    seed=st.integers(0, 1000),
    harsh=st.booleans(),
)
def test_a_camera_frame_and_a_photo_give_the_same_bits(
    how: Preprocessing, height: int, width: int, seed: int, harsh: bool
) -> None:
    shape = (height, width, how.channels)
    frame = np.random.default_rng(seed).integers(0, 256, shape, dtype=np.uint8)
    if harsh:  # bicubic overshoots at such edges, so the clipping is tried too
        frame = np.where(frame > 127, 255, 0).astype(np.uint8)
    by_pillow = prepare(as_photo(frame, channels=how.channels), how)
    assert by_pillow.shape == how.shape
    assert by_pillow.dtype == np.uint8
    np.testing.assert_array_equal(prepare(frame, how), by_pillow)


@pytest.mark.parametrize("filter_name", ["bilinear", "bicubic"])
def test_both_paths_agree_on_a_real_photo(shared: Path, filter_name: str) -> None:
    how = Preprocessing(height=96, width=96, filter=filter_name, crop=0.875)  # type: ignore[arg-type]
    photo = decode(shared / "models" / "cat.jpg")
    np.testing.assert_array_equal(prepare(np.asarray(photo), how), prepare(photo, how))


def test_the_result_is_within_two_of_pillows_own_resize(shared: Path) -> None:
    photo = decode(shared / "models" / "cat.jpg")
    how = Preprocessing(height=96, width=64, resize="squash")
    own = np.asarray(photo.resize((64, 96), Image.Resampling.BILINEAR), int)
    assert np.abs(prepare(photo, how) - own).max() <= 2


def test_a_grey_frame_becomes_rgb_and_a_colour_frame_grey_as_pillow_does() -> None:
    frame = np.random.default_rng(0).integers(0, 256, (8, 8, 3), dtype=np.uint8)
    grey = prepare(frame, Preprocessing(height=8, width=8, channels=1))
    np.testing.assert_array_equal(grey[:, :, 0], np.asarray(Image.fromarray(frame).convert("L")))
    colour = prepare(frame[:, :, 0], SMALL)
    np.testing.assert_array_equal(colour, np.repeat(frame[:, :, :1], 3, axis=2))


def test_cover_keeps_the_centre() -> None:
    frame = np.zeros((10, 30, 3), np.uint8)
    frame[:, 10:20] = 200
    assert (prepare(frame, Preprocessing(height=10, width=10)) == 200).all()


def test_a_crop_keeps_the_central_share() -> None:
    frame = np.zeros((20, 20, 3), np.uint8)
    frame[5:15, 5:15] = 200
    assert (prepare(frame, Preprocessing(height=10, width=10, crop=0.5)) == 200).all()


def test_squash_keeps_everything() -> None:
    frame = np.zeros((10, 20, 3), np.uint8)
    frame[:, :10] = 200
    pixels = prepare(frame, Preprocessing(height=10, width=10, resize="squash"))
    assert (pixels[:, :4] == 200).all()
    assert (pixels[:, 6:] == 0).all()


def test_letterbox_pads_with_mid_grey() -> None:
    frame = np.full((10, 20, 3), 200, np.uint8)
    pixels = prepare(frame, Preprocessing(height=20, width=20, resize="letterbox"))
    assert (pixels[5:15] == 200).all()
    assert (pixels[:5] == 127).all()
    assert (pixels[15:] == 127).all()


@pytest.mark.parametrize(
    "array",
    [
        np.zeros((4, 4, 3), np.float32),
        np.zeros((4, 4, 4), np.uint8),
        np.zeros((0, 4, 3), np.uint8),
        np.zeros((1, 4, 4, 3), np.uint8),
    ],
)
def test_an_array_of_another_kind_is_refused(array: np.ndarray) -> None:
    with pytest.raises(InputError, match=r"pass \[height, width, 3\] uint8 RGB"):
        prepare(array, SMALL)


@pytest.mark.parametrize(
    "wrong",
    [{"height": 0}, {"width": 5000}, {"channels": 4}, {"crop": 0.0}, {"crop": 1.5}],
)
def test_impossible_preprocessing_is_refused(wrong: dict[str, float]) -> None:
    with pytest.raises(ValueError, match=r"is not within|are known"):
        Preprocessing(**{"height": 8, "width": 8, **wrong})  # type: ignore[arg-type]


# --- files ---


def _saved(tmp_path: Path, image: Image.Image, name: str, **options: object) -> Path:
    path = tmp_path / name
    image.save(path, **options)  # type: ignore[arg-type]
    return path


@pytest.mark.parametrize(
    ("name", "tolerance"), [("a.png", 0), ("a.bmp", 0), ("a.jpg", 6), ("a.webp", 12), ("a.gif", 40)]
)
def test_each_format_gives_the_colours_that_were_saved(
    tmp_path: Path, name: str, tolerance: int
) -> None:
    frame = np.full((16, 16, 3), (200, 100, 50), np.uint8)
    path = _saved(tmp_path, Image.fromarray(frame), name)
    assert np.abs(load(path, SMALL).astype(int) - (200, 100, 50)).max() <= tolerance


@pytest.mark.parametrize("orientation", range(1, 9))
def test_exif_orientation_is_honoured(tmp_path: Path, orientation: int) -> None:
    upright = np.zeros((16, 8, 3), np.uint8)
    upright[:8, :4] = 255
    turns = {
        1: [],
        2: [Image.Transpose.FLIP_LEFT_RIGHT],
        3: [Image.Transpose.ROTATE_180],
        4: [Image.Transpose.FLIP_TOP_BOTTOM],
        5: [Image.Transpose.TRANSPOSE],
        6: [Image.Transpose.ROTATE_90],  # the camera was turned; 6 says: turn back clockwise
        7: [Image.Transpose.TRANSVERSE],
        8: [Image.Transpose.ROTATE_270],
    }
    stored = Image.fromarray(upright)
    for turn in turns[orientation]:
        stored = stored.transpose(turn)
    exif = Image.Exif()
    exif[0x0112] = orientation
    path = _saved(tmp_path, stored, "a.png", exif=exif)
    np.testing.assert_array_equal(np.asarray(decode(path)), upright)


def test_damaged_exif_data_does_not_lose_the_photo(tmp_path: Path) -> None:
    path = _saved(tmp_path, Image.new("RGB", (8, 8), "red"), "a.jpg", exif=b"Exif\0\0MM\0*\xff\xff")
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # pillow says so, too
        assert load(path, SMALL)[0, 0, 0] > 240


def test_what_is_transparent_shows_white(tmp_path: Path) -> None:
    see_through = Image.new("RGBA", (8, 8), (255, 0, 0, 0))
    assert (load(_saved(tmp_path, see_through, "a.png"), SMALL) == 255).all()
    half = Image.new("LA", (8, 8), (0, 128))
    assert abs(int(load(_saved(tmp_path, half, "b.png"), SMALL)[0, 0, 0]) - 127) <= 1


def test_a_palette_with_a_transparent_colour_is_laid_over_white(tmp_path: Path) -> None:
    image = Image.new("P", (8, 8), 0)
    image.putpalette([0, 0, 255, 0, 255, 0])
    image.paste(1, (0, 0, 4, 8))
    pixels = load(_saved(tmp_path, image, "a.png", transparency=0), SMALL)
    assert tuple(pixels[0, 0]) == (0, 255, 0)
    assert tuple(pixels[0, 7]) == (255, 255, 255)


def test_cmyk_becomes_rgb(tmp_path: Path) -> None:
    path = _saved(tmp_path, Image.new("CMYK", (8, 8), (0, 255, 255, 0)), "a.jpg")
    red, green, blue = load(path, SMALL)[4, 4].astype(int)
    assert red > 240
    assert green < 15
    assert blue < 15


@pytest.mark.parametrize(("value", "expected"), [(0, 0), (32768, 128), (65535, 255)])
def test_16_bit_grey_is_scaled_not_clipped(tmp_path: Path, value: int, expected: int) -> None:
    path = _saved(tmp_path, Image.fromarray(np.full((8, 8), value, np.uint16)), "a.png")
    assert (load(path, SMALL) == expected).all()


def test_16_bit_colour_is_scaled(tmp_path: Path) -> None:
    row = b"\0" + struct.pack(">3H", 65535, 32768, 0) * 8
    path = tmp_path / "a.png"
    path.write_bytes(_png(8, 8, bit_depth=16, colour=2, rows=row * 8))
    assert np.abs(load(path, SMALL)[0, 0].astype(int) - (255, 128, 0)).max() <= 1


def test_black_and_white_becomes_0_and_255(tmp_path: Path) -> None:
    path = _saved(tmp_path, Image.new("1", (8, 8), 1), "a.png")
    assert (load(path, SMALL) == 255).all()


def test_the_content_decides_the_format_not_the_name(tmp_path: Path) -> None:
    Image.new("RGB", (8, 8), (10, 200, 30)).save(tmp_path / "a.jpg", format="PNG")
    assert tuple(load(tmp_path / "a.jpg", SMALL)[0, 0]) == (10, 200, 30)


def test_of_an_animation_the_first_frame_counts(tmp_path: Path) -> None:
    frames = [Image.new("RGB", (8, 8), colour) for colour in ("red", "blue")]
    frames[0].save(tmp_path / "a.gif", save_all=True, append_images=frames[1:])
    assert tuple(load(tmp_path / "a.gif", SMALL)[0, 0]) == (255, 0, 0)


@pytest.mark.parametrize(
    ("content", "what"),
    [
        (b"", "no photo of a known format"),
        (b"this is a text", "no photo of a known format"),
        (b"\xff\xd8\xff\xe0 a beginning only", "photo"),
        (b"%!PS-Adobe-3.0 EPSF-3.0\n%%BoundingBox: 0 0 9 9\n", "no photo of a known format"),
    ],
)
def test_what_is_no_photo_is_refused(tmp_path: Path, content: bytes, what: str) -> None:
    path = tmp_path / "a.jpg"
    path.write_bytes(content)
    with pytest.raises(InputError, match=what):
        load(path, SMALL)


def test_a_missing_photo_is_refused(tmp_path: Path) -> None:
    with pytest.raises(InputError, match="unreadable photo"):
        load(tmp_path / "none.jpg", SMALL)


@pytest.mark.parametrize("name", ["a.jpg", "a.png", "a.webp", "a.bmp"])
def test_a_truncated_photo_is_refused(tmp_path: Path, name: str) -> None:
    noise = np.random.default_rng(0).integers(0, 256, (64, 64, 3), dtype=np.uint8)
    path = _saved(tmp_path, Image.fromarray(noise), name)
    path.write_bytes(path.read_bytes()[: path.stat().st_size // 2])
    with pytest.raises(InputError):
        load(path, SMALL)


@pytest.mark.parametrize("side", [14_000, 20_000, 2**31 - 1])
def test_a_decompression_bomb_is_refused_before_it_is_decoded(tmp_path: Path, side: int) -> None:
    path = tmp_path / "bomb.png"
    path.write_bytes(_png(side, side, bit_depth=8, colour=2, rows=b""))
    with pytest.raises(InputError, match="a photo of more than 178 megapixels"):
        load(path, SMALL)


def test_our_limit_holds_where_a_program_lifted_pillows(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(Image, "MAX_IMAGE_PIXELS", None)
    path = tmp_path / "bomb.png"
    path.write_bytes(_png(20_000, 20_000, bit_depth=8, colour=2, rows=b""))
    with pytest.raises(InputError, match="a photo of more than 178 megapixels"):
        load(path, SMALL)


@settings(deadline=None, max_examples=150)
@given(
    place=st.floats(0, 1),
    value=st.integers(0, 255),
    name=st.sampled_from(["png", "jpeg", "gif", "webp", "bmp"]),
)
def test_a_damaged_byte_gives_pixels_or_one_clear_error(
    tmp_path_factory: pytest.TempPathFactory, place: float, value: int, name: str
) -> None:
    buffer = io.BytesIO()
    noise = np.random.default_rng(0).integers(0, 256, (24, 24, 3), dtype=np.uint8)
    Image.fromarray(noise).save(buffer, name)
    data = bytearray(buffer.getvalue())
    data[int(place * (len(data) - 1))] = value
    path = tmp_path_factory.getbasetemp() / "damaged"
    path.write_bytes(data)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # of odd headers pillow warns and goes on
        try:
            pixels = load(path, SMALL)
        except InputError:
            return
    assert pixels.shape == (8, 8, 3)


def _png(width: int, height: int, *, bit_depth: int, colour: int, rows: bytes) -> bytes:
    def chunk(kind: bytes, body: bytes) -> bytes:
        checksum = struct.pack(">I", zlib.crc32(kind + body))
        return struct.pack(">I", len(body)) + kind + body + checksum

    header = struct.pack(">IIBBBBB", width, height, bit_depth, colour, 0, 0, 0)
    parts = chunk(b"IHDR", header), chunk(b"IDAT", zlib.compress(rows)), chunk(b"IEND", b"")
    return b"\x89PNG\r\n\x1a\n" + b"".join(parts)
