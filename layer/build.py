"""Builds the Lambda layer: `python3 layer/build.py`; with `--authorizer` the function that is an authorizer. The same
files make the same bytes, wherever and whenever.

Wants Python 3.11 and `readelf` (binutils).
"""

import argparse
import os
import re
import subprocess
import sys
import tomllib
import zipfile
from collections.abc import Iterator
from pathlib import Path
from typing import Any

ROOT = Path(__file__).resolve().parents[1]
LAYER = ROOT / "layer"

# What the oldest of the runtimes has: those of Amazon Linux 2023.
GLIBC = (2, 34)

# Lambda unpacks a layer as it was packed: what is to run must be executable.
PROGRAM, TEXT = 0o755, 0o644

# The first moment that a zip file can name.
LONG_AGO = (1980, 1, 1, 0, 0, 0)

# The table of the settings that says what decides: all lines up to the next one's.
POLICIES = re.compile(r"^\[policies\](?:.*\n(?!\[))*.*", re.MULTILINE)


class Refused(Exception):
    """Why there is no layer."""


def main() -> None:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--binary", type=Path, default=ROOT / "target/release/palisade", metavar="FILE")
    parser.add_argument("--policies", type=Path, default=ROOT / "policies", metavar="FOLDER")
    parser.add_argument("--schema", type=Path, default=ROOT / "schema", metavar="FILE|FOLDER")
    parser.add_argument("--entities", type=Path, metavar="FOLDER", help="stored entities, where there are any")
    parser.add_argument("--tests", type=Path, metavar="FOLDER", help="policy tests: what fails them does not start")
    parser.add_argument("--config", type=Path, default=LAYER / "palisade/palisade.toml", metavar="FILE")
    parser.add_argument("--authorizer", type=Path, metavar="FOLDER", help="bootstrap, palisade.toml, routes.toml")
    parser.add_argument("--into", type=Path, metavar="FILE")
    arguments = parser.parse_args()
    what, contents = ("authorizer", of_authorizer) if arguments.authorizer else ("layer", of_layer)
    into = arguments.into or ROOT / f"target/layer/palisade-{what}-x86_64.zip"
    try:
        runs_in_lambda(arguments.binary)
        files = dict(contents(arguments))
        into.parent.mkdir(parents=True, exist_ok=True)
        packed(files, into)
    except (Refused, OSError) as fault:
        sys.exit(f"no {what}: {fault}")
    print(f"{into}: {into.stat().st_size / 1e6:.2f} MB")


# The files of a zip: what is in each, and its mode.
Contents = Iterator[tuple[str, tuple[bytes, int]]]


def of_layer(arguments: argparse.Namespace) -> Contents:
    """What is below /opt."""
    yield "bin/palisade", (arguments.binary.read_bytes(), PROGRAM)
    yield "extensions/palisade", ((LAYER / "extensions/palisade").read_bytes(), PROGRAM)
    yield "palisade/palisade.toml", (settings(arguments.config, arguments), TEXT)
    yield from what_decides(arguments, "palisade/")


def of_authorizer(arguments: argparse.Namespace) -> Contents:
    """What is below /var/task."""
    yield "palisade", (arguments.binary.read_bytes(), PROGRAM)
    yield "bootstrap", ((arguments.authorizer / "bootstrap").read_bytes(), PROGRAM)
    yield "palisade.toml", (settings(arguments.authorizer / "palisade.toml", arguments), TEXT)
    yield "routes.toml", ((arguments.authorizer / "routes.toml").read_bytes(), TEXT)
    yield from what_decides(arguments, "")


def what_decides(arguments: argparse.Namespace, below: str) -> Contents:
    for name in ("policies", "schema", *further(arguments)):
        given: Path = getattr(arguments, name)
        found = list(texts(given))
        if not found:
            raise Refused(f"`{given}` holds no files")
        for path in found:
            inside = path.name if given.is_file() else path.relative_to(given).as_posix()
            yield f"{below}{name}/{inside}", (path.read_bytes(), TEXT)


def further(arguments: argparse.Namespace) -> list[str]:
    """What there need not be."""
    return [name for name in ("entities", "tests") if getattr(arguments, name)]


def settings(config: Path, arguments: argparse.Namespace) -> bytes:
    """With the places of what is packed: without its entities a forbid would apply to nobody."""
    text = config.read_text()
    for name in further(arguments):
        said = parsed(config, text)
        wanted = said | {"policies": said["policies"] | {name: name}}
        if name not in said["policies"]:
            text = uncommented(text, name)
        if parsed(config, text) != wanted:
            raise Refused(
                f'`{config}` does not say `{name} = "{name}"` under `[policies]`: write it there, or nothing would '
                "read them"
            )
    return text.encode()


def parsed(config: Path, text: str) -> dict[str, Any]:
    try:
        said = tomllib.loads(text)
    except tomllib.TOMLDecodeError as fault:
        raise Refused(f"`{config}` is not TOML: {fault}") from fault
    if not isinstance(said.setdefault("policies", {}), dict):
        raise Refused(f"`policies` of `{config}` is not a table")
    return said


def uncommented(text: str, name: str) -> str:
    """Settings of this name in other tables, and what their comments say of it, are none of ours."""
    line = rf'^# ({name} = "{name}")'
    return POLICIES.sub(lambda table: re.sub(line, r"\1", table[0], count=1, flags=re.MULTILINE), text)


def texts(given: Path) -> Iterator[Path]:
    """The file, or what is below the folder; names with a leading dot are skipped, as the service does."""
    if given.is_file():
        yield given
    for folder, folders, names in os.walk(given):
        folders[:] = [name for name in folders if not name.startswith(".")]
        yield from (Path(folder) / name for name in names if not name.startswith("."))


def packed(files: dict[str, tuple[bytes, int]], into: Path) -> None:
    """Without times, owners, and the order that a disk happens to give."""
    with zipfile.ZipFile(into, "w", zipfile.ZIP_DEFLATED, compresslevel=9) as archive:
        for name, (content, mode) in sorted(files.items()):
            entry = zipfile.ZipInfo(name, LONG_AGO)
            entry.create_system = 3  # Unix: the mode counts.
            entry.external_attr = (0o100000 | mode) << 16
            entry.compress_type = zipfile.ZIP_DEFLATED
            archive.writestr(entry, content)


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
