"""The bytes of a file as UTF-8: decompressed and recoded by what the file begins with, never by its name.

Limits stand here, because a small compressed file can hold a row that fills the memory.
"""

from __future__ import annotations

import bz2
import codecs
import gzip
import hashlib
import io
import lzma
import zlib
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import IO, Any, cast

from rmr1.errors import DataError

UTF8_BOM = b"\xef\xbb\xbf"
CHUNK_BYTES = 1 << 20
LONGEST_ROW = 1 << 26
"""Most bytes of one line, after decompression: 64 MiB."""
LARGEST_DOCUMENT = 1 << 30
"""Most bytes of a JSON document, which is loaded whole: 1 GiB."""
COMPRESSED_SUFFIXES = frozenset({".gz", ".bz2", ".xz", ".zst"})
UTF_MARKS = {
    b"\xff\xfe\0\0": "utf-32",
    b"\0\0\xfe\xff": "utf-32",
    b"\xff\xfe": "utf-16",
    b"\xfe\xff": "utf-16",
}
"""Byte order marks and their encodings; the longer ones first."""
_MAGIC_BYTES = 10


def open_content(path: Path, name: str) -> IO[bytes]:
    """Open a file for reading: gzip, bzip2, xz and zstandard are decompressed, UTF-16 and UTF-32 become UTF-8.

    Reading raises ``OSError`` where the compressed or encoded data are damaged.

    Raises:
        DataError: If there is no such file or it may not be read.
    """
    try:
        raw = path.open("rb")
        magic = raw.read(_MAGIC_BYTES)
        raw.seek(0)
    except OSError as error:
        raise DataError(f"{name}: {error.strerror or error}") from error
    opener = _decompressor(magic)
    content: io.BufferedReader = raw
    if opener is not None:
        raw.close()
        content = io.BufferedReader(_Chunks(_decompressed(path, opener)), CHUNK_BYTES)
    try:
        head = content.peek(4)[:4]
    except OSError:  # found again, and named, by whoever reads on
        return content
    encoding = next((encoding for mark, encoding in UTF_MARKS.items() if head.startswith(mark)), None)
    if encoding is None:
        return content
    return io.BufferedReader(_Chunks(_recoded(content, encoding)), CHUNK_BYTES)


def bounded_lines(content: IO[bytes], name: str) -> Iterator[bytes]:
    r"""Yield lines, cut at ``\n`` only: U+2028 and its kin are legal inside JSON strings.

    Raises:
        DataError: If a line is longer than ``LONGEST_ROW``.
    """
    number = 0
    while line := content.readline(LONGEST_ROW + 1):
        number += 1
        if len(line) > LONGEST_ROW:
            raise DataError(f"{name}:{number}: a line of more than {LONGEST_ROW >> 20} MiB; drop it or cut it")
        yield line


def read_whole(content: IO[bytes], name: str) -> bytes:
    """Read a document.

    Raises:
        DataError: If it is longer than ``LARGEST_DOCUMENT``.
    """
    document = content.read(LARGEST_DOCUMENT + 1)
    if len(document) > LARGEST_DOCUMENT:
        raise DataError(f"{name}: a JSON document of more than {LARGEST_DOCUMENT >> 30} GiB; write it as JSON Lines")
    return document


def file_digest(paths: list[Path], name: str) -> str:
    """Return the SHA-256 over the bytes of the files in the order given, read in chunks.

    Raises:
        DataError: If one of them cannot be read.
    """
    digest = hashlib.sha256()
    for path in paths:
        try:
            with path.open("rb") as content:
                while chunk := content.read(CHUNK_BYTES):
                    digest.update(chunk)
        except OSError as error:
            raise DataError(f"{name}: {error.strerror or error}") from error
    return digest.hexdigest()


def _decompressor(magic: bytes) -> Callable[[Path], Any] | None:
    if magic.startswith(b"\x1f\x8b"):
        return gzip.open
    if magic.startswith(b"BZh") and magic[4:] == b"1AY&SY":
        return bz2.open
    if magic.startswith(b"\xfd7zXZ\0"):
        return lzma.open
    if magic.startswith(b"\x28\xb5\x2f\xfd"):
        return cast(Callable[[Path], Any], _load_zstandard().open)
    return None


def _load_zstandard() -> Any:
    try:
        from compression import zstd  # type: ignore[import-not-found,unused-ignore]  # Python 3.14 and later
    except ImportError:
        from backports import zstd
    return zstd


def _decompressed(path: Path, opener: Callable[[Path], Any]) -> Iterator[bytes]:
    """Give every library's complaint about damaged data as an ``OSError``."""
    try:
        with opener(path) as content:
            while chunk := content.read1(CHUNK_BYTES):  # what stands before the damage comes first
                yield chunk
    except (EOFError, zlib.error, lzma.LZMAError) as error:
        raise OSError(str(error)) from error
    except Exception as error:
        if isinstance(error, OSError) or type(error).__name__ != "ZstdError":
            raise
        raise OSError(str(error)) from error


def _recoded(content: IO[bytes], encoding: str) -> Iterator[bytes]:
    decoder = codecs.getincrementaldecoder(encoding)()
    try:
        with content:
            while chunk := content.read(CHUNK_BYTES):
                yield decoder.decode(chunk).encode()
            yield decoder.decode(b"", final=True).encode()
    except UnicodeError as error:
        raise OSError(f"not {encoding.upper()}: {error}") from error


class _Chunks(io.RawIOBase):
    """Chunks of bytes as a file."""

    def __init__(self, chunks: Iterator[bytes]) -> None:
        self._chunks = chunks
        self._rest = b""
        self._damage: OSError | None = None

    def readable(self) -> bool:
        """Always."""
        return True

    def readinto(self, buffer: Any) -> int:
        """Fill the buffer with what comes next; 0 at the end. Damage is damage at every further try."""
        while not self._rest:
            if self._damage is not None:
                raise self._damage
            try:
                chunk = next(self._chunks, None)
            except OSError as error:
                self._damage = error
                raise
            if chunk is None:
                return 0
            self._rest = chunk
        count = min(len(buffer), len(self._rest))
        buffer[:count] = self._rest[:count]
        self._rest = self._rest[count:]
        return count

    def close(self) -> None:
        """Close what the chunks come from."""
        if not self.closed and hasattr(self._chunks, "close"):
            self._chunks.close()
        super().close()
