"""No reader meets half a file, and who must be alone is."""

import errno
import json
import os
import subprocess
import sys
import time

import numpy as np
import pandas as pd
import pyarrow.parquet as pq
import pytest
from filelock import FileLock

from selfie_utils.core.errors import SelfieError
from selfie_utils.core.files import locked, write_json, write_table, written_whole


def test_a_file_appears_whole_and_nothing_stays_beside_it(tmp_path):
    path = tmp_path / "new" / "folder" / "table.csv"
    with written_whole(path) as partial:
        partial.write_text("half")
        assert not path.exists() and partial.parent == path.parent
        assert partial.suffix == ".csv" and partial.name.startswith(".table.")  # hidden, and of its format
        partial.write_text("whole")
    assert path.read_text() == "whole" and os.listdir(path.parent) == ["table.csv"]


def test_a_write_that_fails_leaves_the_old_file_as_it_was(tmp_path):
    path = tmp_path / "table.csv"
    path.write_text("old")
    for error in (ValueError, KeyboardInterrupt):
        with pytest.raises(error), written_whole(path) as partial:
            partial.write_text("half")
            raise error
        assert path.read_text() == "old" and os.listdir(tmp_path) == ["table.csv"]
    with pytest.raises(FileNotFoundError), written_whole(path):
        pass  # nothing was written at all
    assert path.read_text() == "old"


WRITE = """
import sys
from pathlib import Path
from selfie_utils.core.files import written_whole
with written_whole(Path(sys.argv[1])) as partial:
    partial.write_text("theirs")
"""


def test_two_processes_that_write_one_file_at_once_do_not_take_each_other_s(tmp_path):
    path = tmp_path / "table.csv"
    with written_whole(path) as partial:
        partial.write_text("ours")
        subprocess.run([sys.executable, "-c", WRITE, path], check=True)
        assert path.read_text() == "theirs" and partial.read_text() == "ours"
    assert path.read_text() == "ours" and os.listdir(tmp_path) == ["table.csv"]


def test_json_is_readable_and_takes_numbers_of_numpy(tmp_path):
    write_json(tmp_path / "a.json", {"n": np.int64(3), "x": np.array([0.5, 1.0]), "name": "süß"})
    text = (tmp_path / "a.json").read_text(encoding="utf-8")
    assert json.loads(text) == {"n": 3, "x": [0.5, 1.0], "name": "süß"}
    assert text.startswith('{\n  "n": 3,\n') and text.endswith("}\n") and "süß" in text
    with pytest.raises(AttributeError):
        write_json(tmp_path / "a.json", {"n": object()})
    assert (tmp_path / "a.json").read_text(encoding="utf-8") == text


def test_a_table_keeps_its_columns_and_types_without_its_index(tmp_path):
    table = pd.DataFrame({"id": ["b", "a"], "likes": [2**53 + 1, 3], "score": [0.5, np.nan]}, index=[7, 3])
    write_table(tmp_path / "t.parquet", table)
    again = pd.read_parquet(tmp_path / "t.parquet")
    pd.testing.assert_frame_equal(again, table.reset_index(drop=True))
    assert os.listdir(tmp_path) == ["t.parquet"]
    assert pq.read_metadata(tmp_path / "t.parquet").row_group(0).column(0).compression == "ZSTD"


TOLD = "Process {process} is at work."


def test_a_second_one_is_told_who_holds_the_lock(tmp_path):
    lock = tmp_path / "new" / "folder" / ".lock"
    lock.parent.mkdir(parents=True)
    (lock.parent / ".lock.process").write_text("99999999999999999\n")  # longer than what takes its place
    with locked(lock, TOLD):
        begun = time.monotonic()
        with pytest.raises(SelfieError, match=rf"^Process {os.getpid()} is at work\.$"), locked(lock, TOLD):
            pass
        assert time.monotonic() - begun < 30  # without patience there is nothing to wait for
    assert not (lock.parent / ".lock.process").exists()


def test_a_lock_is_free_afterwards_and_its_folder_is_made(tmp_path):
    lock = tmp_path / "new" / "folder" / ".lock"
    for _ in range(2):
        with locked(lock, TOLD):
            pass
    with pytest.raises(ValueError), locked(lock, TOLD):
        raise ValueError
    with locked(lock, TOLD):
        pass


HOLD = """
import sys, time
from pathlib import Path
from selfie_utils.core.files import locked
with locked(Path(sys.argv[1]), ""):
    print("held", flush=True)
    sys.stdin.read()
"""


TRY = """
import sys
from pathlib import Path
from selfie_utils.core.errors import SelfieError
from selfie_utils.core.files import locked
try:
    with locked(Path(sys.argv[1]), sys.argv[2]):
        pass
except SelfieError as error:
    print(error, end="")
"""


def told_from_elsewhere(lock):
    """What another process is told that wants the lock; nothing where it gets it."""
    done = subprocess.run([sys.executable, "-c", TRY, lock, TOLD], capture_output=True, text=True)
    assert done.returncode == 0, done.stderr
    return done.stdout


@pytest.fixture
def holder(tmp_path):
    """Another process that holds the lock until its input ends."""
    command = [sys.executable, "-c", HOLD, str(tmp_path / ".lock")]
    with subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True) as process:
        assert process.stdout.readline() == "held\n"
        yield process
        process.kill()


def test_the_lock_of_a_process_that_was_killed_is_free(tmp_path, holder):
    with pytest.raises(SelfieError, match=f"Process {holder.pid} is"), locked(tmp_path / ".lock", TOLD):
        pass
    begun = time.monotonic()
    with pytest.raises(SelfieError), locked(tmp_path / ".lock", TOLD, patience=0.5):
        pass
    assert time.monotonic() - begun >= 0.5
    holder.kill()
    holder.wait()
    assert told_from_elsewhere(tmp_path / ".lock") == ""  # once more, now in a third process
    with locked(tmp_path / ".lock", TOLD):
        assert told_from_elsewhere(tmp_path / ".lock") == f"Process {os.getpid()} is at work."


def test_who_has_patience_gets_the_lock_once_it_is_free(tmp_path, holder):
    holder.stdin.close()  # it ends, some moments from now
    with locked(tmp_path / ".lock", TOLD, patience=60):
        assert told_from_elsewhere(tmp_path / ".lock") == f"Process {os.getpid()} is at work."


def test_who_holds_a_lock_without_having_said_so_is_another(tmp_path, holder):
    for text in (None, " \n"):
        (tmp_path / ".lock.process").unlink(missing_ok=True)
        if text is not None:
            (tmp_path / ".lock.process").write_text(text)
        assert told_from_elsewhere(tmp_path / ".lock") == "Process another is at work."


@pytest.mark.parametrize("number", [errno.ENOLCK, errno.ENOTSUP, errno.ENOSYS])
def test_on_a_disk_that_knows_no_locks_the_work_is_done_without(tmp_path, monkeypatch, number):
    def refuse(lock):
        raise OSError(number, "no locks")

    monkeypatch.setattr(FileLock, "_acquire", refuse)
    with locked(tmp_path / ".lock", TOLD):
        done = True
    assert done
    monkeypatch.setattr(FileLock, "_acquire", lambda lock: refuse_for_good())
    with pytest.raises(PermissionError), locked(tmp_path / ".lock", TOLD):
        pass


def refuse_for_good():
    raise PermissionError(errno.EACCES, "not yours")
