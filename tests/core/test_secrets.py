"""No secret of a URL is shown, whatever it is called and however it is written."""

from __future__ import annotations

import random
from urllib.parse import quote

import pytest

from peftsearch.core.errors import UserError
from peftsearch.core.secrets import hashed_url, hide_secrets, hide_source, hide_url

SECRET = "hush"
SCHEMES = (
    "postgresql+psycopg",
    "postgres",
    "mysql+pymysql",
    "http",
    "https",
    "ftp",
    "s3",
    "simplecache::https",
    "HTTPS",
)
ODD = "@:/?#[]&=+%!*'(), "
PARAMETERS = (
    "token", "access_token", "sig", "Signature", "X-Amz-Signature", "X-Amz-Credential", "X-Amz-Security-Token", "key",
    "api_key", "apikey", "Key-Pair-Id", "password", "sslpassword", "passwd", "pwd", "secret", "code", "auth", "se",
    "X-Goog-Signature", "Policy", "AWSAccessKeyId", "st", "credential", "jwt", "sessionid", "hdnts",
)  # fmt: skip


def urls(escaped: bool, odd: str, count: int = 400) -> list[str]:
    """URLs with a password, parameters and a fragment, all of which hold `SECRET` between odd characters."""
    rng, made = random.Random(7), []
    for _ in range(count):
        password = "".join(
            [*rng.choices(odd, k=rng.randint(0, 4)), SECRET, *rng.choices(odd, k=rng.randint(0, 4)), SECRET]
        )
        password = quote(password, safe="") if escaped else password
        user = rng.choice(["", "user", "u.s-er"])
        parameters = "&".join(f"{name}={SECRET}{rng.random()}" for name in rng.sample(PARAMETERS, rng.randint(0, 3)))
        fragment = rng.choice(["", f"#{SECRET}", f"#token={SECRET}"])
        port = rng.choice(["", ":5432"])
        made.append(
            f"{rng.choice(SCHEMES)}://{user}:{password}@127.0.0.1{port}/name.csv{'?' if parameters else ''}{parameters}"
            f"{fragment}"
        )
    return made


@pytest.mark.parametrize("escaped", [False, True])
def test_no_secret_of_a_url_is_shown(escaped: bool) -> None:
    for url in urls(escaped, ODD):
        for hidden in (hide_url(url), hashed_url(url)):
            assert SECRET not in hidden, (url, hidden)
            assert "127.0.0.1" in hidden
            assert "name.csv" in hidden


def test_no_secret_of_a_url_in_a_sentence_is_shown() -> None:
    for url in urls(False, "@:/?#&=+%!*()"):
        for text in (f"cannot open {url} (HTTP 403)", f"cannot open {url!r}", f'File "{url}", line 3', f"a {url}\nb"):
            assert SECRET not in hide_secrets(text), text
            assert SECRET not in str(UserError(text))


def test_no_password_is_shown_where_its_last_character_is_an_at() -> None:
    assert hide_url("postgresql://u:hush@@host/x") == "postgresql://u:***@host/x"


@pytest.mark.parametrize(
    "text",
    [
        "rows.csv", "./a@b.csv", "C:/a:b@c.csv", "hub:owner/name", "package:name/rows.csv", "sqlite:///runs/toy.db",
        "sqlite:////tmp/a:b@c.db", "https://host/a/rows.csv", "https://host:8080/rows.csv", "https://host/@me/rows.csv",
        "postgresql+psycopg://user@host/name", "https://host/rows.csv?raw=true&format=csv&version=1.2", "", "a:b@c",
        "https://host/rows@2024.csv",
    ],
)  # fmt: skip
def test_what_has_no_secret_stays_as_it_is(text: str) -> None:
    assert hide_url(text) == text
    assert hide_secrets(text) == text
    assert hashed_url(text) == text


@pytest.mark.parametrize(
    ("url", "hidden"),
    [
        ("https://ghp_abc@github.com/a/b.csv", "https://***@github.com/a/b.csv"),
        ("s3://key:hush@bucket/x.csv", "s3://key:***@bucket/x.csv"),
        ("https://host/x?hush", "https://host/x?***"),
        ("https://host/x?raw=hush/hush", "https://host/x?raw=***"),
        ("https://host/x?a=1;b=2", "https://host/x?a=***&b=***"),
        ("postgresql://u:a@b/c@host:1/x", "postgresql://u:***@host:1/x"),
    ],
)
def test_what_is_hidden_leaves_the_rest(url: str, hidden: str) -> None:
    assert hide_url(url) == hidden


def test_a_source_of_several_files_is_hidden_file_by_file() -> None:
    source = {"train": "https://host/a.csv?sig=hush", "test": "b.csv"}
    assert hide_source(source) == {"train": "https://host/a.csv?sig=***", "test": "b.csv"}


def test_two_urls_are_told_apart_by_what_is_hidden() -> None:
    one, other = "https://host/x.csv?part=1", "https://host/x.csv?part=2"
    assert hide_url(one) == hide_url(other)
    assert hashed_url(one) != hashed_url(other)
    assert hashed_url(hashed_url(one)) == hashed_url(one)
