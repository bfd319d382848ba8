"""One life of an installation for all tests here; who changes files of it takes a copy."""

import pytest

from tests.contract.backups.lived_in import LivedIn, a_life


@pytest.fixture(scope="package")
def lived_in(tmp_path_factory: pytest.TempPathFactory) -> LivedIn:
    """Return what is left of an installation that took in a hundred leads."""
    return a_life(tmp_path_factory.mktemp("lived-in"))
