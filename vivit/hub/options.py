"""Where a checkpoint is looked for, beside its name: the options of transformers' `from_pretrained`."""

import os
import re
from collections.abc import Mapping
from dataclasses import dataclass, field, fields
from functools import partial
from pathlib import Path, PurePosixPath
from typing import Any


@dataclass(frozen=True)
class HubOptions:
    """How a name is resolved, and which of a checkpoint's files count.

    Args:
        revision: of a Hub repository: a branch, a tag or a commit.
        token: a user's, for the Hub; none if False; if None or True the one stored on this machine, which True requires.
        cache_dir: the Hub's cache; if None the usual one (HF_HOME or HF_HUB_CACHE say where).
        local_files_only: make do with what is on this machine.
        subfolder: in which folder of the checkpoint its files are.
        variant: what stands in the names of its tensor files: 'fp16' for `model.fp16.safetensors`.
        use_safetensors: True for safetensors alone, False for `.bin` alone; safetensors before `.bin` if None.

    Raises:
        ValueError: for what can be none of these.
    """

    revision: str | None = None
    token: str | bool | None = field(default=None, repr=False)
    cache_dir: str | Path | None = None
    local_files_only: bool = False
    subfolder: str = ""
    variant: str | None = None
    use_safetensors: bool | None = None

    def __post_init__(self) -> None:
        settle = partial(object.__setattr__, self)
        if not (self.revision is None or isinstance(self.revision, str)):
            raise ValueError(f"revision must be the name of a branch or a tag, or a commit, not {self.revision!r}")
        if not (self.cache_dir is None or isinstance(self.cache_dir, str | os.PathLike)):
            raise ValueError(f"cache_dir must be a folder's path, not {self.cache_dir!r}")
        subfolder = "" if self.subfolder is None else self.subfolder
        within = isinstance(subfolder, str | os.PathLike) and not re.search(r"[\\\0]|^/|(^|/)\.\.(/|$)", str(subfolder))
        if not within:
            raise ValueError(f"subfolder must name a folder within the checkpoint, not {self.subfolder!r}")
        settle("subfolder", "/".join(PurePosixPath(subfolder).parts))
        if isinstance(self.token, str):
            settle("token", self.token.strip())  # files of tokens end in a new line
        # The client would quote a token that cannot be sent in its error, and no error may show a token.
        if not (self.token is None or isinstance(self.token, bool) or _is_token(self.token)):
            raise ValueError("token must be a user's token, True, False or None")
        if self.variant is not None and not (isinstance(self.variant, str) and re.fullmatch(r"\w[\w-]*", self.variant)):
            raise ValueError(f"variant must be a word such as 'fp16', not {self.variant!r}")
        for name in ("local_files_only", "use_safetensors"):
            if getattr(self, name) not in (True, False, *([None] if name == "use_safetensors" else [])):
                raise ValueError(f"{name} must be True or False, not {getattr(self, name)!r}")

    @property
    def depth(self) -> int:
        """How many folders lie between a checkpoint and its files."""
        return len(PurePosixPath(self.subfolder).parts)

    def weight_files(self) -> list[tuple[str, str, str]]:
        """Where tensors may be, the preferred first: (whole file, index of shards, pattern of the shards' names)."""
        kinds = {"model": "safetensors", "pytorch_model": "bin"}
        if self.use_safetensors is not None:
            del kinds["pytorch_model" if self.use_safetensors else "model"]
        found = []
        for stem, suffix in kinds.items():
            of = f".{self.variant}" if self.variant else ""
            word = re.escape(of)
            shard = rf"{stem}{word}-\d+-of-\d+\.{suffix}" + (rf"|{stem}-\d+-of-\d+{word}\.{suffix}" if of else "")
            found.append((f"{stem}{of}.{suffix}", f"{stem}.{suffix}.index{of}.json", shard))
        return found


def _is_token(value: object) -> bool:
    """Whether this can be sent as a token: printable ASCII without spaces."""
    return isinstance(value, str) and re.fullmatch(r"[!-~]+", value) is not None


USUAL = HubOptions()
OPTION_NAMES = frozenset(f.name for f in fields(HubOptions))


# Options of transformers' `from_pretrained` that change nothing here: a checkpoint's code is never run, `.bin` files are read
# as tensors alone, and a processor has one implementation.
WITHOUT_EFFECT = frozenset({"trust_remote_code", "weights_only", "use_fast"})
SWITCHED_OFF = frozenset(
    {"force_download", "resume_download", "proxies", "mirror"}
)  # without effect where their value is false


def split_options(options: Mapping[str, Any]) -> tuple[HubOptions, dict[str, Any]]:
    """The options as `HubOptions`, and the others without those that have no effect. Raises ValueError as `HubOptions` does."""
    ours = {name: value for name, value in options.items() if name in OPTION_NAMES}
    others = {
        name: value
        for name, value in options.items()
        if name not in OPTION_NAMES | WITHOUT_EFFECT and (value or name not in SWITCHED_OFF)
    }
    return HubOptions(**ours), others
