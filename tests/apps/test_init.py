"""`selfie init`: a folder to work in, where nothing that was there is lost."""

from pathlib import Path

from typer.testing import CliRunner

from selfie_utils.apps.cli import app
from selfie_utils.apps.diagnosis import notebooks_in_words

PROJECT = Path(__file__).parents[2]


def init(folder: Path):
    return CliRunner().invoke(app, ["init", str(folder)])


def test_everything_is_copied_as_it_is_and_may_be_written_to(tmp_path):
    done = init(tmp_path / "new/mine")
    copied = [path for path in (tmp_path / "new/mine").rglob("*") if path.is_file()]
    assert done.stdout.startswith(f"{len(copied)} files copied to {tmp_path / 'new/mine'}.\nNext: cd ")
    for path in copied:
        name = path.relative_to(tmp_path / "new/mine")
        assert name.name == "README.md" or path.read_bytes() == (PROJECT / name).read_bytes()
        assert path.stat().st_mode & 0o600 == 0o600
    assert (tmp_path / "new/mine/notebooks/parameters/demo.yaml") in copied


def test_what_exists_is_left_alone_and_named(tmp_path):
    changed, own = tmp_path / "notebooks/00_data.ipynb", tmp_path / "README.md"
    changed.parent.mkdir()
    changed.write_text("changed")
    own.symlink_to("nowhere")  # a link that leads nowhere is somebody's, too
    first = init(tmp_path)
    assert "\nLeft alone, since they exist: notebooks/00_data.ipynb, README.md.\n" in first.stdout
    assert changed.read_text() == "changed" and own.is_symlink()
    changed.unlink()
    second = init(tmp_path)
    assert second.stdout.startswith("1 file copied") and changed.read_text() != "changed"
    assert "notebooks/parameters/smoke.yaml" in second.stdout and "00_data" not in second.stdout
    assert init(tmp_path).stdout.startswith("Left alone")  # nothing was missing


def test_where_nothing_can_be_written_one_sentence_says_so(tmp_path):
    (tmp_path / "file").write_text("mine")
    for folder in (tmp_path / "file", tmp_path / "file/below"):
        done = init(folder)
        assert done.exit_code == 1 and done.stdout == "" and done.stderr.count("\n") == 1
        assert (
            "cannot be written (" in done.stderr and "give a folder that is yours to write to" in done.stderr
        )
    assert (tmp_path / "file").read_text() == "mine"


def test_check_says_which_notebooks_run_or_that_there_are_none(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    assert f" in {PROJECT / 'notebooks'} (they came with the library" in notebooks_in_words()
    (tmp_path / "notebooks/parameters").mkdir(parents=True)
    assert notebooks_in_words().startswith(f"MISSING: There are no notebooks in {tmp_path / 'notebooks'}: ")
    (tmp_path / "notebooks/03_own.ipynb").write_text("{}")
    assert notebooks_in_words() == f"1 in {tmp_path / 'notebooks'}"
