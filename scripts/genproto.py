"""Generate `smarketing/api` from `protos/`, or check that it is current.

`--check` writes to a temporary folder and compares; the exit status is 1 on any difference.
Both ways leave a descriptor image of our files in `build/api.binpb` for `buf`.
"""

import argparse
import filecmp
import os
import shutil
import sys
import tempfile
from importlib import resources
from pathlib import Path

from google.api import field_behavior_pb2
from grpc_tools import protoc

ROOT = Path(__file__).resolve().parent.parent
PROTOS = ROOT / "protos"
PACKAGE = Path("smarketing/api")


def _includes() -> list[str]:
    well_known = resources.files("grpc_tools") / "_proto"
    annotations = Path(field_behavior_pb2.__file__).parent.parent.parent
    return [f"-I{PROTOS}", f"-I{well_known}", f"-I{annotations}"]


def generate(target: Path) -> None:
    """Write the Python modules, their stubs and `__init__.py` files below `target`."""
    # The plugins stand beside the interpreter, which need not be on the path.
    os.environ["PATH"] = os.pathsep.join([str(Path(sys.executable).parent), os.environ.get("PATH", "")])
    files = sorted(str(path.relative_to(PROTOS)) for path in PROTOS.rglob("*.proto"))
    outputs = [f"--{kind}_out={target}" for kind in ("python", "grpc_python", "mypy", "mypy_grpc")]
    if protoc.main(["protoc", *_includes(), *outputs, *files]) != 0:
        sys.exit(1)
    for folder in (target / PACKAGE, *(target / PACKAGE).rglob("*")):
        if folder.is_dir() and folder.name != "__pycache__":
            (folder / "__init__.py").write_text('"""Generated from protos/; do not edit."""\n')


def write_image() -> None:
    """Write our files and their imports as one descriptor image, for lint and breaking checks."""
    image = ROOT / "build/api.binpb"
    image.parent.mkdir(exist_ok=True)
    files = sorted(str(path.relative_to(PROTOS)) for path in PROTOS.rglob("*.proto"))
    arguments = [f"--descriptor_set_out={image}", "--include_imports", "--include_source_info"]
    if protoc.main(["protoc", *_includes(), *arguments, *files]) != 0:
        sys.exit(1)


def _contents(folder: Path) -> set[Path]:
    return {path.relative_to(folder) for path in folder.rglob("*.py*") if "__pycache__" not in path.parts}


def stale(fresh: Path, committed: Path) -> list[Path]:
    """Return the files that differ between two generated trees, or exist in one only."""
    ours, theirs = _contents(fresh), _contents(committed)
    differing = [
        path for path in ours & theirs if not filecmp.cmp(fresh / path, committed / path, shallow=False)
    ]
    return sorted(ours ^ theirs) + sorted(differing)


def main() -> int:
    """Generate, or compare with `--check`."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--check", action="store_true", help="compare instead of writing")
    arguments = parser.parse_args()
    write_image()
    if not arguments.check:
        with tempfile.TemporaryDirectory(dir=ROOT / "build") as temporary:
            # Aside first: a fault of the compiler leaves what was there.
            generate(Path(temporary))
            shutil.rmtree(ROOT / PACKAGE, ignore_errors=True)
            shutil.move(Path(temporary) / PACKAGE, ROOT / PACKAGE)
        return 0
    with tempfile.TemporaryDirectory() as temporary:
        generate(Path(temporary))
        differences = stale(Path(temporary) / PACKAGE, ROOT / PACKAGE)
    for path in differences:
        print(f"stale: smarketing/api/{path}; run `make proto`")
    return 1 if differences else 0


if __name__ == "__main__":
    sys.exit(main())
