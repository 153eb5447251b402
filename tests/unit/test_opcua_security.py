"""Which server is believed, by the dates of its certificate."""

from __future__ import annotations

import datetime
import logging
from pathlib import Path

import pytest

from engine.errors import Refused
from protocols.opcua.security import check_server, load_certificate
from protocols.opcua.settings import Security
from tests.certificates import Authority

HOUR = datetime.timedelta(hours=1)


def test_a_certificate_of_a_trusted_authority_that_has_ended_is_refused_for_its_date(tmp_path: Path) -> None:
    """Not as an unknown one: the fingerprint is the same at the server, and nothing would be found there."""
    trusted = tmp_path / "trusted"
    trusted.mkdir()
    authority = Authority(tmp_path)
    certificate = load_certificate(authority.issue("pk01", "127.0.0.1")[0])
    authority.ca.rename(trusted / authority.ca.name)
    security = Security(policy="Basic256Sha256", trust_dir=str(trusted))
    end = certificate.not_valid_after_utc
    check_server(certificate, security, "127.0.0.1", end - HOUR)
    with pytest.raises(Refused, match=f"issued by .*authority.* is valid from .* to {end.date()}") as refused:
        check_server(certificate, security, "127.0.0.1", end + HOUR)
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
    with caplog.at_level(logging.WARNING, "sortline.opcua"):
        check_server(certificate, security, "127.0.0.1", certificate.not_valid_after_utc + HOUR)
    assert "out of its dates" in caplog.text
