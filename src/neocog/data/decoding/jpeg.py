"""The picture that a JPEG file holds, by its bytes: equal for copies that differ in metadata, thumbnail or comment alone."""

import hashlib

END, SCAN, COMMENT, ADOBE = 0xD9, 0xDA, 0xFE, 0xEE  # markers, behind a byte 0xFF
APPLICATION = range(0xE0, 0xF0)  # EXIF, profiles, thumbnails; Adobe's says how colours are coded


def picture_hash(content: bytes, *, orientation: int, profile: bytes) -> str:
    """The sha256 of what determines the pixels: tables and coded data of the first picture in the file, its EXIF orientation and its
    colour profile. Nothing is decoded, so it is the same at whatever scale the file is read (ITU T.81, annex B)."""
    found = hashlib.sha256(b"%d " % orientation + profile)
    at = 2
    while at + 4 <= len(content) and content[at] == 0xFF:
        marker = content[at + 1]
        if marker == 0xFF:  # fill byte
            at += 1
            continue
        if marker == SCAN:
            break
        end = at + 2 + int.from_bytes(content[at + 2 : at + 4])
        if marker == ADOBE or not (marker == COMMENT or marker in APPLICATION):
            found.update(content[at:end])
        at = end
    end = content.find(bytes((0xFF, END)), at)
    found.update(memoryview(content)[at : end if end >= 0 else len(content)])
    return found.hexdigest()
