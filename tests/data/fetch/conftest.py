from collections.abc import Iterator

import pytest

from tests.data.fetch.local_server import LocalServer, local_server
from vlrouting.data.fetch import connection


@pytest.fixture
def server(monkeypatch: pytest.MonkeyPatch) -> Iterator[LocalServer]:
    """A server on this machine, and no waiting between tries."""
    monkeypatch.setattr(connection, "BACKOFF", 0.001)
    monkeypatch.setattr(connection, "LONGEST_WAIT", 0.002)
    monkeypatch.setattr(connection, "TIMEOUT", (2.0, 0.4))
    with local_server() as local:
        yield local
