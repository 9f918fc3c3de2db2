"""The container of a DBN file: plain bytes or zstd frames, read once, in bounded memory, into the caller's buffer.

python-zstandard's stream reader drops the tail of an unfinished frame without a word. So the frame structure is
walked here, block header by block header, while the compressed bytes pass by on their way to the decompressor: what
the decompressor never sees is a frame that does not close. Whoever wants the file's hash watches the same bytes.
"""

from __future__ import annotations

import os
from collections.abc import Callable
from pathlib import Path
from typing import BinaryIO, NoReturn, cast

import zstandard

from footprint_assets.settings import IngestSettings
from footprint_assets.sources.errors import PULL_AGAIN, EnvelopeRefused

ZSTD_MAGIC = b"\x28\xb5\x2f\xfd"
DBN_MAGIC = b"DBN"
DBZ_MAGIC = b"DBZ"
MAX_WINDOW_BYTES = 2**27
"""Largest zstd window, bytes: the limit ``zstd -d`` itself applies. It bounds the decompressor's memory."""
RATIO_FREE_BYTES = 2**20
"""Output below this is never called a bomb: tiny files compress at any ratio."""
READ_BYTES = 2**20
_SKIPPABLE_MAGIC = b"\x2a\x4d\x18"
_BLOCK_LAST, _BLOCK_RLE, _BLOCK_RESERVED = 1, 1, 3


def is_skippable(magic: bytes) -> bool:
    """Tell whether four bytes start a zstd skippable frame (RFC 8878, 3.1.2)."""
    return len(magic) >= 4 and magic[0] & 0xF0 == 0x50 and magic[1:4] == _SKIPPABLE_MAGIC


def _window_bytes(descriptor: int) -> int:
    """Window size of a window descriptor byte (RFC 8878, 3.1.1.1.2)."""
    base = 1 << (10 + (descriptor >> 3))
    return base + base // 8 * (descriptor & 7)


class _FrameWalk:
    """Follows the zstd frame structure (RFC 8878) of bytes that pass by, and refuses what does not close.

    Args:
        ingest: The limits.
        refuse: Raises the refusal: ``(rule, message, offset, **facts)``.
    """

    def __init__(self, ingest: IngestSettings, refuse: Callable[..., NoReturn]) -> None:
        self._ingest = ingest
        self._refuse = refuse
        self._tail = b""
        self._seen = 0
        self._next = 0
        self._in_frame = False
        self._last_block = False
        self._checksum = False
        self.frame_offset = 0
        self.frames = 0
        self.frames_without_checksum = 0

    def feed(self, data: bytes) -> None:
        """Follow ``data``, the next compressed bytes of the file."""
        view = self._tail + data if self._tail else data
        base = self._seen - len(self._tail)
        self._seen += len(data)
        at = self._next - base
        while 0 <= at < len(view):
            step = self._block(view, at, base) if self._in_frame else self._frame(view, at, base)
            if step == 0:
                break
            at += step
        self._next = base + at
        self._tail = view[at:] if at < len(view) else b""

    def finish(self) -> None:
        """Refuse a file whose last frame is still open."""
        if self._in_frame or self._tail or self._next != self._seen:
            self._refuse(
                "truncated_frame",
                "the file ends inside a zstd frame",
                self._seen,
                frame_offset=self.frame_offset,
            )

    def _frame(self, view: bytes, at: int, base: int) -> int:
        """Read a frame header at ``at``; 0 when more bytes are needed, otherwise the bytes to move on."""
        magic = view[at : at + 4]
        offset = base + at
        if len(magic) < 4:
            if not ZSTD_MAGIC.startswith(magic) and magic[0] & 0xF0 != 0x50:
                self._refuse("trailing_bytes", "bytes that are no zstd frame follow the last one", offset)
            return 0
        if is_skippable(magic):
            if len(view) - at < 8:
                return 0
            self.frame_offset = offset
            return 8 + int.from_bytes(view[at + 4 : at + 8], "little")
        if magic != ZSTD_MAGIC:
            self._refuse("trailing_bytes", "bytes that are no zstd frame follow the last one", offset)
        return self._frame_header(view, at, offset)

    def _frame_header(self, view: bytes, at: int, offset: int) -> int:
        if len(view) - at < 5:
            return 0
        descriptor = view[at + 4]
        single_segment = bool(descriptor & 0x20)
        dictionary_bytes = (0, 1, 2, 4)[descriptor & 0x03]
        size_flag = descriptor >> 6
        size_bytes = (int(single_segment), 2, 4, 8)[size_flag]
        window_bytes = int(not single_segment)
        header_bytes = 5 + window_bytes + dictionary_bytes + size_bytes
        if len(view) - at < header_bytes:
            return 0
        self.frame_offset = offset
        field = at + 5 + window_bytes
        if int.from_bytes(view[field : field + dictionary_bytes], "little"):
            self._refuse("zstd_dictionary", "a zstd frame needs a dictionary", offset)
        content = int.from_bytes(view[field + dictionary_bytes : at + header_bytes], "little")
        if size_flag == 1:
            content += 256
        window = content if single_segment else _window_bytes(view[at + 5])
        if window > MAX_WINDOW_BYTES:
            self._refuse("zstd_window", f"a zstd frame needs a window of {window} bytes", offset)
        if size_bytes and content > self._ingest.max_file_bytes:
            self._refuse("file_limit", f"a zstd frame declares {content} bytes of content", offset)
        self._open_frame(offset, checksum=bool(descriptor & 0x04))
        return header_bytes

    def _open_frame(self, offset: int, *, checksum: bool) -> None:
        self._checksum = checksum
        self.frames += 1
        if not self._checksum:
            self.frames_without_checksum += 1
            if self._ingest.require_frame_checksum:
                self._refuse(
                    "frame_checksum",
                    "a zstd frame has no content checksum",
                    offset,
                    remedy="pull the file again, or set FOOTPRINT_INGEST__REQUIRE_FRAME_CHECKSUM=false",
                )
        self._in_frame, self._last_block = True, False

    def _block(self, view: bytes, at: int, base: int) -> int:
        """Read a block header, or step over the checksum after the last block."""
        if self._last_block:
            if len(view) - at < 4:
                return 0
            self._in_frame = False
            return 4
        if len(view) - at < 3:
            return 0
        header = int.from_bytes(view[at : at + 3], "little")
        kind, size = header >> 1 & 3, header >> 3
        if kind == _BLOCK_RESERVED:
            self._refuse(
                "zstd_corrupt",
                "a zstd block has the reserved type",
                base + at,
                frame_offset=self.frame_offset,
            )
        if header & _BLOCK_LAST:
            self._last_block = True
            if not self._checksum:
                self._in_frame = False
        return 3 + (1 if kind == _BLOCK_RLE else size)


class Envelope:
    """The decompressed bytes of a file, once, in order.

    Args:
        path: A plain or zstd-compressed file.
        ingest: Limits on size, ratio and checksums.
        read_bytes: Compressed bytes read at a time.
        watch: Called with the file's bytes, as they are read.

    Raises:
        EnvelopeRefused: The file is empty, is a DBZ file, or starts like nothing known.
    """

    def __init__(
        self,
        path: Path,
        ingest: IngestSettings,
        *,
        read_bytes: int = READ_BYTES,
        watch: Callable[[bytes | memoryview], object] | None = None,
    ) -> None:
        self.path = path
        self._ingest = ingest
        self._watch = watch or (lambda _: None)
        try:
            self._file: BinaryIO = path.open("rb", buffering=0)
        except OSError as error:
            self._unreadable(error)
        try:
            self.file_bytes = os.fstat(self._file.fileno()).st_size
            self.compressed = self._sniff()
        except BaseException:
            self._file.close()
            raise
        self.compressed_bytes = 0
        self.decompressed_bytes = 0
        self._walk = _FrameWalk(ingest, self.refuse)
        self._limit = ingest.max_file_bytes
        if self.compressed:
            ratio_limit = max(RATIO_FREE_BYTES, ingest.max_compression_ratio * self.file_bytes)
            self._limit_rule = "file_limit" if self._limit <= ratio_limit else "compression_ratio"
            self._limit = min(self._limit, ratio_limit)
            decompressor = zstandard.ZstdDecompressor(max_window_size=MAX_WINDOW_BYTES)
            self._stream = decompressor.stream_reader(
                cast(BinaryIO, self), read_size=read_bytes, read_across_frames=True, closefd=False
            )
        else:
            self._limit_rule = "file_limit"

    @property
    def frames(self) -> int:
        """Zstd frames seen so far, without skippable ones."""
        return self._walk.frames

    @property
    def frames_without_checksum(self) -> int:
        """Zstd frames seen so far that carry no content checksum."""
        return self._walk.frames_without_checksum

    def read(self, size: int) -> bytes:
        """Give the decompressor the next compressed bytes; it calls this, nobody else does."""
        data = self._file.read(size)
        if not data:
            self._walk.finish()
            return b""
        self._watch(data)
        self.compressed_bytes += len(data)
        self._walk.feed(data)
        return data

    def fill(self, target: memoryview) -> int:
        """Fill ``target`` with the next decompressed bytes; fewer only at the end of the file.

        Args:
            target: Writable bytes.

        Returns:
            The number of bytes written.

        Raises:
            EnvelopeRefused: A frame is cut, corrupt or too large, or bytes follow the last frame.
        """
        done = 0
        while done < len(target):
            try:
                got = self._inflate(target[done:]) if self.compressed else self._copy(target[done:])
            except OSError as error:
                self._unreadable(error)
            if got == 0:
                break
            done += got
            self.decompressed_bytes += got
            if self.decompressed_bytes > self._limit:
                self.refuse(
                    self._limit_rule,
                    f"the file holds more than {self._limit} bytes",
                    self.compressed_bytes,
                    remedy="raise FOOTPRINT_INGEST__MAX_FILE_BYTES or __MAX_COMPRESSION_RATIO if the file is honest",
                )
        return done

    def finish(self) -> None:
        """Refuse a file that changed its length while it was read.

        Raises:
            EnvelopeRefused: More or fewer bytes were read than the file had when it was opened.
        """
        if self.compressed_bytes != self.file_bytes:
            self.refuse(
                "changed_while_read",
                f"the file had {self.file_bytes} bytes when it was opened and {self.compressed_bytes} at the end",
                self.compressed_bytes,
                remedy="wait until the download has finished",
            )

    def refuse(
        self, rule: str, message: str, offset: int, *, remedy: str = PULL_AGAIN, **facts: object
    ) -> NoReturn:
        """Raise the refusal of this file.

        Raises:
            EnvelopeRefused: Always.
        """
        raise EnvelopeRefused(rule, message, path=self.path, offset=offset, remedy=remedy, **facts)

    def close(self) -> None:
        """Close the file."""
        self._file.close()

    def _unreadable(self, error: OSError) -> NoReturn:
        raise EnvelopeRefused(
            "unreadable",
            f"the file cannot be read ({error.strerror})",
            path=self.path,
            offset=0,
            remedy="check that the file exists and may be read",
        ) from error

    def _copy(self, target: memoryview) -> int:
        got = self._file.readinto(target)  # type: ignore[attr-defined]
        self._watch(target[:got])
        self.compressed_bytes += got
        return int(got)

    def _inflate(self, target: memoryview) -> int:
        try:
            return int(self._stream.readinto(target))
        except zstandard.ZstdError as error:
            rule = "zstd_checksum" if "checksum" in str(error) else "zstd_corrupt"
            raise EnvelopeRefused(
                rule,
                f"a zstd frame does not decompress ({error})",
                path=self.path,
                offset=self._walk.frame_offset,
            ) from error

    def _sniff(self) -> bool:
        """Tell a zstd file from a plain one by its first bytes."""
        head = self._file.read(8 + len(DBZ_MAGIC))
        self._file.seek(0)
        if not head:
            self.refuse("empty_file", "the file is empty", 0)
        if is_skippable(head) and head[8:] == DBZ_MAGIC:
            self.refuse("dbz", "the file is in the retired DBZ format", 0, remedy="pull it again as DBN")
        return head.startswith(ZSTD_MAGIC) or is_skippable(head)
