"""A secret is found where the site file says, and shows nowhere."""

from __future__ import annotations

import traceback
from pathlib import Path

import msgspec
import pytest

from engine.errors import Refused
from engine.secret import FILE_BYTES_MAX, Secret

VALUE = "tr0ub4dor&3"


class Login(msgspec.Struct, forbid_unknown_fields=True):
    user: str
    password: Secret


def test_a_file_gives_its_content_without_the_line_end(tmp_path: Path) -> None:
    path = tmp_path / "password"
    path.write_text(VALUE + "\n")
    assert Secret(file=str(path)).reveal() == VALUE
    path.write_bytes(b" two words \r\n")
    assert Secret(file=str(path)).reveal() == " two words "


def test_a_rotated_file_is_read_anew(tmp_path: Path) -> None:
    path = tmp_path / "password"
    path.write_text("old")
    secret = Secret(file=str(path))
    assert secret.reveal() == "old"
    path.write_text("new")
    assert secret.reveal() == "new"


def test_an_environment_variable(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("SORTLINE_TEST_SECRET", VALUE)
    assert Secret(env="SORTLINE_TEST_SECRET").reveal() == VALUE


def test_it_is_a_field_of_a_settings_struct() -> None:
    login = msgspec.convert({"user": "edge", "password": {"env": "PW"}}, Login)
    assert login.password == Secret(env="PW")
    with pytest.raises(msgspec.ValidationError):
        msgspec.convert({"user": "edge", "password": "in the clear"}, Login)
    with pytest.raises(msgspec.ValidationError):
        msgspec.convert({"user": "edge", "password": {"fiel": "x"}}, Login)


def test_the_value_shows_in_no_repr_and_no_encoding(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("PW", VALUE)
    login = Login("edge", Secret(env="PW"))
    login.password.reveal()
    for text in (repr(login), str(login.password), f"{login!r}", msgspec.json.encode(login).decode()):
        assert VALUE not in text
        assert "PW" in text


def _refusal(secret: Secret) -> str:
    with pytest.raises(Refused) as caught:
        secret.reveal()
    return "".join(traceback.format_exception(caught.value))


def test_errors_name_the_place_and_never_the_content(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    binary = tmp_path / "binary"
    binary.write_bytes(b"\xff\xfe" + VALUE.encode())
    assert VALUE not in _refusal(Secret(file=str(binary)))
    assert "binary" in _refusal(Secret(file=str(binary)))
    assert "No such file" in _refusal(Secret(file=str(tmp_path / "absent")))
    monkeypatch.delenv("SORTLINE_TEST_SECRET", raising=False)
    assert "not set" in _refusal(Secret(env="SORTLINE_TEST_SECRET"))
    monkeypatch.setenv("SORTLINE_TEST_SECRET", "")
    assert "empty" in _refusal(Secret(env="SORTLINE_TEST_SECRET"))


def test_the_size_of_a_file_is_bounded(tmp_path: Path) -> None:
    path = tmp_path / "password"
    path.write_text("x" * FILE_BYTES_MAX)
    assert len(Secret(file=str(path)).reveal()) == FILE_BYTES_MAX
    path.write_text("x" * (FILE_BYTES_MAX + 1))
    assert "longer" in _refusal(Secret(file=str(path)))


def test_faults_say_what_check_reports(tmp_path: Path) -> None:
    path = tmp_path / "password"
    path.write_text(VALUE)
    assert list(Secret(file=str(path)).faults()) == []
    assert "exactly one key" in next(Secret().faults())[1]
    assert "exactly one key" in next(Secret(file="a", env="b").faults())[1]
    assert "No such file" in next(Secret(file=str(tmp_path / "absent")).faults())[1]
