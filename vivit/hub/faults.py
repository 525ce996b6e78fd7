"""What goes wrong between here and the Hugging Face Hub, each in a sentence that says what to do."""

import errno
import re
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any
from urllib.parse import urlsplit

from vivit.errors import UserError

DISK_FULL = (errno.ENOSPC, errno.EDQUOT, errno.EFBIG)
STILL = "What is embedded or already downloaded still works."
NOT_THE_HUB = (
    "What answers at the Hub's address is not a Hugging Face Hub. Check HF_ENDPOINT, your proxy and your network."
)


class HubError(UserError, OSError):
    """A checkpoint or clip could not be found or fetched; `details` quotes the client.

    Args:
        unknown: whether the Hub may not know the name at all, so that something else may have been meant.
    """

    def __init__(self, sentence: str, details: str = "", *, unknown: bool = False) -> None:
        super().__init__(sentence, details)
        self.unknown = unknown


@contextmanager
def sentences(repository: str) -> Iterator[None]:
    """Turn whatever the client, the network or the disk raises into a `HubError` about this repository."""
    import httpx2
    from huggingface_hub.errors import HFValidationError

    try:
        yield
    except HubError:
        raise
    except (OSError, httpx2.HTTPError, httpx2.InvalidURL, HFValidationError) as error:
        raise HubError(_sentence(error, repository), redact(error), unknown=_is_unknown(error)) from None


def redact(error: Exception) -> str:
    """The client's own words, without the token and without what signs an address."""
    from huggingface_hub import get_token

    text = re.sub(r"(https?://[^\s'\"?]+)\?[^\s'\"]+", r"\1?…", f"{type(error).__name__}: {error}")
    text = re.sub(r"Bearer [^\s'\"]+", "Bearer …", text)
    token = get_token()
    return text.replace(token, "…") if token else text


def _sentence(error: Exception, repository: str) -> str:
    import httpx2
    from huggingface_hub import constants, errors

    host = urlsplit(constants.ENDPOINT).hostname
    if isinstance(error, errors.HFValidationError):
        return (
            f"'{repository}' is not the name of a Hub repository. Give one such as 'google/vivit-b-16x2-kinetics400'."
        )
    if isinstance(error, errors.OfflineModeIsEnabled):
        return f"'{repository}' is not on this machine, and HF_HUB_OFFLINE is set. Unset it to ask the Hub. {STILL}"
    if isinstance(error, errors.HfHubHTTPError):
        return _refusal(error, repository)
    if isinstance(error, errors.LocalTokenNotFoundError):
        return (
            f"token=True wants '{repository}' with the token of this machine, and none is stored here: log in with "
            "`hf auth login`, or give the token itself."
        )
    if isinstance(error, httpx2.ProxyError):
        return f"The proxy between this machine and the Hub refused '{repository}'. Check HTTPS_PROXY. {STILL}"
    if isinstance(error, httpx2.TimeoutException | TimeoutError):
        return f"The Hub ({host}) did not answer in time about '{repository}'. Try again in a while. {STILL}"
    if isinstance(error, httpx2.ConnectError):
        if re.search(r"Errno -\d|getaddrinfo|name resolution|nodename", str(error)):
            return f"The Hub's address ({host}) could not be looked up. Check the network and its DNS. {STILL}"
        return f"The Hub ({host}) cannot be reached. Check the network, then try again. {STILL}"
    if isinstance(error, httpx2.HTTPError | httpx2.InvalidURL):
        return f"The connection to the Hub ({host}) broke while asking about '{repository}'. Try again. {STILL}"
    if isinstance(error, OSError) and error.errno in DISK_FULL:
        return (
            "The disk of the Hub cache is full. Free some space, or set HF_HOME to a folder on another disk, and try "
            "again: what has arrived is kept."
        )
    return (
        f"The Hub cache cannot be written ({(getattr(error, 'strerror', None) or type(error).__name__).lower()}). "
        "Check its permissions, or set HF_HOME to a folder of yours."
    )


def _is_unknown(error: Exception) -> bool:
    """Whether no such repository was found, or none could be looked for."""
    import httpx2
    from huggingface_hub import errors

    if isinstance(error, errors.HfHubHTTPError):
        found = (
            errors.GatedRepoError | errors.RevisionNotFoundError | errors.EntryNotFoundError | errors.DisabledRepoError
        )
        return error.response.status_code in (401, 404) and not isinstance(error, found)
    return isinstance(error, errors.HFValidationError | errors.OfflineModeIsEnabled | httpx2.HTTPError)


def _refusal(error: Any, repository: str) -> str:
    """The sentence for an answer of the Hub that is an error."""
    from huggingface_hub import errors

    answer = error.response
    log_in = "log in with `hf auth login` or set HF_TOKEN"
    if isinstance(error, errors.GatedRepoError):
        return (
            f"'{repository}' is gated: accept its conditions at https://huggingface.co/{repository}, then {log_in}, "
            "and try again."
        )
    if isinstance(error, errors.RevisionNotFoundError):
        return (
            f"'{repository}' has no such revision. Leave it empty for the newest, or give a branch, a tag or a commit."
        )
    if isinstance(error, errors.EntryNotFoundError):
        return f"'{repository}' has no such file ({urlsplit(str(answer.url)).path.rsplit('/', 1)[-1]}). Choose another."
    if isinstance(error, errors.DisabledRepoError):
        return f"'{repository}' has been disabled on the Hub. Choose another."
    if "Invalid credentials" in answer.headers.get("X-Error-Message", ""):
        return f"The Hub does not accept your token: it is mistyped, expired or revoked. Get a new one, then {log_in}."
    if isinstance(error, errors.RepositoryNotFoundError) or answer.status_code in (401, 404):
        return f"There is no public repository '{repository}' on the Hub. Check its name; if it is private, {log_in}."
    if answer.status_code == 403:
        return f"Your token may not read '{repository}'. Give it the permission on the Hub, or {log_in} with another."
    if answer.status_code == 429:
        return f"The Hub asks this machine to wait{_wait(answer.headers)} before the next request. {STILL}"
    if answer.status_code >= 500:
        return f"The Hub has a fault of its own ({answer.status_code}). Try again in a while. {STILL}"
    return f"The Hub refused '{repository}' ({answer.status_code}). Check its name and try again. {STILL}"


def _wait(headers: Any) -> str:
    from huggingface_hub.utils import parse_ratelimit_headers  # type: ignore[attr-defined]

    limit = parse_ratelimit_headers(headers)
    seconds = headers.get("Retry-After", "")
    if limit is not None and limit.remaining == 0:
        seconds = str(limit.reset_in_seconds)
    return f" {seconds} seconds" if seconds.isdigit() else " a while"
