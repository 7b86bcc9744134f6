"""What decoding could lose: bits, colours, what is transparent, what is no format that is read. Training and serving agree."""

import struct
from io import BytesIO
from pathlib import Path

import numpy as np
import pytest
from numpy.typing import NDArray
from pictures import class_folders, picture, save
from PIL import Image, ImageCms, ImageDraw

from neocog.core.errors import UserError
from neocog.data.decoding.decode import Decoded, Preparation, decode
from neocog.data.prepare import prepare
from neocog.data.prepared import Prepared
from neocog.params.sections import Data
from neocog.serving import pixels


def read(
    path: Path, *, side: int = 16, background: str = "white", resize: str = "stretch", bits: int = 16, channels: int = 3
) -> Decoded:
    """Decode a file; what `neocog serve` makes of its bytes is the same."""
    how: Preparation = {"size": (side, side), "channels": channels, "resize": resize, "max_pixels": 1_000_000}
    how |= {"background": background, "bits": bits}
    decoded = decode(path, **how)
    if decoded.pixels is not None:
        np.testing.assert_array_equal(pixels.picture(path.read_bytes(), how), decoded.pixels)
    return decoded


def rows(decoded: Decoded) -> NDArray[np.int64]:
    """The pixels, as numbers that may be subtracted."""
    assert decoded.pixels is not None, decoded.reason
    return decoded.pixels.astype(int)


def run(root: Path, target: Path, **more: object) -> Prepared:
    """Prepare a folder at 16 pixels in one process."""
    return prepare(target, source="folder", root=root, size=16, workers=1, **more)  # type: ignore[arg-type]


def profile(name: bytes, primaries: tuple[tuple[float, float, float], ...], gamma: float) -> bytes:
    """An ICC profile (v2.4) of three primaries, D50-adapted, and a gamma."""

    def s15(*values: float) -> bytes:
        return b"".join(struct.pack(">i", round(value * 65536)) for value in values)

    white, curve = (0.9642, 1.0, 0.8249), b"para\0\0\0\0\0\0\0\0" + s15(gamma)
    tags = [
        (b"desc", b"desc\0\0\0\0" + struct.pack(">I", len(name) + 1) + name + b"\0" * 79),
        (b"cprt", b"text\0\0\0\0-\0"),
    ]
    tags += [(b"wtpt", b"XYZ \0\0\0\0" + s15(*white))]
    tags += [
        (letter + b"XYZ", b"XYZ \0\0\0\0" + s15(*xyz))
        for letter, xyz in zip((b"r", b"g", b"b"), primaries, strict=True)
    ]
    tags += [(letter + b"TRC", curve) for letter in (b"r", b"g", b"b")]
    table, body, at = b"", b"", 132 + 12 * len(tags)
    for tag, data in tags:
        table += tag + struct.pack(">II", at + len(body), len(data))
        body += data + b"\0" * (-len(data) % 4)
    head = struct.pack(
        ">I4sI4s4s4s6H4s", 0, b"\0\0\0\0", 0x02400000, b"mntr", b"RGB ", b"XYZ ", 2024, 1, 1, 0, 0, 0, b"acsp"
    )
    head = (head.ljust(68, b"\0") + s15(*white)).ljust(128, b"\0")
    whole = head + struct.pack(">I", len(tags)) + table + body
    return struct.pack(">I", len(whole)) + whole[4:]


WIDE = {
    "Display P3": profile(
        b"P3", ((0.51512, 0.24120, -0.00105), (0.29198, 0.69225, 0.04189), (0.15710, 0.06657, 0.78407)), 2.2
    ),
    "Adobe RGB": profile(
        b"Adobe", ((0.60974, 0.31111, 0.01947), (0.20528, 0.62567, 0.06087), (0.14919, 0.06322, 0.74457)), 2.2
    ),
}
SRGB = ImageCms.createProfile("sRGB")


def scene(seed: int = 0) -> Image.Image:
    """Colours that every profile here can show."""
    blocks = np.random.default_rng(seed).integers(60, 200, (4, 4, 3), dtype=np.uint8)
    return Image.fromarray(np.kron(blocks, np.ones((4, 4, 1), np.uint8)))


@pytest.mark.parametrize("suffix", ["png", "jpg", "webp", "tiff"])
@pytest.mark.parametrize("name", WIDE)
def test_a_scene_in_another_colour_profile_gives_the_same_pixels(name: str, suffix: str, tmp_path: Path) -> None:
    own = ImageCms.ImageCmsProfile(BytesIO(WIDE[name]))
    tagged = ImageCms.profileToProfile(scene(), SRGB, own, outputMode="RGB")
    assert tagged is not None
    tagged.info.clear()  # or it would be saved with the profile, asked or not
    options = {"jpg": {"quality": 100, "subsampling": 0}, "webp": {"lossless": True}}.get(suffix, {})
    got = rows(read(save(tagged, tmp_path / f"x.{suffix}", icc_profile=WIDE[name], **options)))
    untold = rows(read(save(tagged, tmp_path / f"control.{suffix}", **options)))
    assert np.abs(got - np.asarray(scene(), int)).mean() < 1.5
    assert np.abs(untold - np.asarray(scene(), int)).mean() > 5


def test_profiles_with_transparency_of_srgb_and_of_another_mode(tmp_path: Path) -> None:
    p3 = WIDE["Display P3"]
    clear = scene().convert("RGBA")
    clear.putalpha(Image.fromarray(np.repeat(np.arange(0, 256, 17, dtype=np.uint8), 16).reshape(16, 16)))
    there, plain = (
        rows(read(save(clear, tmp_path / f"{i}.png", **more))) for i, more in enumerate(({"icc_profile": p3}, {}))
    )
    assert (there[0] == 255).all()
    assert np.abs(there - plain)[-1].max() > 5
    srgb = ImageCms.ImageCmsProfile(SRGB).tobytes()
    assert (
        rows(read(save(scene(), tmp_path / "s.png", icc_profile=srgb))) == np.asarray(scene())
    ).all()  # not by one level
    gray = scene().convert("L")
    assert (rows(read(save(gray, tmp_path / "g.png", icc_profile=p3), channels=1))[..., 0] == np.asarray(gray)).all()


def test_a_profile_that_cannot_be_read_is_said_in_a_note(tmp_path: Path) -> None:
    root = class_folders(tmp_path / "raw")
    save(picture(900), root / "class1" / "odd.png", icc_profile=b"no profile at all" * 20)
    data = run(root, tmp_path / "p")
    assert data.notes == (
        "1 images: their colour profile cannot be read, and is taken for sRGB (the first: class1/odd.png)",
    )


def icons(root: Path, ink: int) -> Path:
    """Circles and squares that are in the alpha channel alone."""
    draw = np.random.default_rng(0)
    for kind in ("circle", "square"):
        for i in range(30):
            alpha = Image.new("L", (32, 32))
            r, x, y = int(draw.integers(4, 9)), int(draw.integers(10, 22)), int(draw.integers(10, 22))
            pen = ImageDraw.Draw(alpha)
            (pen.ellipse if kind == "circle" else pen.rectangle)((x - r, y - r, x + r, y + r), fill=255)
            icon = Image.new("RGBA", (32, 32), (ink, ink, ink, 0))
            icon.putalpha(alpha)
            save(icon, root / kind / f"{i:02}.png")
    return root


@pytest.mark.parametrize(
    ("ink", "background", "other"), [(255, "white", "black"), (0, "black", "white"), (250, "#ffffff", "black")]
)
def test_icons_in_the_colour_of_the_background_are_refused_and_the_one_named_shows_them(
    ink: int, background: str, other: str, tmp_path: Path
) -> None:
    root = icons(tmp_path / "raw", ink)
    with pytest.raises(
        UserError, match=rf"60 were refused.*nothing to see.*\(={background}\); set data.background: {other}"
    ) as refused:
        run(root, tmp_path / "p", background=background)
    assert "two labels" not in str(refused.value)
    shown = run(root, tmp_path / "p", background=other)
    assert shown.quarantined() == []
    assert shown.preparation["background"] == other


def test_padding_has_the_colour_on_which_transparency_is_laid(tmp_path: Path) -> None:
    clear = Image.new("RGBA", (40, 20), (200, 10, 10, 0))
    clear.paste((200, 10, 10, 255), (10, 5, 30, 15))
    path = save(clear, tmp_path / "x.png")
    for background, expected in {
        "white": (255,) * 3,
        "black": (0,) * 3,
        "gray": (128,) * 3,
        "#0a1420": (10, 20, 32),
    }.items():
        row = rows(read(path, resize="pad", background=background))
        assert (row[0, 0] == expected).all()
        assert (row[8, 0] == expected).all()
    wide = save(Image.new("L", (40, 20), 90), tmp_path / "gray.png")
    assert read(wide, resize="pad", background="#0a1420", channels=1).pixels[0, 0, 0] == 18  # type: ignore[index]
    assert (rows(read(wide, resize="pad", background="#0a1420"))[0, 0] == (10, 20, 32)).all()


@pytest.mark.parametrize("colour", ["#fffff", "crimson", "#GGGGGG", ""])
def test_what_is_no_colour_is_refused(colour: str, tmp_path: Path) -> None:
    with pytest.raises(ValueError, match=r"no colour; write white, black, gray or, in quotes, '#rrggbb'"):
        Data(background=colour)
    with pytest.raises(UserError, match=r"data.background \(='.*'\) is no colour"):
        run(tmp_path, tmp_path / "p", background=colour)
    Data(background="#00ff7F")


def xray(root: Path, *, highest: int) -> Path:
    """Textures of a few of `highest` levels on a smooth field, in 16-bit files."""
    draw = np.random.default_rng(0)
    y, x = np.mgrid[:32, :32]
    for kind, period in (("fine", 4), ("coarse", 16)):
        for i in range(30):
            field = np.exp(-((x - draw.uniform(10, 22)) ** 2 + (y - draw.uniform(10, 22)) ** 2) / 400) * highest * 0.95
            texture = (field + 7 * np.sign(np.sin(2 * np.pi * x / period))).clip(0, highest).astype(np.uint16)
            texture[0, 0] = highest
            save(Image.fromarray(texture), root / kind / f"{i:02}.png")
    return root


def test_12_bits_in_16_bit_files_are_said_and_the_setting_that_is_named_keeps_them(tmp_path: Path) -> None:
    root = xray(tmp_path / "raw", highest=4095)
    dark = run(root, tmp_path / "p")
    assert dark.notes == (
        "60 images hold 16-bit gray of which 16 bits are used, and none goes beyond 4,095: "
        "of 4,096 gray levels at most 16 are left; set data.bits: 12",
    )
    assert dark.split("train").images.max() <= 16
    light = run(root, tmp_path / "p", bits=12)
    assert light.notes == ()
    assert len(np.unique(light.split("train").images)) > 100
    assert light.preparation["bits"] == 12
    with pytest.raises(UserError, match=r"unknown range: pixels go up to 4,095, beyond the 11 bits of data.bits"):
        run(root, tmp_path / "p", bits=11)


def test_control_16_bits_that_are_used_are_not_remarked_on(tmp_path: Path) -> None:
    assert run(xray(tmp_path / "raw", highest=60_000), tmp_path / "p").notes == ()


@pytest.mark.parametrize("bits", range(8, 17))
def test_the_highest_value_of_any_number_of_bits_is_white(bits: int, tmp_path: Path) -> None:
    top = (1 << bits) - 1
    values = np.linspace(0, top, 256).round().astype(np.uint16).reshape(16, 16)
    row = rows(read(save(Image.fromarray(values), tmp_path / "x.png"), bits=bits, channels=1))[..., 0]
    assert (row == np.floor(values.astype(int) * 255 / top + 0.5)).all()


BOX = b"\0\0\0\x18ftyp"
FOREIGN = {
    "HEIC": BOX + b"heic\0\0\0\0mif1heic",
    "HEIC, ": BOX + b"mif1\0\0\0\0mif1heic",
    "AVIF": BOX + b"avif\0\0\0\0mif1" + b"\0" * 50,
    "a video": BOX + b"isom\0\0\2\0isomiso2",
    "camera raw (CR3)": BOX + b"crx \0\0\0\1crx isom",
    "JPEG 2000": b"\0\0\0\x0cjP  \r\n\x87\n\0\0\0\x14ftypjp2 ",
    "JPEG XL": b"\0\0\0\x0cJXL \r\n\x87\n",
    "camera raw": b"FUJIFILMCCD-RAW 0201",
    "SVG": b"<?xml version='1.0'?>\n<!-- drawn -->\n<svg xmlns='http://www.w3.org/2000/svg'/>",
    "PDF": b"%PDF-1.7\n",
    "PSD": b"8BPS\0\1",
    "PNM": b"P5\n4 4\n255\n" + b"\0" * 16,
    "DICOM": b"\0" * 128 + b"DICM",
    "FITS": b"SIMPLE  =                    T",
    "HDF5": b"\x89HDF\r\n\x1a\n",
}
STRANGE = {
    "a Git LFS pointer": b"version https://git-lfs.github.com/spec/v1\noid sha256:ab",
    "a git-annex pointer": b"/annex/objects/SHA256E-s1--ab.png\n",
    "a DVC pointer": b"outs:\n- md5: ab\n  path: x.png\n",
    "an archive": b"PK\x03\x04\x14\0",
    "macOS metadata": b"\0\5\x16\7\0\2",
    "HTML": b"<html><svg></svg>",
}


@pytest.mark.parametrize("name", [*FOREIGN, *STRANGE])
def test_formats_that_are_not_read_are_named_with_a_remedy(name: str, tmp_path: Path) -> None:
    path = tmp_path / "x.jpg"
    path.write_bytes((FOREIGN | STRANGE)[name])
    reason = read(path).reason
    assert reason.startswith(f"{'unsupported format' if name in FOREIGN else 'not an image'}: {name}")
    assert "; " in reason or name == "HTML"


def test_avif_is_read_and_a_cameras_raw_file_is_not_taken_for_its_thumbnail(tmp_path: Path) -> None:
    there = rows(read(save(scene(), tmp_path / "x.avif", quality=100, subsampling="4:4:4")))
    assert np.abs(there - np.asarray(scene(), int)).max() <= 3
    raw = save(scene(), tmp_path / "x.dng", format="TIFF", tiffinfo={50706: bytes([1, 4, 0, 0])})
    assert read(raw).reason.startswith("unsupported format: camera raw (DNG, NEF, ARW, ...); develop it to")
    assert read(save(scene(), tmp_path / "control.tiff")).reason == ""
