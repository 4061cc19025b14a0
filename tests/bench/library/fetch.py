"""``make corpora``: documentation that nobody here wrote, from Debian packages, into a cache outside the repository.

The packages come through whatever apt this machine is set up with; what it does not offer is named and left out.
Nothing is installed: packages are downloaded and unpacked into a folder of their own.
"""

from __future__ import annotations

import argparse
import os
import shutil
import subprocess
import sys
from pathlib import Path

PACKAGES = (
    ("postgresql-doc-17", "postgresql-doc-16", "postgresql-doc-15"),
    ("python3.13-doc", "python3.12-doc", "python3.11-doc"),
    ("git-doc",),
    ("debian-policy",),
    ("developers-reference",),
    ("bash-doc",),
    ("doc-rfc-std",),
    ("sqlite3-doc",),
    ("apache2-doc",),
)
"""What is fetched: of each row the first that is offered. RFCs are in a component that is often not set up."""


def cache() -> Path:
    """Where corpora and what is made of them are kept unless another folder is named."""
    base = os.environ.get("XDG_CACHE_HOME", "")
    return (Path(base) if base else Path.home() / ".cache") / "deepsearch-tui" / "bench"


def fetch(folder: Path) -> tuple[dict[str, str], list[str]]:
    """Download and unpack what is missing in ``folder``. What there is by name and version, and what is not offered."""
    for tool in ("apt-get", "apt-cache", "dpkg-deb"):
        if shutil.which(tool) is None:
            raise SystemExit(f"{tool} is needed: the corpora are packages of Debian and its relatives.")
    debs, trees = folder / "packages", folder / "trees"
    debs.mkdir(parents=True, exist_ok=True)
    there: dict[str, str] = {}
    missing = []
    for names in PACKAGES:
        name = next((each for each in names if _offered(each)), None)
        if name is None:
            missing.append(names[0])
            continue
        tree = trees / name
        if not tree.exists():
            # As root apt downloads as a user of its own, which may not be able to write here; it then says so and goes on.
            subprocess.run(["apt-get", "download", "-qq", name], cwd=debs, check=True, stderr=subprocess.DEVNULL)
            fresh = trees / f"{name}.new"
            shutil.rmtree(fresh, ignore_errors=True)
            fresh.mkdir(parents=True)
            subprocess.run(["dpkg-deb", "-x", str(_package(debs, name)), str(fresh)], check=True)
            fresh.rename(tree)
        there[name] = _package(debs, name).name.split("_")[1].replace("%3a", ":")
    return there, missing


def _package(debs: Path, name: str) -> Path:
    return max(debs.glob(f"{name}_*.deb"), key=lambda each: each.stat().st_mtime)


def _offered(name: str) -> bool:
    told = subprocess.run(["apt-cache", "policy", name], capture_output=True, text=True, check=True).stdout
    return "Candidate:" in told and "Candidate: (none)" not in told


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--cache", type=Path, default=cache(), help="where to keep them; %(default)s")
    folder = parser.parse_args().cache
    there, missing = fetch(folder)
    for name, version in there.items():
        print(f"{name} {version}  {folder / 'trees' / name}")
    for name in missing:
        print(f"not offered by this machine's apt: {name}", file=sys.stderr)
    if not there:
        raise SystemExit("Nothing could be fetched. Run apt-get update first?")


if __name__ == "__main__":
    main()
