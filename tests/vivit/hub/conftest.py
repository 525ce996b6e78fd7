"""A server that answers as the Hub does, and the real client against it."""

import re
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from tests.hub_client import Client
from tests.hub_server import HubServer


@pytest.fixture(scope="package")
def shared() -> Iterator[HubServer]:
    server = HubServer()
    yield server
    server.stop()


@pytest.fixture
def server(shared: HubServer) -> HubServer:
    shared.clear()
    return shared


@pytest.fixture(scope="package")
def home(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """HF_HOME of every client here; tests differ by the names of their repositories."""
    return tmp_path_factory.mktemp("home")


@pytest.fixture(scope="package")
def clients(shared: HubServer, home: Path) -> Iterator[Callable[..., Client]]:
    """Starts clients, one for each environment."""
    started: dict[tuple[tuple[str, str], ...], Client] = {}

    def get(**environment: str) -> Client:
        usual = {"HF_ENDPOINT": shared.address(), "HF_HOME": str(home)}
        key = tuple(sorted((usual | environment).items()))
        if key not in started:
            started[key] = Client(**dict(key))
        return started[key]

    yield get
    for client in started.values():
        client.close()


@pytest.fixture
def client(clients: Callable[..., Client]) -> Client:
    return clients()


@pytest.fixture
def impatient(clients: Callable[..., Client]) -> Client:
    """Waits 1 s for an answer: only for a Hub that says nothing, as on a busy machine any other answer may take longer."""
    return clients(HF_HUB_ETAG_TIMEOUT="1", HF_HUB_DOWNLOAD_TIMEOUT="1")


@pytest.fixture
def offline(clients: Callable[..., Client]) -> Client:
    return clients(HF_HUB_OFFLINE="1")


@pytest.fixture
def name(request: pytest.FixtureRequest) -> str:
    return "tiny/" + re.sub(r"[^a-z0-9]+", "-", request.node.name.lower()).strip("-")[:80]


@pytest.fixture
def token(home: Path) -> Iterator[Callable[[str], int]]:
    """Log in as the visitor would: the file that `hf auth login` writes."""
    yield lambda text: (home / "token").write_text(text)
    (home / "token").unlink(missing_ok=True)
