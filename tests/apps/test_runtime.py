"""The runtime of the camera page: from npm, held to its hash; a sentence where it can't be had."""

import subprocess

import pytest

from selfie_utils.apps import runtime
from selfie_utils.apps.runtime import find_npm, get_runtime
from selfie_utils.core.errors import SelfieError


def test_an_archive_with_another_hash_is_refused(tmp_path):
    (tmp_path / "a.tgz").write_bytes(b"something else")
    with pytest.raises(SelfieError, match=r"a\.tgz is not onnxruntime-web .* by its hash"):
        get_runtime(tmp_path / "a.tgz")
    with pytest.raises(SelfieError, match="There is no file"):
        get_runtime(tmp_path / "b.tgz")


def test_npm_comes_with_the_extra_where_the_system_has_none(monkeypatch):
    monkeypatch.setattr(runtime.shutil, "which", lambda _: None)
    done = subprocess.run([*find_npm(), "--version"], capture_output=True, text=True)
    assert done.returncode == 0 and done.stdout.split(".")[0].isdigit()
    monkeypatch.setattr(runtime.importlib.util, "find_spec", lambda _: None)
    with pytest.raises(SelfieError, match=r"pip install 'selfie-suite\[web\]'"):
        find_npm()


def test_without_a_network_one_sentence_says_how_to_bring_the_archive(monkeypatch, tmp_path):
    fails = tmp_path / "npm"
    fails.write_text("#!/bin/sh\necho 'getaddrinfo EAI_AGAIN' >&2\nexit 1\n")
    fails.chmod(0o755)
    monkeypatch.setattr(runtime, "find_npm", lambda: [str(fails)])
    with pytest.raises(SelfieError, match=r"EAI_AGAIN.*npm pack onnxruntime-web@.*--runtime"):
        get_runtime()


def test_without_licence_texts_there_is_no_page(monkeypatch):
    assert "MIT License" in runtime.licence_texts() and len(runtime.licence_texts()) > 100_000
    monkeypatch.setattr(runtime, "TEXTS", ("LICENSE", "GONE.txt"))
    with pytest.raises(SelfieError, match=r"GONE\.txt.*a page must carry them"):
        runtime.licence_texts()
