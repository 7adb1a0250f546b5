"""One local EMR for all tests that need nothing special of it."""

from collections.abc import Iterator

import pytest

from tests.conftest import Aws
from tests.local.emr.servers import LocalEmr


@pytest.fixture(scope="session")
def local_emr(aws_server: Aws, tmp_path_factory: pytest.TempPathFactory) -> Iterator[LocalEmr]:
    """Start it: idle time-outs pass 60 times as fast, each logs where the test says."""
    server = LocalEmr(aws_server, tmp_path_factory.mktemp("emr") / "data", "--idle-speed", "60")
    yield server
    assert server.stop() == 0
