"""Names of jobs only grow; secrets open with their own key only."""

import random
import stat
from datetime import timedelta
from pathlib import Path

import pytest

from models.ids import JobIds
from models.vault import Vault, VaultError, make_key_file
from models.whitelist import JOB_ID
from tests.stand_ins import ManualClock

pytestmark = pytest.mark.quick


def test_ids_grow_within_one_millisecond_and_when_the_clock_is_set_back(clock: ManualClock) -> None:
    ids = JobIds(clock, random.Random(1))
    given = [ids.next() for _ in range(500)]
    clock.set_back(timedelta(hours=1))
    given += [ids.next() for _ in range(500)]
    clock.pass_(timedelta(hours=2))
    given.append(ids.next())
    assert given == sorted(set(given))
    assert all(JOB_ID.fullmatch(one) for one in given)


def test_two_processes_give_out_different_ids_at_the_same_moment(clock: ManualClock) -> None:
    assert not {JobIds(clock).next() for _ in range(50)} & {JobIds(clock).next() for _ in range(50)}


@pytest.fixture
def vault(tmp_path: Path) -> Vault:
    make_key_file(tmp_path / "key")
    return Vault(tmp_path / "key")


def test_what_is_sealed_opens_and_shows_nothing(vault: Vault) -> None:
    sealed = vault.seal("sesame-open-9")
    assert "sesame" not in sealed
    assert vault.open(sealed) == "sesame-open-9"
    assert vault.seal("sesame-open-9") != sealed


def test_the_key_is_its_owners_only_and_is_never_written_over(tmp_path: Path) -> None:
    make_key_file(tmp_path / "key")
    first = (tmp_path / "key").read_text()
    make_key_file(tmp_path / "key")
    assert (tmp_path / "key").read_text() == first
    assert stat.S_IMODE((tmp_path / "key").stat().st_mode) == 0o600


def test_another_key_opens_nothing_and_says_what_to_do(vault: Vault, tmp_path: Path) -> None:
    sealed = vault.seal("sesame-open-9")
    make_key_file(tmp_path / "other")
    with pytest.raises(VaultError, match="put the old key back as a second line"):
        Vault(tmp_path / "other").open(sealed)


def test_a_new_key_in_front_opens_what_the_old_one_sealed(vault: Vault, tmp_path: Path) -> None:
    sealed, print_before = vault.seal("sesame-open-9"), vault.fingerprint("sesame-open-9")
    make_key_file(tmp_path / "other")
    (tmp_path / "key").write_text((tmp_path / "other").read_text() + (tmp_path / "key").read_text())
    assert vault.open(sealed) == "sesame-open-9"
    assert vault.fingerprint("sesame-open-9") == print_before


def test_a_fingerprint_tells_texts_apart_and_needs_the_key(vault: Vault, tmp_path: Path) -> None:
    assert vault.fingerprint("one-secret") == vault.fingerprint("one-secret") != vault.fingerprint("two-secret")
    make_key_file(tmp_path / "other")
    assert Vault(tmp_path / "other").fingerprint("one-secret") != vault.fingerprint("one-secret")


def test_without_a_key_nothing_is_sealed(tmp_path: Path) -> None:
    with pytest.raises(VaultError, match="no usable key in"):
        Vault(tmp_path / "none").seal("sesame-open-9")
