"""Builds the Lambda layer: `python3 layer/build.py`. The same files make the same bytes, wherever and whenever.

Wants `readelf` (binutils).
"""

import argparse
import os
import re
import subprocess
import sys
import zipfile
from collections.abc import Iterator
from pathlib import Path

ROOT = Path(__file__).resolve().parents[1]
LAYER = ROOT / "layer"

# What the oldest of the runtimes has: those of Amazon Linux 2023.
GLIBC = (2, 34)

# Lambda unpacks a layer as it was packed: what is to run must be executable.
PROGRAM, TEXT = 0o755, 0o644

# The first moment that a zip file can name.
LONG_AGO = (1980, 1, 1, 0, 0, 0)


class Refused(Exception):
    """Why there is no layer."""


def main() -> None:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--binary", type=Path, default=ROOT / "target/release/palisade", metavar="FILE")
    parser.add_argument("--policies", type=Path, default=ROOT / "policies", metavar="FOLDER")
    parser.add_argument("--schema", type=Path, default=ROOT / "schema", metavar="FILE|FOLDER")
    parser.add_argument("--config", type=Path, default=LAYER / "palisade/palisade.toml", metavar="FILE")
    parser.add_argument(
        "--into", type=Path, default=ROOT / "target/layer/palisade-layer-x86_64.zip", metavar="FILE"
    )
    arguments = parser.parse_args()
    try:
        runs_in_lambda(arguments.binary)
        files = dict(contents(arguments))
        arguments.into.parent.mkdir(parents=True, exist_ok=True)
        packed(files, arguments.into)
    except (Refused, OSError) as fault:
        sys.exit(f"no layer: {fault}")
    print(f"{arguments.into}: {arguments.into.stat().st_size / 1e6:.2f} MB")


def contents(arguments: argparse.Namespace) -> Iterator[tuple[str, tuple[Path, int]]]:
    """The files below /opt: which one each is, and its mode."""
    yield "bin/palisade", (arguments.binary, PROGRAM)
    yield "extensions/palisade", (LAYER / "extensions/palisade", PROGRAM)
    yield "palisade/palisade.toml", (arguments.config, TEXT)
    for name, given in (("policies", arguments.policies), ("schema", arguments.schema)):
        found = list(texts(given))
        if not found:
            raise Refused(f"`{given}` holds no files")
        for path in found:
            below = path.name if given.is_file() else path.relative_to(given).as_posix()
            yield f"palisade/{name}/{below}", (path, TEXT)


def texts(given: Path) -> Iterator[Path]:
    """The file, or what is below the folder; names with a leading dot are skipped, as the service does."""
    if given.is_file():
        yield given
    for folder, folders, names in os.walk(given):
        folders[:] = [name for name in folders if not name.startswith(".")]
        yield from (Path(folder) / name for name in names if not name.startswith("."))


def packed(files: dict[str, tuple[Path, int]], into: Path) -> None:
    """Without times, owners, and the order that a disk happens to give."""
    with zipfile.ZipFile(into, "w", zipfile.ZIP_DEFLATED, compresslevel=9) as archive:
        for name, (path, mode) in sorted(files.items()):
            entry = zipfile.ZipInfo(name, LONG_AGO)
            entry.create_system = 3  # Unix: the mode counts.
            entry.external_attr = (0o100000 | mode) << 16
            entry.compress_type = zipfile.ZIP_DEFLATED
            archive.writestr(entry, path.read_bytes())


def runs_in_lambda(binary: Path) -> None:
    """Refuses a program that the dynamic linker of the oldest runtime would refuse."""
    read = subprocess.run(
        ["readelf", "--wide", "--file-header", "--version-info", binary],
        env=os.environ | {"LC_ALL": "C"},
        capture_output=True,
        text=True,
        check=False,
    )
    if read.returncode != 0 or "X86-64" not in read.stdout:
        raise Refused(f"`{binary}` is no program for x86_64: {read.stderr.strip()}")
    wanted = {tuple(map(int, found.split("."))) for found in re.findall(r"Name: GLIBC_([\d.]+)", read.stdout)}
    if newer := sorted(version for version in wanted if version > GLIBC):
        named = ", ".join("GLIBC_" + ".".join(map(str, version)) for version in newer)
        raise Refused(
            f"`{binary}` wants {named}, and Lambda has {'.'.join(map(str, GLIBC))}: it was built on a newer "
            "system; build it in the image (layer/README.md says how) and name it with BINARY=…"
        )


if __name__ == "__main__":
    main()
