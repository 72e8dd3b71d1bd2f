"""Addresses and keys as people paste them, given to the real commands."""

from __future__ import annotations

import subprocess
import sys
from collections.abc import Callable, Iterator
from pathlib import Path

import psutil
import pytest

from phasegate.project import load_project
from phasegate.stack.tokens import mint_key

LOCUSTFILE = load_project().locustfile

ROOT = Path(__file__).resolve().parents[2]

# No message of ours and no server's holds these letters in a row, nor any four of them.
SECRET = "QXZJKVWQ"  # noqa: S105 - opens nothing
JWT = "a-secret-of-the-tests-that-is-32-bytes-long"
PIECE = 4
KEYS = {"SUPABASE_ANON_KEY": mint_key(JWT), "SUPABASE_JWT_SECRET": JWT}
URL = "http://127.0.0.1:1"

PHASEGATE = (sys.executable, "-m", "phasegate")
BENCHMARKS = (sys.executable, "-m", "pytest", "benchmarks", "-p", "no:cacheprovider", "-q")
SELF_CHECK = (*BENCHMARKS, "--budget", "1", "-k", "self_check")
LOCUST = (sys.executable, "-m", "locust", "-f", str(LOCUSTFILE), "--headless", "-t", "1s")
PSQL = (sys.executable, ".github/scripts/psql.py", "--command", "select 1")
GATE = (*PHASEGATE, "gate", "--to", "2", "--duration", "1", "--host")

# Every command that reads a database's address, by environment.
OF_DATABASES = {
    "seed": (*PHASEGATE, "seed", "--users", "100"),
    "health": (*PHASEGATE, "health"),
    "gate": (*GATE, URL),
    "self-check": (sys.executable, "-m", "instruments", "self-check"),
    "benchmarks": SELF_CHECK,
    "psql.py": PSQL,
}
TINY_SERVER = Path(__file__).parents[1] / "load" / "tiny_server.py"

OF_APIS = {"health": (*PHASEGATE, "health"), "locust": LOCUST}

Ran = subprocess.CompletedProcess[str]
Command = Callable[..., Ran]


def pieces(secret: str) -> list[str]:
    return [secret[i : i + PIECE] for i in range(len(secret) - PIECE + 1)]


def leaked(said: str) -> list[str]:
    return [piece for piece in pieces(SECRET) if piece in said]


@pytest.fixture
def command(environment: dict[str, str], tmp_path: Path) -> Iterator[Command]:
    """Run a command in a checkout's root with further variables; nothing may be left in results."""
    before = set((ROOT / "results").iterdir())

    def call(arguments: tuple[str, ...], **variables: str) -> Ran:
        folder = ("--results", str(tmp_path / "results")) if "gate" in arguments else ()
        return subprocess.run(
            [*arguments, *folder],
            check=False,
            capture_output=True,
            text=True,
            cwd=ROOT,
            env={**environment, "TMPDIR": str(tmp_path), **variables},
            timeout=180,
        )

    yield call
    assert set((ROOT / "results").iterdir()) == before
    written = [path for path in tmp_path.rglob("*") if path.is_file()]
    assert [path for path in written if leaked(path.read_text("utf-8", "replace"))] == []


@pytest.mark.parametrize(
    "dsn",
    [
        f"postgresql://odd:/{SECRET}@127.0.0.1:1/db",
        f"postgresql://odd:ab@{SECRET}/zz@127.0.0.1:1/db",
        f"postgresql://odd:{SECRET}\n@127.0.0.1:1/db",
    ],
)
@pytest.mark.parametrize("verb", OF_DATABASES)
def test_a_password_in_a_malformed_address_stays_unsaid(
    command: Command, verb: str, dsn: str
) -> None:
    ran = command(OF_DATABASES[verb], DATABASE_URL=dsn, **KEYS)
    said = ran.stdout + ran.stderr
    assert ran.returncode == 2, said
    assert leaked(said) == []
    assert "DATABASE_URL cannot be read as an address: " in said
    assert "Percent-encode" in said


@pytest.mark.parametrize("url", [f"http://u:s/{SECRET}@127.0.0.1:1", f"http://u:{SECRET}"])
@pytest.mark.parametrize("verb", OF_APIS)
def test_a_password_in_a_malformed_url_stays_unsaid(command: Command, verb: str, url: str) -> None:
    ran = command(OF_APIS[verb], SUPABASE_URL=url, **KEYS)
    said = ran.stdout + ran.stderr
    assert ran.returncode == 2, said
    assert leaked(said) == []
    assert "SUPABASE_URL cannot be read as an address: " in said


@pytest.mark.parametrize("name", KEYS)
@pytest.mark.parametrize("text", [f"{SECRET}\r\nX-Evil: {SECRET}", f"\u201c{SECRET}\u201d"])
def test_a_key_that_cannot_be_sent_stays_unsaid(command: Command, name: str, text: str) -> None:
    keys = {**KEYS, name: text}
    commands = [(*LOCUST, "--host", URL), (*GATE, URL)]
    if name == "SUPABASE_ANON_KEY":
        commands.append((*PHASEGATE, "health", URL))
    for arguments in commands:
        ran = command(arguments, **keys)
        said = ran.stdout + ran.stderr
        assert ran.returncode == 2, said
        assert leaked(said) == []
        assert f"{name} contains a" in said
        assert "Traceback" not in said


def test_a_key_with_harmless_surroundings_is_used_with_a_word(command: Command) -> None:
    key = f"Bearer {KEYS['SUPABASE_ANON_KEY']}\r\n"
    ran = command((*PHASEGATE, "health", URL), SUPABASE_ANON_KEY=key)
    assert ran.returncode == 1
    assert "SUPABASE_ANON_KEY: a line break and 'Bearer' around the key left out" in ran.stderr
    assert "The API does not answer" in ran.stdout


@pytest.mark.parametrize(
    "arguments",
    [
        ("seed", "--users", "9", "{}"),
        ("seed", "--users", "{}"),
        ("gate", "--to", "2", "{}"),
        ("compare", "{}", "{}"),
        ("sql", "{}"),
        ("up", "--compute", "{}"),
        ("{}",),
    ],
)
def test_an_address_in_the_wrong_place_stays_unsaid(
    command: Command, arguments: tuple[str, ...]
) -> None:
    dsn = f"postgresql://me:{SECRET} {SECRET}@{SECRET}@127.0.0.1:1/db"
    ran = command((*PHASEGATE, *(each.replace("{}", dsn) for each in arguments)))
    assert ran.returncode == 2
    assert "an address, which is not shown" in ran.stderr
    assert leaked(ran.stdout + ran.stderr) == []


FOR_OTHERS = (
    "pgbouncer=true&connection_limit=1&pool_timeout=20&schema=public&connect_timeout=15"
    "&channel_binding=require&gssencmode=disable&sslaccept=accept_invalid_certs&tpyo=1\r"
)


def test_an_address_made_for_another_client_works_the_same_in_every_verb(
    command: Command, database: str
) -> None:
    dsn = f"{database}?{FOR_OTHERS}"
    for verb in ("seed", "health", "benchmarks"):
        ran = command((*OF_DATABASES[verb],), DATABASE_URL=dsn)
        said = ran.stdout + ran.stderr
        assert ran.returncode == 0, said
        for words in (
            "a line break around it left out",
            "passed over connection_limit, pgbouncer, pool_timeout: of another client's",
            "passed over channel_binding: TLS is used without it",
            "passed over schema: phasegate works in schema public",
            "passed over a parameter that PostgreSQL does not know",
        ):
            assert f"DATABASE_URL: {words}" in said, verb
        assert "unrecognized" not in said


@pytest.mark.parametrize("verb", ["seed", "health", "benchmarks", "gate"])
def test_a_server_to_be_verified_without_a_certificate_is_a_clear_sentence(
    command: Command, verb: str, tmp_path: Path
) -> None:
    dsn = "postgresql://me@127.0.0.1:1/db?sslmode=verify-full"
    ran = command(OF_DATABASES[verb], DATABASE_URL=dsn, HOME=str(tmp_path), **KEYS)
    said = ran.stdout + ran.stderr
    assert ran.returncode == 2, said
    assert "DATABASE_URL: sslmode=verify-full needs a root certificate, and there is none" in said


@pytest.mark.parametrize("verb", ["seed", "health"])
def test_a_server_elsewhere_is_asked_for_tls_unless_said_otherwise(
    command: Command, verb: str, database: str
) -> None:
    # This machine by a name that nobody knows for it: remote, as far as an address tells.
    elsewhere = database.replace("127.0.0.1", "0.0.0.0")  # noqa: S104 - a host to connect to
    ran = command(OF_DATABASES[verb], DATABASE_URL=elsewhere)
    assert ran.returncode == (1 if verb == "health" else 3)
    assert "add sslmode=disable to the address" in ran.stdout + ran.stderr
    ran = command(OF_DATABASES[verb], DATABASE_URL=f"{elsewhere}?sslmode=disable")
    assert ran.returncode == 0, ran.stdout + ran.stderr


def test_credentials_in_a_url_reach_no_output_no_record_and_no_process(
    environment: dict[str, str], tmp_path: Path
) -> None:
    server = subprocess.Popen([sys.executable, str(TINY_SERVER)], stdout=subprocess.PIPE, text=True)
    try:
        assert server.stdout is not None
        url = f"http://me:{SECRET}@127.0.0.1:{int(server.stdout.readline())}"
        command = [*LOCUST[:-2], "--out", str(tmp_path), "--stage-duration=2"]
        process = subprocess.Popen(
            [*command, "--arrival-rate=5", "--stage-name=s"],
            env={**environment, **KEYS, "SUPABASE_URL": url},
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            text=True,
        )
        titles: set[str] = set()
        while process.poll() is None:
            for each in [process, *psutil.Process(process.pid).children(recursive=True)]:
                try:
                    titles.add(" ".join(psutil.Process(each.pid).cmdline()))
                except psutil.Error:
                    continue
            try:
                process.wait(0.2)
            except subprocess.TimeoutExpired:
                continue
        said = process.communicate()[0]
    finally:
        server.kill()
        server.wait()
    assert "SUPABASE_URL: user name and password in it are not sent, and left out" in said
    record = (tmp_path / "s.json").read_text()
    assert '"target":"http://127.0.0.1:' in record.replace(" ", "")
    assert leaked(said + record + " ".join(titles)) == []
