"""The command `selfie`: answers at once, and tells errors in one sentence."""

import json
import subprocess
import sys
import types
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
from toy_project import make_project, write_notebook
from typer.testing import CliRunner

from selfie_utils.analysis.transfer import GUESS, SIMULATED
from selfie_utils.apps.cli import app
from selfie_utils.core.run_folder import RunFolder
from selfie_utils.model.recipe import Recipe
from selfie_utils.synthetic.shards import Settings


def invoke(*arguments: object):
    return CliRunner().invoke(app, [str(a) for a in arguments])


def test_help_comes_at_once_and_imports_nothing_heavy():
    probe = (
        "import sys\nfrom selfie_utils.apps.cli import app\ntry: app(['--help'])\nexcept SystemExit: pass\n"
        "print([m for m in ('torch', 'pandas', 'numpy', 'papermill', 'matplotlib', 'sklearn', 'PIL')"
        " if m in sys.modules])"
    )
    done = subprocess.run([sys.executable, "-c", probe], capture_output=True, text=True)
    assert all(command in done.stdout for command in ("reproduce", "check", "rate", "synthesize"))
    assert done.stdout.splitlines()[-1] == "[]"


def test_an_error_is_one_sentence_on_stderr(tmp_path, monkeypatch):
    make_project(tmp_path)
    monkeypatch.chdir(tmp_path)
    command = [sys.executable, "-m", "selfie_utils.apps.cli", "reproduce", "--only", "09", "--run", "runs/x"]
    done = subprocess.run(command, capture_output=True, text=True)
    assert done.returncode == 1 and done.stdout == ""
    assert done.stderr == "Error: There is no notebook 09: expected one of 00_data, 01_train, 02_gallery.\n"


def test_reproduce_passes_every_option_on(tmp_path, monkeypatch):
    from selfie_utils.runner import reproduce

    asked = []
    monkeypatch.setattr(reproduce, "reproduce", lambda file, options: asked.append((file, options)))
    make_project(tmp_path)
    monkeypatch.chdir(tmp_path / "notebooks")
    options = ["--run", "r", "--only", "02", "--only", "1", "--from", "00", "--force", "--kernel", "k"]
    extra = ["--data", "d", "--network", "n", "--group-size", "10", "--ask", "glasses", "--ask", "hat"]
    extra += ["--set", "00.a=1", "--set", "01.b=x = 2"]
    assert invoke("reproduce", *options, *extra).exit_code == 0
    settings = ("00.a=1", "01.b=x = 2")
    options = reproduce.Options("r", ("02", "1"), "00", True, "k", "d", "n", 10, ("glasses", "hat"), settings)
    assert invoke("reproduce").exit_code == 0 == invoke("reproduce", "mine.yaml").exit_code
    demo, nothing = tmp_path / "notebooks/parameters/demo.yaml", reproduce.Options()
    assert asked == [(demo, options), (demo, nothing), (Path("mine.yaml"), nothing)]
    fields = (None, (), None, False, "python3", None, None, None, (), ())
    assert nothing == reproduce.Options(*fields)


def test_a_notebook_that_fails_ends_the_command_with_code_1_and_the_way_on(tmp_path, monkeypatch):
    make_project(tmp_path)
    write_notebook(tmp_path / "notebooks/00_data.ipynb", "import os; os.kill(os.getpid(), 9)")
    monkeypatch.chdir(tmp_path)
    done = invoke("reproduce")
    assert done.exit_code == 1
    kept = tmp_path / "runs/demo/notebooks/00_data.failed.ipynb"
    assert done.stderr == (
        "Error: 00_data failed, cell [3]: the kernel died: it was killed, most often for lack of memory. "
        f"The notebook is kept as {kept}; go on with --from 00_data when that is fixed.\n"
    )
    assert kept.exists() and not (tmp_path / "runs/demo/scores.parquet").exists()


def test_ctrl_c_is_no_traceback_and_no_success(tmp_path, monkeypatch):
    from selfie_utils.runner import reproduce

    def stopped(file, options):
        raise KeyboardInterrupt

    monkeypatch.setattr(reproduce, "reproduce", stopped)
    monkeypatch.chdir(tmp_path)
    done = invoke("reproduce")
    assert done.exit_code == 130 and done.stderr == "\nStopped; what was finished is kept.\n"


@pytest.mark.parametrize(
    ("arguments", "works"),
    [
        (["synthesize", "x", "--images", 0], False), (["synthesize", "x", "--size", 31], False),
        (["synthesize", "x", "--celebrities", -1], False), (["synthesize", "x", "--twins", -1], False),
        (["tune", "--trials", -1], False), (["tune", "--folds", -1], False), (["rate"], False),
        (["gather", "mastodon", "--instance", "u", "--out", "x", "--posts", -1], False),
        (["gather", "mastodon", "--out", "x"], False), (["import", "ucf", "x"], False), (["forget"], False),
        (["synthesize", "x", "--images", 1, "--size", 32, "--celebrities", 0, "--twins", 0], True),
    ],
)  # fmt: skip
def test_impossible_numbers_and_missing_arguments_are_refused_before_any_work(monkeypatch, arguments, works):
    monkeypatch.setattr("selfie_utils.synthetic.dataset.synthesize", lambda *given: None)
    assert invoke(*arguments).exit_code == (0 if works else 2)


def test_reproduce_runs_the_demo_of_the_project_by_default(tmp_path, monkeypatch):
    make_project(tmp_path, "run_dir: runs/elsewhere\n")
    monkeypatch.chdir(tmp_path)
    done = invoke("reproduce", "--only", "00_data")
    assert done.exit_code == 0, done.output
    assert (tmp_path / "runs/elsewhere/notebooks/00_data.ipynb").exists()
    assert (tmp_path / "runs/elsewhere/reports/index.html").exists()


@pytest.fixture
def rated(tmp_path, monkeypatch):
    """A network that likes one photo and cannot read the other."""
    table = {"photo": ["dull.jpg", "good.jpg", "torn.jpg"], "score": [0.4, 0.75, np.nan]}
    table |= {"percentile": [0.25, 0.9, np.nan], "reason": ["", "", "file is empty"]}
    table["faces"] = pd.array([0, 2, None], "Int64")
    table["outside"] = pd.array([True, False, None], "boolean")
    scoring = types.ModuleType("selfie_utils.model.scorer")
    scoring.asked = []

    def rate_photos(scorer, crowd, photos, outside):
        assert scorer == "the scorer" and crowd.tolist() == [0.3]
        scoring.outside = outside
        return pd.DataFrame(table)[lambda t: t["photo"].isin(map(str, photos))]

    scoring.rate_photos = rate_photos
    scoring.Scorer = lambda run, device: scoring.asked.append((run.root, device)) or "the scorer"
    monkeypatch.setitem(sys.modules, "selfie_utils.model.scorer", scoring)
    cropping = types.ModuleType("selfie_utils.apps.cropping")
    cropping.gains_in_words = lambda scorer, photos: [f"A crop of {photo} gains." for photo in photos]
    monkeypatch.setitem(sys.modules, "selfie_utils.apps.cropping", cropping)
    monkeypatch.setenv("TQDM_DELAY", "2")  # rate sets it; here it goes again
    (tmp_path / "run" / "network").mkdir(parents=True)
    pd.DataFrame({"score": [0.3]}).to_parquet(tmp_path / "run" / "scores.parquet")
    teachers = {"run": "run", "simulated": True, "elsewhere": False}
    (tmp_path / "run" / "network" / "network.json").write_text(json.dumps({"teachers": teachers}))
    return tmp_path / "run"


def test_rate_shows_scores_best_first_and_goes_on_after_a_broken_photo(rated):
    done = invoke("rate", "torn.jpg", "dull.jpg", "good.jpg", "--run", rated)
    lines = [line.split(maxsplit=3) for line in done.stdout.splitlines()]
    assert [" ".join(line) for line in lines[3:]] == [
        f"1 of 2 photos lie outside what the network knows. {SIMULATED} {GUESS}",
        "A crop of dull.jpg gains.",
        "A crop of good.jpg gains.",
    ]
    assert lines[:3] == [
        ["photo", "score", "percentile"], ["good.jpg", "75.0%", "90.0%"],
        [
            "dull.jpg", "40.0%", "25.0%",
            "no face found: the network was taught with faces alone  outside what the network knows",
        ],
    ]  # fmt: skip
    assert done.stderr == "Error: torn.jpg cannot be rated: file is empty.\n" and done.exit_code == 1
    assert invoke("rate", "good.jpg", "--run", rated, "--device", "mps").exit_code == 0
    assert sys.modules["selfie_utils.model.scorer"].asked == [(rated, "auto"), (rated, "mps")]


def test_rate_asks_what_the_network_knows_where_the_run_has_kept_it(rated):
    assert invoke("rate", "good.jpg", "--run", rated).exit_code == 0
    assert sys.modules["selfie_utils.model.scorer"].outside is None
    np.save(rated / "network" / "known.npy", np.tile(np.eye(2, dtype=np.float16)[:1], (40, 1)))
    done = invoke("rate", "good.jpg", "--run", rated)
    assert f"The photo lies inside what the network knows. {SIMULATED}\n" in done.stdout
    outside = sys.modules["selfie_utils.model.scorer"].outside
    assert outside(np.array([[5.0, 0.0], [0.0, 5.0]])).tolist() == [False, True]


def test_tune_passes_every_option_on(tmp_path, monkeypatch):
    from selfie_utils.model import tune

    asked = []
    monkeypatch.setattr(tune, "tune", lambda *given: asked.append(given))
    monkeypatch.setattr(tune, "draw_changes", lambda number, seed: [f"{number} from {seed}"])
    monkeypatch.setattr(tune, "table_in_words", lambda tried, base: f"{base.epochs} epochs")
    (tmp_path / "run").mkdir()
    options = ["--run", tmp_path / "run", "--try", "epochs=2 seed=1", "--try", "dropout=0.5"]
    done = invoke("tune", "epochs=9", "seed=5", *options, "--folds", 4, "--device", "cpu", "--trials", 3)
    assert done.exit_code == 0 and done.stdout == "\n9 epochs\n", done.output
    assert invoke("tune", "seed=5", "--run", tmp_path / "run", "--trials", 3).exit_code == 0
    assert invoke("tune", "--run", tmp_path / "run").exit_code == 0
    run = RunFolder(tmp_path / "run")
    assert [given[:5] for given in asked] == [
        (run, Recipe(epochs=9, seed=5), ["epochs=2 seed=1", "dropout=0.5"], 4, "cpu"),
        (run, Recipe(seed=5), ["3 from 5"], 0, "auto"),
        (run, Recipe(), ["8 from 0"], 0, "auto"),
    ]
    done = invoke("tune", "epocs=9", "--run", tmp_path / "run")
    assert done.exit_code == 1 and "did you mean 'epochs'" in done.stderr


def test_rate_without_a_run_folder_says_what_to_run(tmp_path):
    done = invoke("rate", "a.jpg", "--run", tmp_path / "nowhere")
    assert done.exit_code == 1 and "run notebooks/00_data.ipynb" in done.stderr


def test_check_asks_the_kernel_and_names_the_data():
    done = invoke("check")
    found = dict(
        line.split(maxsplit=1) for line in done.stdout.splitlines() if line.split()[0] in ("python", "GPU")
    )
    assert done.exit_code == 0, done.output
    assert found["python"] == sys.version.split()[0] and found["GPU"]
    assert "library in it     found" in done.stdout and "demo posts" in done.stdout


def test_check_of_an_unknown_kernel_names_the_installed_ones():
    done = invoke("check", "--kernel", "none")
    assert done.exit_code == 1 and "installed are" in done.stderr and "python3" in done.stderr


def test_synthesize_passes_number_seed_and_size_on(monkeypatch, tmp_path):
    asked = {}
    for module, name in (
        ("dataset", "synthesize"),
        ("dataset", "synthesize_celebrities"),
        ("twins", "synthesize_twins"),
    ):
        monkeypatch.setattr(
            f"selfie_utils.synthetic.{module}.{name}", lambda *given, name=name: asked.update({name: given})
        )
    settings = Settings(size=64)
    more = ["--images", "1", "--seed", "4", "--size", "64", "--celebrities", "7", "--twins", "5"]
    assert invoke("synthesize", tmp_path, *more).exit_code == 0
    assert asked == {
        "synthesize": (tmp_path, 1, 4, settings),
        "synthesize_celebrities": (tmp_path, 7, 4, settings),
        "synthesize_twins": (tmp_path, 5, 4, settings),
    }
    asked.clear()
    done = invoke("synthesize", tmp_path, "--images", "40", "--seed", "3", "--size", "64", "--twins", "0")
    assert done.exit_code == 0, done.output
    assert asked == {
        "synthesize": (tmp_path, 40, 3, settings),
        "synthesize_celebrities": (tmp_path, 60, 3, settings),
    }


def test_synthesize_without_its_extra_tells_how_to_install(monkeypatch, tmp_path):
    monkeypatch.setattr("importlib.util.find_spec", lambda name: None)
    done = invoke("synthesize", tmp_path)
    assert done.exit_code == 1 and "[synthetic]" in done.stderr and len(done.stderr.splitlines()) == 1
    assert not list(tmp_path.iterdir())
