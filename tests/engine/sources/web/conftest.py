from __future__ import annotations

from collections.abc import Iterator

import pytest

from tests.engine.sources.web.internet import Internet, Servers


@pytest.fixture(scope="session")
def servers() -> Iterator[Servers]:
    both = Servers()
    yield both
    both.close()


@pytest.fixture
def internet(servers: Servers) -> Internet:
    return servers.fresh()
