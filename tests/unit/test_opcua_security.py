"""Which server is believed, by the dates of its certificate."""

from __future__ import annotations

import datetime
from pathlib import Path

import pytest

from engine.errors import Refused
from protocols.opcua.security import check_server, load_certificate
from protocols.opcua.settings import Security
from tests.certificates import Authority

NOW = datetime.datetime.now(datetime.UTC)


def test_a_certificate_of_a_trusted_authority_that_has_ended_is_refused_for_its_date(tmp_path: Path) -> None:
    """Not as an unknown one: the fingerprint is the same at the server, and nothing would be found there."""
    trusted = tmp_path / "trusted"
    trusted.mkdir()
    authority = Authority(tmp_path)
    certificate = load_certificate(authority.issue("pk01", "127.0.0.1")[0])
    authority.ca.rename(trusted / authority.ca.name)
    security = Security(policy="Basic256Sha256", trust_dir=str(trusted))
    check_server(certificate, security, "127.0.0.1", NOW)
    with pytest.raises(Refused, match=f"issued by .*authority.* is valid from .* to {NOW.year}-") as refused:
        check_server(certificate, security, "127.0.0.1", NOW + datetime.timedelta(days=2))
    assert "is not trusted" not in str(refused.value)


def test_a_certificate_that_is_trusted_by_name_is_used_beyond_its_dates_with_a_warning(
    tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    trusted = tmp_path / "trusted"
    trusted.mkdir()
    file = Authority(tmp_path).issue("pk01")[0]
    file.rename(trusted / file.name)
    certificate = load_certificate(trusted / file.name)
    security = Security(policy="Basic256Sha256", trust_dir=str(trusted))
    check_server(certificate, security, "127.0.0.1", NOW + datetime.timedelta(days=2))
    assert "out of its dates" in caplog.text
