"""Where a result comes from."""

import shutil
import subprocess
from pathlib import Path

from mmaml.runs import provenance


def test_the_commit_is_ours_and_says_so_if_anything_of_ours_was_changed(tmp_path, monkeypatch):
    package = tmp_path / "mmaml"
    (package / "runs").mkdir(parents=True)
    ours = Path(shutil.copy(provenance.__file__, package / "runs"))
    other = package / "core.py"
    monkeypatch.setattr(provenance, "__file__", str(ours))

    def git(*arguments):
        subprocess.run(["git", "-c", "user.name=a", "-c", "user.email=a@b", *arguments], cwd=tmp_path, check=True)

    (tmp_path / "theirs.py").write_text("")
    git("init", "-q")
    git("add", "theirs.py")
    git("commit", "-qm", "theirs")
    assert provenance.provenance()["commit"] is None

    other.write_text("")
    git("add", "mmaml")
    git("commit", "-qm", "ours")
    clean = provenance.provenance()["commit"]
    assert len(clean) == 12

    (tmp_path / "theirs.py").write_text("changed")
    assert provenance.provenance()["commit"] == clean
    other.write_text("changed")
    assert provenance.provenance()["commit"] == f"{clean}+changes"
