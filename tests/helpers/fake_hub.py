"""The Hugging Face hub as a folder: huggingface_hub's own cache, offline, and pushes into it."""

import inspect
import shutil
from pathlib import Path

import huggingface_hub
from huggingface_hub import constants

COMMIT = 40 * "a"


class FakeHub:
    """Repositories in the layout of huggingface_hub's cache, which reads them without a network."""

    def __init__(self, root: Path, monkeypatch):
        self.root = root
        self.calls = []
        monkeypatch.setattr(constants, "HF_HUB_OFFLINE", True)
        monkeypatch.setattr(constants, "HF_HUB_CACHE", str(root))
        api = huggingface_hub.HfApi
        self._signatures = {
            name: inspect.signature(getattr(api, name)) for name in ("create_repo", "upload_folder")
        }
        monkeypatch.setattr(api, "create_repo", self._create_repo)
        monkeypatch.setattr(api, "upload_folder", self._upload_folder)

    def folder(self, repo_id: str, commit: str = COMMIT, ref: str = "main") -> Path:
        """Return where the files of a repository lie at a commit; make it if it is not there."""
        repository = self.root / f"models--{repo_id.replace('/', '--')}"
        (repository / "refs").mkdir(parents=True, exist_ok=True)
        (repository / "refs" / ref).write_text(commit)
        snapshot = repository / "snapshots" / commit
        snapshot.mkdir(parents=True, exist_ok=True)
        return snapshot

    def _create_repo(self, *args, **kwargs):
        self._bind("create_repo", args, kwargs)

    def _upload_folder(self, *args, **kwargs):
        given = self._bind("upload_folder", args, kwargs)
        shutil.copytree(given["folder_path"], self.folder(given["repo_id"]), dirs_exist_ok=True)

    def _bind(self, name, args, kwargs) -> dict:
        """Check arguments against the real function, and note them."""
        given = self._signatures[name].bind(None, *args, **kwargs).arguments
        given.pop("self")
        self.calls.append((name, given))
        return given
