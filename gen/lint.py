"""Has buf check the contract: its style, its format, and that it breaks nothing that main already offers.

buf works on descriptor sets here: the compiled contract, and the one that main keeps in gen/descriptors/.
"""

import subprocess
import sys
import tempfile
from pathlib import Path

from contract import PROTO, ROOT, compile_contract

BUF = Path(sys.executable).parent / "buf"
PUBLISHED = "gen/descriptors/taskflow.binpb"
BRANCHES = ["main", "origin/main"]  # a detached clone may know only the second


def buf(*arguments: str | Path) -> None:
    finished = subprocess.run([BUF, *arguments], cwd=ROOT, check=False)
    if finished.returncode != 0:
        sys.exit(f"failed: buf {' '.join(map(str, arguments))}")


def published_contract() -> bytes | None:
    """The descriptor set on main, where this branch left it; None in a clone without main.

    What main gained since is not broken by a branch that has not seen it. A shallow clone may not know where that was:
    then main itself is compared with.
    """
    for branch in BRANCHES:
        base = git("merge-base", "HEAD", branch).decode().strip() or branch
        if published := git("show", f"{base}:{PUBLISHED}"):
            return published
    return None


def git(*arguments: str) -> bytes:
    """What git prints; nothing if it does not know what was asked for."""
    command = ["git", *arguments]
    finished = subprocess.run(command, cwd=ROOT, capture_output=True, check=False)
    return finished.stdout if finished.returncode == 0 else b""


def main() -> None:
    buf("format", PROTO, "--diff", "--exit-code")
    with tempfile.TemporaryDirectory() as name:
        contract = compile_contract(Path(name))
        buf("lint", contract)
        published = published_contract()
        if published is None:
            print(f"buf breaking: skipped, for there is no {PUBLISHED} on {' or '.join(BRANCHES)}")
            return
        before = Path(name, "published.binpb")
        before.write_bytes(published)
        buf("breaking", contract, "--against", before)


if __name__ == "__main__":
    main()
