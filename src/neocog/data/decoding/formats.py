"""Unsupported file formats, detected by their first bytes, and how to convert each to an image."""

import re

READ = ("JPEG", "PNG", "WEBP", "BMP", "TIFF", "GIF", "AVIF")  # Pillow's names of the formats that are decoded
SNIFFED = 512  # bytes that `unknown` wants to see

_XML = rb"(\xef\xbb\xbf)?\s*(<\?xml[^>]*>\s*)?(<!--.*?-->\s*)?(<!DOCTYPE svg[^>]*>\s*)?"  # what may stand before <svg
_SAVE = "save it as PNG or JPEG"
_UNPACK = "unpack it"
_RAW = "develop it to JPEG, PNG or 8-bit TIFF (`darktable-cli IN OUT.jpg`)"
# (pattern of the first bytes, what it is, remedy); the first that fits counts
_IMAGES: tuple[tuple[bytes, str, str], ...] = (
    (rb"....ftyp(hei[cxms]|hev[cxms]|mif[12]|msf1)", "HEIC, a phone's photo", "convert it to JPEG (`heif-convert IN OUT.jpg`)"),
    (rb"....ftypavi[fs]", "AVIF", "convert it to PNG (`avifdec IN OUT.png`)"),
    (rb"....ftypcrx ", "camera raw (CR3)", _RAW),
    (rb"....ftyp", "a video (MP4, MOV)", "save its frames as images (`ffmpeg -i IN OUT-%05d.png`)"),
    (rb"RIFF....AVI ", "a video (AVI)", "save its frames as images (`ffmpeg -i IN OUT-%05d.png`)"),
    (rb"\x1aE\xdf\xa3", "a video (Matroska, WebM)", "save its frames as images (`ffmpeg -i IN OUT-%05d.png`)"),
    (rb"(\0\0\0\x0c)?jP  \r\n\x87\n|\0\0\0\x0cjP|\xffO\xffQ", "JPEG 2000", "convert it to PNG (`opj_decompress -i IN -o OUT.png`)"),
    (rb"\xff\x0a|\0\0\0\x0cJXL ", "JPEG XL", "convert it to PNG (`djxl IN OUT.png`)"),
    (rb"FUJIFILMCCD-RAW|IIU\0|IIR[OS]|MMOR|FOVb|\0MRM|II\x1a\0\0\0HEAP", "camera raw", _RAW),
    (_XML + rb"<svg\b", "SVG, a drawing", "draw it (`rsvg-convert IN -o OUT.png`)"),
    (rb"%PDF-", "PDF", "save its pages as images (`pdftoppm -png IN OUT`)"),
    (rb"%!PS|\xc5\xd0\xd3\xc6", "PostScript", "save it as an image (`gs -sDEVICE=png16m -o OUT.png IN`)"),
    (rb"8BPS", "PSD, Photoshop", _SAVE),
    (rb"gimp xcf", "XCF, GIMP", _SAVE),
    (rb"\x00\x00[\x01\x02]\x00.\x00|icns", "an icon file (ICO, CUR, ICNS)", _SAVE),
    (rb"P[1-7]\s", "PNM (PBM, PGM, PPM)", _SAVE),
    (rb"v/1\x01", "OpenEXR", _SAVE),
    (rb"#\?R(ADIANCE|GBE)", "Radiance HDR", _SAVE),
    (rb"DDS ", "DDS, a texture", _SAVE),
    (rb"qoif", "QOI", _SAVE),
    (rb"BPG\xfb", "BPG", _SAVE),
    (rb"\xd7\xcd\xc6\x9a|\x01\0\0\0.{36} EMF", "WMF or EMF, a drawing", _SAVE),
    (rb".{128}DICM", "DICOM", "convert it to PNG (`dcm2img IN OUT.png`)"),
    (rb".{344}n[+i]1\0", "NIfTI, a volume", "save its slices as images"),
    (rb"SIMPLE  =", "FITS", _SAVE),
    (rb"\x89HDF\r\n", "HDF5", "save its images one by one"),
    (rb"\x93NUMPY", "a NumPy array", "save its images one by one"),
)  # fmt: skip
_OTHERS: tuple[tuple[bytes, str], ...] = (
    (rb"version https://git-lfs\.github\.com/spec/", "a Git LFS pointer; get the file (`git lfs pull`)"),
    (rb"(/annex/objects/|(\.\./)+\.git/annex/)", "a git-annex pointer; get the file (`git annex get`)"),
    (rb"outs:\s|md5: |- md5", "a DVC pointer; get the file (`dvc pull`)"),
    (rb"PK\x03\x04|Rar!|7z\xbc\xaf|\x1f\x8b|BZh|\xfd7zXZ|.{257}ustar", f"an archive; {_UNPACK}"),
    (rb"\x00\x05\x16[\x00\x07]", "macOS metadata; remove it"),
    (rb"(\xef\xbb\xbf)?\s*<", "HTML or XML text"),
)


def unknown(start: bytes) -> str:
    """Why a file that begins with `start` is not read, as `kind: detail; remedy`."""
    if not start:
        return "empty file: 0 bytes"
    for pattern, name, remedy in _IMAGES:
        if re.match(pattern, start, re.DOTALL):
            return f"unsupported format: {name}; {remedy}"
    for pattern, name in _OTHERS:
        if re.match(pattern, start, re.DOTALL):
            return f"not an image: {name}"
    return f"not an image: not readable as {', '.join(READ)}"
