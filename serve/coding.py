"""Content codings: bodies that arrive packed, within the limit of what they unpack to, and answers that leave so."""

import zlib
from typing import Any

from litestar import Response

from serve.errors import InvalidInput, TooLarge, UnknownCoding

_WINDOWS = {"gzip": 31, "deflate": 15}  # zlib's parameter; HTTP's deflate is zlib's format (RFC 9110)
_WORTH = 1024  # bytes; a shorter answer fits one packet anyway
_QUICK = 1  # zlib's level: digits hardly shrink more with a higher one


def unpacked(body: bytes, coding: str, max_bytes: int) -> bytes:
    "Return a body without its coding; raise UnknownCoding, TooLarge, or InvalidInput where it is damaged."
    coding = coding.strip().lower().removeprefix("x-")
    if coding in ("", "identity"):
        return body
    if coding not in _WINDOWS:
        raise UnknownCoding(
            f"Send the body as it is, or with Content-Encoding gzip or deflate, not {coding[:40]!r}.",
            accept_encoding="gzip, deflate",
        )
    unpacker = zlib.decompressobj(_WINDOWS[coding])
    try:
        found = unpacker.decompress(body, max_bytes + 1)
    except zlib.error:
        raise InvalidInput(f"The body is not {coding}, as its Content-Encoding says.") from None
    if len(found) > max_bytes:
        raise TooLarge(f"A body may have {max_bytes:,} bytes, and this one unpacks to more.")
    if not unpacker.eof or unpacker.unused_data:
        raise InvalidInput(f"The {coding} body {'goes on after its end' if unpacker.eof else 'ends too early'}.")
    return found


def packed(payload: bytes, accepted: str) -> tuple[bytes, str]:
    "Return an answer in a coding that its caller takes, and the coding's name; as it is where that is better."
    coding = _best(accepted)
    if not coding or len(payload) < _WORTH:
        return payload, ""
    packer = zlib.compressobj(_QUICK, wbits=_WINDOWS[coding])
    return packer.compress(payload) + packer.flush(), coding


def coded(payload: bytes, media_type: str, accepted: str, **headers: str) -> Response[Any]:
    "Return an answer in a coding that its caller takes."
    content, coding = packed(payload, accepted)
    sent = {"vary": "accept-encoding"} | ({"content-encoding": coding} if coding else {})
    sent |= {name.replace("_", "-"): value for name, value in headers.items()}
    return Response(content, media_type=media_type, headers=sent)


def _best(accepted: str) -> str:
    "Return the coding of ours that an Accept-Encoding header names first; none where it names none of them."
    for choice in accepted.lower().split(","):
        coding, _, weight = choice.partition(";")
        if coding.strip() in _WINDOWS and weight.replace(" ", "") not in ("q=0", "q=0.0", "q=0.00", "q=0.000"):
            return coding.strip()
    return ""
