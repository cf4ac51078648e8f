import threading
from collections.abc import Callable, Iterator

import pytest

from tests.accounts.github import GitHub
from tests.processes import Server


@pytest.fixture
def github() -> Iterator[GitHub]:
    with GitHub() as server:
        threading.Thread(target=server.serve_forever, args=[0.02], daemon=True).start()  # it ends as soon
        yield server
        server.shutdown()


@pytest.fixture
def site(start_server: Callable[..., Server], github: GitHub) -> Server:
    return start_server(GITHUB_CLIENT_ID="our-id", GITHUB_CLIENT_SECRET="our-secret", GITHUB_URL=github.url)
