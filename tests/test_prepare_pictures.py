"""Every kind of picture becomes one row of uint8 pixels, and every broken one a reason."""

import io
import zlib
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
from pictures import picture, save
from PIL import Image, ImageCms

from neocog.core import image_size
from neocog.core.image_size import Size
from neocog.data.decoding.decode import Decoded, Preparation, decode
from neocog.serving import pixels


def read(
    path: Path, *, size: int | Size = 16, channels: int = 3, resize: str = "crop", cap: int = 1_000_000
) -> Decoded:
    return decode(path, size=image_size.pair(size), channels=channels, resize=resize, max_pixels=cap)


def flat(mode: str, colour: object, **more: object) -> Image.Image:
    return Image.new(mode, (20, 20), colour, **more)


def palette(*, transparent: bool) -> Image.Image:
    image = flat("P", 1)
    image.putpalette([0, 0, 0, 10, 20, 200])
    if transparent:
        image.info["transparency"] = 1
    return image


RED, WHITE = (200, 10, 10), (255, 255, 255)
GRAY16 = Image.fromarray(np.full((20, 20), 40000, np.uint16))
KINDS = {  # name -> (image, suffix, pixel in colour that comes out)
    "gray": (flat("L", 90), "png", (90, 90, 90)),
    "gray jpeg": (flat("L", 90), "jpg", (90, 90, 90)),
    "1-bit": (flat("1", 1), "png", WHITE),
    "rgb": (flat("RGB", RED), "png", RED),
    "rgb bmp": (flat("RGB", RED), "bmp", RED),
    "rgb tiff": (flat("RGB", RED), "tiff", RED),
    "rgba opaque": (flat("RGBA", (*RED, 255)), "png", RED),
    "rgba clear": (flat("RGBA", (*RED, 0)), "png", WHITE),
    "rgba half": (flat("RGBA", (0, 0, 0, 128)), "png", (127, 127, 127)),
    "rgba webp": (flat("RGBA", (*RED, 0)), "webp", WHITE),
    "gray clear": (flat("LA", (90, 0)), "png", WHITE),
    "palette": (palette(transparent=False), "png", (10, 20, 200)),
    "palette clear": (palette(transparent=True), "png", WHITE),
    "palette gif": (palette(transparent=False), "gif", (10, 20, 200)),
    "cmyk": (flat("CMYK", (0, 255, 255, 0)), "tiff", (255, 0, 0)),
    "cmyk jpeg": (flat("CMYK", (0, 255, 255, 0)), "jpg", (254, 0, 0)),
    "16-bit": (GRAY16, "png", (156, 156, 156)),
    "16-bit tiff": (GRAY16, "tiff", (156, 156, 156)),
    "16-bit in 32": (Image.fromarray(np.full((20, 20), 65535, np.int32)), "tiff", WHITE),
}


@pytest.mark.parametrize("kind", KINDS)
def test_every_mode_gives_the_same_shape_and_the_right_colour(kind: str, tmp_path: Path) -> None:
    image, suffix, expected = KINDS[kind]
    path = save(image, tmp_path / f"x.{suffix}")
    decoded = read(path)
    assert decoded.reason == ""
    assert decoded.pixels is not None
    assert (decoded.pixels.shape, decoded.pixels.dtype) == ((16, 16, 3), np.uint8)
    assert np.abs(decoded.pixels.astype(int) - expected).max() <= 1
    assert decoded.colour == (len({*expected}) > 1)
    gray = read(path, channels=1)
    assert gray.pixels is not None
    assert gray.pixels.shape == (16, 16, 1)
    assert gray.sha256 == decoded.sha256


@pytest.mark.parametrize("suffix", ["jpg", "png", "tiff", "webp"])
def test_exif_orientation_is_applied(suffix: str, tmp_path: Path) -> None:
    upright = np.zeros((40, 40), np.uint8)
    upright[:20, :20] = 255  # light corner: top left
    turned = Image.fromarray(np.rot90(upright).copy()).convert("RGB")  # as the sensor saw it
    exif = Image.Exif()
    exif[0x0112] = 6
    decoded = read(save(turned, tmp_path / f"x.{suffix}", exif=exif), channels=1)
    assert decoded.pixels is not None
    light = decoded.pixels[..., 0] > 128
    assert light[2:6, 2:6].all()
    assert not light[10:, :].any()
    assert not light[:, 10:].any()
    unturned = read(save(turned, tmp_path / f"control.{suffix}"), channels=1)
    assert unturned.pixels is not None
    assert not (unturned.pixels[2:6, 2:6, 0] > 128).any()


@pytest.mark.parametrize("suffix", ["gif", "webp", "tiff", "png"])
def test_of_many_frames_the_first_counts(suffix: str, tmp_path: Path) -> None:
    frames = [flat("RGB", colour) for colour in (RED, (0, 200, 0), (0, 0, 200))]
    lossless = {"lossless": True} if suffix == "webp" else {}
    path = save(frames[0], tmp_path / f"x.{suffix}", save_all=True, append_images=frames[1:], **lossless)
    with Image.open(path) as image:
        assert getattr(image, "n_frames", 1) == 3
    decoded = read(path)
    assert decoded.pixels is not None
    assert np.abs(decoded.pixels.astype(int) - RED).max() <= 2


@pytest.mark.parametrize("shape", [(1, 1), (1, 300), (300, 1), (7, 3), (200, 40)])
@pytest.mark.parametrize("resize", ["crop", "pad", "stretch"])
def test_every_shape_becomes_the_one_asked_for(shape: tuple[int, int], resize: str, tmp_path: Path) -> None:
    path = save(picture(0, width=shape[0], height=shape[1]), tmp_path / "x.png")
    for size in ((16, 16), (9, 20), (30, 4)):
        decoded = read(path, size=size, resize=resize)
        assert decoded.pixels is not None
        assert decoded.pixels.shape == (*size, 3)


BICUBIC = Image.Resampling.BICUBIC


@pytest.mark.parametrize(
    ("resize", "width", "height", "by_hand"),
    [
        ("crop", 300, 90, lambda image: image.crop((75, 0, 225, 90)).resize((40, 24), BICUBIC, reducing_gap=2)),
        ("crop", 60, 90, lambda image: image.crop((0, 27, 60, 63)).resize((40, 24), BICUBIC, reducing_gap=2)),
        ("pad", 300, 90, lambda image: on_black(image.resize((40, 12), BICUBIC, reducing_gap=2), (0, 6))),
        ("pad", 60, 90, lambda image: on_black(image.resize((16, 24), BICUBIC, reducing_gap=2), (12, 0))),
        ("stretch", 300, 90, lambda image: image.resize((40, 24), BICUBIC, reducing_gap=2)),
    ],
)
def test_oblong_pixels_are_those_that_pillow_makes(
    resize: str, width: int, height: int, by_hand: Callable[[Image.Image], Image.Image], tmp_path: Path
) -> None:
    image = picture(4, width=width, height=height)
    path = save(image, tmp_path / "x.png")
    how: Preparation = {"size": (24, 40), "channels": 3, "resize": resize, "max_pixels": 10**6, "padding": "black"}
    wanted = np.asarray(by_hand(image))
    np.testing.assert_array_equal(decode(path, **how).pixels, wanted)
    np.testing.assert_array_equal(pixels.picture(path.read_bytes(), how), wanted)  # as it is served
    other = decode(path, **how, interpolation="bilinear").pixels
    assert other is not None and (other != wanted).any()


def on_black(image: Image.Image, place: tuple[int, int]) -> Image.Image:
    canvas = Image.new("RGB", (40, 24))
    canvas.paste(image, place)
    return canvas


def test_a_jpeg_is_decoded_as_large_as_an_oblong_image_needs(tmp_path: Path) -> None:
    """Of 900 x 700 pixels a quarter is enough for 30 columns, not for 600 rows; the hash is the same."""
    noise = np.random.default_rng(0).integers(0, 256, (700, 900, 3), dtype=np.uint8)
    path = save(Image.fromarray(noise), tmp_path / "x.jpg", quality=95)
    low, tall = read(path, size=(20, 30)), read(path, size=(600, 20))
    assert low.pixels is not None
    assert tall.pixels is not None
    assert low.sha256 == tall.sha256
    assert np.diff(tall.pixels.astype(int), axis=0).std() > 20


def test_crop_keeps_the_middle_pad_adds_the_background_stretch_keeps_all(tmp_path: Path) -> None:
    pixels = np.full((20, 60), 255, np.uint8)
    pixels[:, 20:40] = 100
    path = save(Image.fromarray(pixels), tmp_path / "x.png")
    rows = {resize: read(path, size=60, channels=1, resize=resize).pixels for resize in ("crop", "pad", "stretch")}
    crop, pad, stretch = (rows[resize][..., 0] for resize in ("crop", "pad", "stretch"))  # type: ignore[index]
    assert (crop == 100).all()
    assert (pad[:20] == 255).all()
    assert (pad[20:40] == pixels).all()
    assert (stretch == pixels[0]).mean() > 0.9


def test_a_picture_of_the_right_size_is_not_touched(tmp_path: Path) -> None:
    image = picture(1, width=28, height=28)
    decoded = read(save(image, tmp_path / "x.png"), size=28)
    assert decoded.pixels is not None
    assert (decoded.pixels == np.asarray(image)).all()


def test_the_hash_is_that_of_the_pixels_not_of_file_mode_or_size(tmp_path: Path) -> None:
    gray = picture(2, colour=False, width=300, height=200)
    same = [
        save(gray, tmp_path / "a.png"),
        save(gray.convert("RGB"), tmp_path / "b.bmp"),
        save(gray.convert("RGBA"), tmp_path / "c.webp", lossless=True),
    ]
    hashes = {read(path, size=size).sha256 for path in same for size in (8, 400)}
    assert len(hashes) == 1
    assert {read(path).file_sha256 for path in same} != {read(same[0]).file_sha256}
    assert read(save(picture(3, colour=False, width=300, height=200), tmp_path / "d.png")).sha256 not in hashes


def test_a_large_photograph_keeps_its_hash_and_its_detail_at_every_size(tmp_path: Path) -> None:
    noise = np.random.default_rng(0).integers(0, 256, (700, 900, 3), dtype=np.uint8)
    path = save(Image.fromarray(noise), tmp_path / "x.jpg", quality=95)
    small, large = read(path, size=32), read(path, size=640)
    assert small.sha256 == large.sha256
    assert large.pixels is not None
    assert small.pixels is not None
    assert large.pixels.std() > 3 * small.pixels.std()  # decoded again at full scale, not blown up


def png_with_size(width: int, height: int) -> bytes:
    """A PNG that claims to be `width` x `height` and holds next to nothing: a bomb."""

    def chunk(kind: bytes, data: bytes) -> bytes:
        return len(data).to_bytes(4, "big") + kind + data + zlib.crc32(kind + data).to_bytes(4, "big")

    header = width.to_bytes(4, "big") + height.to_bytes(4, "big") + bytes([8, 0, 0, 0, 0])
    return b"\x89PNG\r\n\x1a\n" + chunk(b"IHDR", header) + chunk(b"IDAT", zlib.compress(b"\0")) + chunk(b"IEND", b"")


def encoded(kind: str, **options: object) -> bytes:
    file = io.BytesIO()
    picture(4, width=64, height=64).save(file, kind, **options)
    return file.getvalue()


def flipped(data: bytes, at: int) -> bytes:
    return data[:at] + bytes([data[at] ^ 0xFF]) + data[at + 1 :]


def as_float() -> bytes:
    file = io.BytesIO()
    Image.fromarray(np.zeros((4, 4), np.float32)).save(file, "TIFF")
    return file.getvalue()


def beyond_16_bit() -> bytes:
    file = io.BytesIO()
    Image.fromarray(np.full((4, 4), 70000, np.int32)).save(file, "TIFF")
    return file.getvalue()


BROKEN = {
    "empty": (b"", "empty file: 0 bytes"),
    "html": (b"<!DOCTYPE html><html>404", "not an image: HTML or XML text"),
    "html after a mark": (b"\xef\xbb\xbf\n <html>", "not an image: HTML or XML text"),
    "text": (b"hello", "not an image: not readable as JPEG"),
    "cut jpeg": (encoded("JPEG")[:-200], "truncated: image file is truncated"),
    "cut jpeg header": (encoded("JPEG")[:600], "truncated: Truncated File Read"),
    "cut png": (encoded("PNG")[:600], "truncated: image file is truncated"),
    "cut bmp": (encoded("BMP")[:600], "truncated: image file is truncated"),
    "cut webp": (encoded("WEBP", lossless=True)[:600], "broken: "),
    "header only": (encoded("JPEG")[:20], "not an image: "),
    "png with a wrong check sum": (flipped(encoded("PNG"), 300), "broken: "),
    "bomb": (png_with_size(20_000, 20_000), "too many pixels: "),
    "bomb below Pillow's own cap": (png_with_size(2_000, 2_000), "too many pixels: 2000 x 2000 = 4,000,000"),
    "cut avif": (encoded("AVIF")[:600], "truncated: "),
    "ico": (encoded("ICO"), "unsupported format: an icon file"),
    "float": (as_float(), "unknown range: pixels are 32-bit floats"),
    "32-bit": (beyond_16_bit(), "unknown range: pixels go beyond 16 bits"),
}


@pytest.mark.parametrize("kind", BROKEN)
def test_every_broken_file_gives_its_reason(kind: str, tmp_path: Path) -> None:
    data, reason = BROKEN[kind]
    path = tmp_path / "x.jpg"
    path.write_bytes(data)
    decoded = read(path)
    assert decoded.reason.startswith(reason), decoded.reason
    assert decoded.pixels is None
    assert len(decoded.file_sha256) == 64
    assert str(tmp_path) not in decoded.reason
    assert " at 0x" not in decoded.reason


def test_a_file_that_is_not_there_gives_its_reason(tmp_path: Path) -> None:
    assert read(tmp_path / "gone.png").reason == "unreadable: No such file or directory"


def test_control_the_same_pictures_whole_are_read(tmp_path: Path) -> None:
    for kind in ("JPEG", "PNG", "BMP", "WEBP", "AVIF"):
        (tmp_path / "x").write_bytes(encoded(kind))
        assert read(tmp_path / "x").reason == ""
    (tmp_path / "x").write_bytes(flipped(encoded("PNG"), 300))
    assert read(tmp_path / "x").reason != ""


@pytest.mark.parametrize("kind", ["JPEG", "PNG", "WEBP", "BMP", "TIFF", "GIF", "AVIF"])
def test_no_spoilt_byte_escapes_as_an_error(kind: str, tmp_path: Path) -> None:
    data = encoded(kind)
    rng = np.random.default_rng(0)
    reasons = 0
    for _ in range(150):
        spoilt = bytearray(data[: rng.integers(1, len(data) + 1)])
        for at in rng.integers(0, len(spoilt), rng.integers(1, 8)):
            spoilt[at] = rng.integers(0, 256)
        (tmp_path / "x").write_bytes(spoilt)
        decoded = read(tmp_path / "x")
        assert (decoded.pixels is None) == bool(decoded.reason)
        reasons += bool(decoded.reason)
    assert reasons > 20


def test_16_bits_become_the_upper_8_rounded(tmp_path: Path) -> None:
    values = np.arange(65536, dtype=np.uint16).reshape(256, 256)
    decoded = read(save(Image.fromarray(values), tmp_path / "x.png"), size=256, channels=1)
    assert decoded.pixels is not None
    assert (decoded.pixels[..., 0] == np.round(values / 257)).all()


def test_copies_of_a_jpeg_are_equal_whatever_stands_beside_the_picture(tmp_path: Path) -> None:
    """Metadata, thumbnails and comments do not count; what changes the pixels does: the coded data, EXIF's orientation, a profile."""
    image, other = picture(1, width=48, height=48), picture(2, width=48, height=48)
    exif = Image.Exif()
    exif[0x010E] = "a description"
    turned = Image.Exif()
    turned[0x0112] = 6
    profile = ImageCms.ImageCmsProfile(ImageCms.createProfile("sRGB")).tobytes()
    copies = {
        "plain": save(image, tmp_path / "plain.jpg", quality=90),
        "described": save(image, tmp_path / "described.jpg", quality=90, exif=exif, comment=b"hello"),
        "turned": save(image, tmp_path / "turned.jpg", quality=90, exif=turned),
        "profile": save(image, tmp_path / "profile.jpg", quality=90, icc_profile=profile),
        "coarser": save(image, tmp_path / "coarser.jpg", quality=80),
        "other": save(other, tmp_path / "other.jpg", quality=90),
    }
    progressive = save(image, tmp_path / "progressive.jpg", quality=90, progressive=True)
    found = {name: read(path).sha256 for name, path in copies.items()}
    assert found["plain"] == found["described"]
    assert len(set(found.values())) == len(found) - 1
    assert read(progressive).sha256 == read(progressive, size=400).sha256, "of any size"
