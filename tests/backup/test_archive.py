"""A backup file is whole or it is refused, and says which of the two."""

import gzip
import json
from datetime import UTC, datetime
from pathlib import Path

import pytest

from producers.backup.archive import Archive, Header, Writer
from producers.refusals import BadOrder, Refusal

pytestmark = pytest.mark.quick
MADE = datetime(2026, 3, 2, 12, tzinfo=UTC)


def written(path: Path, *, rows: int = 50, told: int | None = None) -> bytes:
    """An archive of one table; the bytes of the file."""
    header = Header(MADE, "pre_0001", "sqlite", {"plan": ["name", "cpus"]}, {"plan": rows if told is None else told}, token=7, files=["secret.key"])
    with path.open("wb") as raw, gzip.GzipFile(fileobj=raw, mode="wb", filename="") as out:
        writer = Writer(out, header)
        writer.begin()
        writer.file("secret.key", "not for everybody")
        writer.table("plan")
        writer.rows([(f"plan-{number}", number) for number in range(rows)])
        writer.end()
    return path.read_bytes()


def test_what_was_written_is_read(tmp_path: Path) -> None:
    written(tmp_path / "b")
    archive = Archive(tmp_path / "b")
    archive.check()
    assert archive.header.made_at == MADE
    assert archive.files() == {"secret.key": "not for everybody"}
    assert [row for _, rows in archive.tables() for row in rows] == [[f"plan-{number}", number] for number in range(50)]


def test_a_file_that_was_cut_off_anywhere_is_torn(tmp_path: Path) -> None:
    whole = written(tmp_path / "b")
    for length in range(len(whole)):
        (tmp_path / "b").write_bytes(whole[:length])
        with pytest.raises(BadOrder, match=r"torn|is no backup"):
            Archive(tmp_path / "b").check()


def test_a_byte_that_changed_is_noticed(tmp_path: Path) -> None:
    whole = written(tmp_path / "b", rows=10)
    for place in range(10, len(whole)):  # the first ten bytes are gzip's own header: its time and system say nothing
        (tmp_path / "b").write_bytes(whole[:place] + bytes([whole[place] ^ 0x10]) + whole[place + 1 :])
        with pytest.raises(BadOrder):
            Archive(tmp_path / "b").check()


def test_rows_that_were_taken_out_are_missed_though_the_file_is_sound(tmp_path: Path) -> None:
    lines = gzip.decompress(written(tmp_path / "b")).splitlines(keepends=True)
    (tmp_path / "b").write_bytes(gzip.compress(b"".join(line for line in lines if b'"plan-7"' not in line)))
    with pytest.raises(BadOrder, match="checksum"):
        Archive(tmp_path / "b").check()
    written(tmp_path / "c", rows=9, told=10)
    with pytest.raises(BadOrder, match="not all rows"):
        Archive(tmp_path / "c").check()


@pytest.mark.parametrize(
    "content",
    [b"", b"a letter", gzip.compress(b"a letter"), gzip.compress(b'{"vzq": 1}\n'), gzip.compress(b"[1]\n")],
    ids=["nothing", "a letter", "a zipped letter", "another head", "a list"],  # gzip writes the time into its bytes
)
def test_what_is_no_backup_is_called_so(tmp_path: Path, content: bytes) -> None:
    (tmp_path / "b").write_bytes(content)
    with pytest.raises(BadOrder, match=r"is no backup|torn"):
        Archive(tmp_path / "b").check()


def test_a_format_of_the_future_is_refused_by_name(tmp_path: Path) -> None:
    (tmp_path / "b").write_bytes(gzip.compress(json.dumps({"vzq": "backup", "format": 2}).encode() + b"\n"))
    with pytest.raises(Refusal, match="newer vzq"):
        Archive(tmp_path / "b")
