from __future__ import annotations

from pathlib import Path

import pytest

from phasegate.model.address import is_loopback
from phasegate.model.dsn import Dsn, advice, redact
from phasegate.model.errors import ConfigurationError, ExitCode

NOTHING: dict[str, str] = {}

ANOTHERS = "of another client's pool, statements or sockets"
PRISMA = "pgbouncer=true&connection_limit=1&pool_timeout=20&schema=public"


def url(text: str) -> str:
    return Dsn.of(text, "DATABASE_URL", NOTHING).url


@pytest.mark.parametrize(
    ("text", "read"),
    [
        ("postgres://me:p@localhost/db", "postgresql://me:p@localhost/db"),
        ("postgresql+asyncpg://localhost/db", "postgresql://localhost/db"),
        ("jdbc:postgresql://localhost/db?user=me&password=p", "postgresql://me:p@localhost/db"),
        ("postgresql://me:p%40s%2Fs@[::1]:6/db", "postgresql://me:p%40s%2Fs@[::1]:6/db"),
        ("postgresql://me:ä@localhost/db", "postgresql://me:%C3%A4@localhost/db"),
        ("postgresql:///db?host=/tmp&port=6", "postgresql:///db?host=%2Ftmp&port=6"),
        ("postgresql://%2Fvar%2Frun:6/db", "postgresql:///db?host=%2Fvar%2Frun&port=6"),
        (f"postgresql://localhost/db?{PRISMA}", "postgresql://localhost/db"),
        ("postgresql://h/db", "postgresql://h/db?sslmode=require"),
        ("postgresql://h/db?sslmode=disable", "postgresql://h/db?sslmode=disable"),
        ("postgresql://h/db?ssl=true&sslmode=prefer", "postgresql://h/db?sslmode=prefer"),
        ("postgresql://h/db?ssl=false", "postgresql://h/db?sslmode=disable"),
        ("postgresql://h/db?sslmode=no-verify", "postgresql://h/db?sslmode=require"),
        ("postgresql://h/db?sslaccept=accept_invalid_certs", "postgresql://h/db?sslmode=require"),
        (
            "postgresql://h/db?sslaccept=strict",
            "postgresql://h/db?sslmode=verify-full&sslrootcert=system",
        ),
        (
            "postgresql://localhost/db?connect_timeout=15&gssencmode=disable",
            "postgresql://localhost/db?connect_timeout=15&gssencmode=disable",
        ),
        ("postgresql://localhost/db?connect_timeout=0", "postgresql://localhost/db"),
        (
            "postgresql://localhost/db?application_name=a+b%20c",
            "postgresql://localhost/db?application_name=a%2Bb%20c",
        ),
    ],
)
def test_an_address_is_read_as_its_writer_meant_it(text: str, read: str) -> None:
    assert url(text) == read
    assert url(read) == read


@pytest.mark.parametrize("around", ["{}\r\n", "{}\r", " {} ", '"{}"', "'{}'\n", "\t{}"])
def test_what_stands_around_an_address_is_left_out_with_a_word(around: str) -> None:
    dsn = Dsn.of(around.format("postgresql://localhost/db"), "DATABASE_URL", NOTHING)
    assert dsn.database == "db"
    assert len(dsn.remarks) == 1
    assert dsn.remarks[0].startswith("DATABASE_URL: ")
    assert dsn.remarks[0].endswith(" around it left out")


def test_what_is_passed_over_is_named_and_its_value_is_not() -> None:
    dsn = Dsn.of(f"postgresql://localhost/db?{PRISMA}&tpyo=hush&channel_binding=require", "D")
    assert dsn.remarks == (
        "D: passed over channel_binding: TLS is used without it",
        "D: passed over connection_limit, pgbouncer, pool_timeout: " + ANOTHERS,
        "D: passed over schema: phasegate works in schema public",
        "D: passed over a parameter that PostgreSQL does not know",
    )


def test_libpqs_variables_decide_what_the_address_leaves_open() -> None:
    assert "sslmode=verify-full" in Dsn.of("postgresql:///d", "D", {
        "PGHOST": "h", "PGSSLMODE": "verify-full", "PGSSLROOTCERT": "system"
    }).url  # fmt: skip
    assert Dsn.of("postgresql://h/d", "D", {"PGSSLMODE": "disable"}).url.endswith("sslmode=disable")
    with pytest.raises(
        ConfigurationError, match=r"D with PGSSLMODE .* sslmode is not one of disable"
    ):
        Dsn.of("postgresql://h/d", "D", {"PGSSLMODE": "on"})


def test_a_verified_server_needs_a_certificate_to_verify_it_with(tmp_path: Path) -> None:
    text = "postgresql://h/db?sslmode=verify-full"
    home = {"HOME": str(tmp_path)}
    with pytest.raises(ConfigurationError) as caught:
        Dsn.of(text, "DATABASE_URL", home)
    assert caught.value.what == (
        "DATABASE_URL: sslmode=verify-full needs a root certificate, and there is none"
    )
    assert "sslrootcert=system" in caught.value.then
    with pytest.raises(ConfigurationError, match="names cannot be read"):
        Dsn.of(f"{text}&sslrootcert={tmp_path}/none.crt", "DATABASE_URL", home)
    (tmp_path / ".postgresql").mkdir()
    (tmp_path / ".postgresql" / "root.crt").write_text("")
    assert Dsn.of(text, "DATABASE_URL", home).url == text
    assert Dsn.of(f"{text}&sslrootcert=system", "D", NOTHING).parameters["sslrootcert"] == "system"


@pytest.mark.parametrize(
    ("text", "why"),
    [
        ("", "it is empty"),
        ("host=h password=hush", "there is a blank inside"),
        ("localhost/db", "it does not begin with a scheme"),
        ("mysql://me:hush@h/d", "it does not begin with postgresql://"),
        ("postgresql://odd:/Hush@host/db", "there is an @ after the host"),
        ("postgresql://odd:12/Hush@host/db", "there is an @ after the host"),
        ("postgresql://odd:ab@Hush/zz@host/db", "there is an @ after the host"),
        ("postgresql://odd:ab?Hush@host/db", "there is an @ after the host"),
        ("postgresql://odd:ab#Hush@host/db", "there is an @ after the host"),
        ("postgresql://odd:ab@Hush@host/db", "it holds more than one @"),
        ("postgresql://odd:100%Hush@host/db", "a % is not followed by two hexadecimal digits"),
        ("postgresql://odd:%FFHush@host/db", "the percent-encoding of the password is not UTF-8"),
        ("postgresql://odd:Hu\nsh@host/db", "there is a control character"),
        ("postgresql://odd:Hu sh@host/db", "there is a blank inside"),
        ("postgresql://odd:\u200bHush@host/db", "there is an invisible character"),
        ("postgresql://odd:Hush", "the port is not a number from 1 to 65535"),
        ("postgresql://odd:Hush@host:70000/db", "the port is not a number from 1 to 65535"),
        ("postgresql://odd:Hush@host:٣/db", "the port is not a number from 1 to 65535"),
        ("postgresql://odd:Hush@::1/db", "the host holds more than one colon"),
        ("postgresql://odd:Hush@[Hush]/db", "the text in brackets is not an IPv6 address"),
        ("postgresql://odd:Hush@ho$st/db", "the host has characters"),
        ("postgresql://odd:Hush@a,b/db", "it names several hosts"),
        ("postgresql://odd:[YOUR-PASSWORD]@h/db", "its password is still the placeholder"),
        ("postgresql://h/db?sslmode=Hush", "sslmode is not one of disable, allow"),
        ("postgresql://h/db?connect_timeout=Hush", "connect_timeout is not a number of seconds"),
        ("postgresql:///db?service=Hush", "it names a service file"),
    ],
)
def test_what_cannot_be_read_is_described_and_never_quoted(text: str, why: str) -> None:
    with pytest.raises(ConfigurationError) as caught:
        Dsn.of(text, "DATABASE_URL", NOTHING)
    assert caught.value.what.startswith(f"DATABASE_URL cannot be read as an address: {why}")
    assert "Hush" not in str(caught.value)
    assert caught.value.exit_code == ExitCode.WRONG_CALL
    assert caught.value.__cause__ is None
    assert redact(text) == "a database URL that cannot be read"


def test_the_remedy_says_how_to_percent_encode() -> None:
    with pytest.raises(ConfigurationError) as caught:
        Dsn.of("postgresql://odd:12/Hush@host/db")
    assert "Percent-encode" in caught.value.then
    assert "@ is %40" in caught.value.then
    assert "quote(getpass(), safe=" in caught.value.then


def test_a_dsn_hides_its_password_and_parameters_when_printed() -> None:
    dsn = Dsn.of("postgresql://me:hush@localhost/db?sslpassword=hush2&options=-chush3", "D")
    assert "hush" not in repr(dsn) + dsn.shown
    assert dsn.shown == "postgresql://me@localhost/db"
    assert dsn.keywords() == {
        "host": "localhost",
        "user": "me",
        "password": "hush",
        "dbname": "db",
        "sslpassword": "hush2",
        "options": "-chush3",
    }


@pytest.mark.parametrize(
    ("host", "here"),
    [
        ("127.0.0.9", True),
        ("::1", True),
        ("LOCALHOST", True),
        ("/run", True),
        ("", True),
        ("10.0.0.1", False),
        ("db", False),
        ("localhost.example", False),
    ],
)
def test_this_machine_is_known_by_name_number_and_socket(host: str, *, here: bool) -> None:
    assert is_loopback(host) is here


def test_a_server_without_tls_gets_the_word_that_allows_it() -> None:
    dsn = Dsn.of("postgresql://localhost/db")
    for said in (
        'PostgreSQL server at "h:5432" rejected SSL upgrade',
        "server does not support SSL, but SSL was required",
    ):
        assert "add sslmode=disable" in advice(dsn, said)
    assert "sslrootcert=FILE" in advice(dsn, "certificate verify failed")


def test_a_host_of_ipv6_alone_to_which_there_is_no_way_gets_the_poolers_address() -> None:
    of_ipv6 = Dsn.of("postgresql://[2001:db8::1]/db", "D", NOTHING)
    for said in (
        "[Errno 101] Connect call failed",
        "Network is unreachable",
        "timeout expired",
        "TimeoutError",
    ):
        assert "pooler.supabase.com" in advice(of_ipv6, said)
        assert advice(Dsn.of("postgresql://127.0.0.1/db"), said) == ""
    assert "pooler" not in advice(of_ipv6, "[Errno 111] Connect call failed")


@pytest.mark.parametrize(
    ("reason", "then"),
    [
        ("[Errno 111] Connect call failed ('127.0.0.1', 5432)", "Start the server"),
        ("connection to server failed: Connection refused", "Start the server"),
        ('password authentication failed for user "me"', "Correct user and password"),
        ('FATAL: database "app" does not exist', "Create it"),
        ('role "me" does not exist', "Create it"),
        ("something else", ""),
    ],
)
def test_what_a_driver_says_often_comes_with_what_to_do(reason: str, then: str) -> None:
    said = advice(Dsn.of("postgresql://localhost/db"), reason)
    assert said.startswith(then) if then else said == ""
