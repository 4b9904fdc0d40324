"""Sizes as people write them: 512M, 10G. Units are powers of 1024, as vzctl has them."""

from producers.refusals import BadOrder

UNITS = {"K": 1 << 10, "M": 1 << 20, "G": 1 << 30, "T": 1 << 40}
LARGEST = 1 << 60


def as_bytes(text: str, option: str) -> int:
    """Bytes in `text`; a size needs its unit, because 512 alone has meant bytes, pages and mebibytes to different people."""
    number, unit = text.strip()[:-1], text.strip()[-1:].upper()
    if text.strip() == "0":
        return 0
    if unit not in UNITS or not (number.isascii() and number.isdigit()) or len(number) > 12:
        raise BadOrder({option: f"{text!r} is not a size; write a whole number and K, M, G or T, e.g. 512M or 10G"})
    size = int(number) * UNITS[unit]
    if size > LARGEST:
        raise BadOrder({option: f"{text} is more than any node has"})
    return size


def as_size(count: int) -> str:
    """The shortest way to write `count` bytes that is exact, else rounded to a tenth."""
    for unit, factor in reversed(UNITS.items()):
        if count >= factor and count % factor == 0:
            return f"{count // factor}{unit}"
    for unit, factor in reversed(UNITS.items()):
        if count >= factor:
            return f"{count / factor:.1f}{unit}"
    return str(count)


def as_share(taken: int, of: int) -> str:
    """`taken` of `of`, in the larger one's unit."""
    for unit, factor in reversed(UNITS.items()):
        if of >= factor:
            return f"{taken / factor:.1f}/{of / factor:.1f}{unit}"
    return f"{taken}/{of}"
