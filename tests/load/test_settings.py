from __future__ import annotations

import math
import random
import uuid
from pathlib import Path

import configargparse
import pytest

from phasegate.load.client import Budget, share_of
from phasegate.load.options import REMOTE_BUDGET, REMOTE_RAMP_S, add_arguments
from phasegate.load.run import RemoteLimits
from phasegate.load.settings import LoadSettings, settings_from
from phasegate.load.stages import (
    SESSIONS_MIN,
    parse_size,
    rate_with_enough_sessions,
    seconds_to_judge,
)
from phasegate.load.users import ActingUsers, Listed, Seeded
from phasegate.model.errors import ConfigurationError, PhasegateError, Refused, UsageError
from phasegate.model.population import user_id
from phasegate.project import SeedFolder, load_project
from phasegate.stack.tokens import mint_key

SECRET = "a-secret-of-the-tests-that-is-32-bytes-long"  # noqa: S105 - opens nothing
KEYS = {"SUPABASE_ANON_KEY": mint_key(SECRET), "SUPABASE_JWT_SECRET": SECRET}
LOCAL = "http://127.0.0.1:8000"
REMOTE = "https://abc.supabase.co"


def settings(
    *arguments: str, host: str | None = LOCAL, environment: dict[str, str] | None = None
) -> LoadSettings:
    parser = configargparse.ArgumentParser()
    add_arguments(parser)
    return settings_from(
        parser.parse_args(arguments),
        host=host,
        environment=KEYS if environment is None else environment,
        project=load_project(),
    )


def test_without_our_flags_the_model_is_closed() -> None:
    found = settings()
    assert not found.is_open
    assert found.stages[0].users == 1000
    assert found.arm == "embedded"


def test_registered_users_arrive_at_their_modelled_peak() -> None:
    (stage,) = settings("--users-registered", "100000").stages
    assert stage.sessions_per_s == pytest.approx(100_000 * 0.2 * 2 * 0.15 / 3600 * 2)


def test_stages_are_written_as_people_write_them() -> None:
    found = settings("--stages", "1k,10k,0.1m", "--stage-duration", "5").stages
    assert [stage.users for stage in found] == [1_000, 10_000, 100_000]
    assert [stage.name for stage in found] == ["1000-users", "10000-users", "100000-users"]
    assert {stage.duration_s for stage in found} == {5.0}


@pytest.mark.parametrize("text", ["", "many", "0", "-1k", "1g", "1k2"])
def test_what_is_no_number_of_users_is_named(text: str) -> None:
    with pytest.raises(UsageError, match="is not a number of registered users"):
        parse_size(text)


def test_the_level_chooses_the_client_unless_told() -> None:
    arms = [settings("--level", level).arm for level in "123"]
    assert arms == ["n-plus-1", "embedded", "embedded+cache"]
    assert settings("--level", "3", "--with", "n-plus-1").arm == "n-plus-1+cache"
    assert settings("--level", "3", "--without", "cache,jobs").arm == "embedded"
    assert "jobs" not in settings("--level", "3", "--without", "cache,jobs").parts
    assert settings("--level", "1", "--with", "conditional").arm == "conditional"


def test_connections_are_kept_unless_told() -> None:
    assert settings().connections == "keep-alive"
    assert settings("--connections", "per-request").connections == "per-request"


@pytest.mark.parametrize(
    ("arguments", "said"),
    [
        (("--arrival-rate", "-1"), "--arrival-rate must not be negative"),
        (("--think-time-scale", "0"), "--think-time-scale must be positive"),
        (("--stages", "1k", "--arrival-rate", "3"), "contradict each other"),
        (("--level", "4"), "no stack level 4"),
        (("--with", "cahce"), "--with: there is no part 'cahce'"),
        (("--level", "1", "--without", "cache"), "stack level 1 has no part 'cache'"),
        (("--allow-writes", "--reads-only"), "contradict each other"),
        (("--stages", "1k,x"), "'x' is not a number of registered users"),
    ],
)
def test_a_wrong_option_is_named(arguments: tuple[str, ...], said: str) -> None:
    with pytest.raises(UsageError, match=said):
        settings(*arguments)


@pytest.mark.parametrize("host", ["ftp://x", "http://", "https://x:99999"])
def test_what_is_no_address_is_refused(host: str) -> None:
    with pytest.raises(ConfigurationError, match="--host cannot be read as an address"):
        settings(host=host)


def test_no_host_at_all_is_named() -> None:
    with pytest.raises(ConfigurationError, match="No host to test was named"):
        settings(host=None)


@pytest.mark.parametrize(
    "key", [mint_key(SECRET, "service_role"), "sb_secret_N7UND0UgjKTVK-Uodkm0Hg_xSvEMPvz"]
)
def test_a_service_key_is_refused_and_not_repeated(key: str) -> None:
    with pytest.raises(Refused, match="service_role") as refused:
        settings(environment={**KEYS, "SUPABASE_ANON_KEY": key})
    assert key not in refused.value.sentence()


def test_another_machine_is_read_from_with_a_budget_and_a_ramp() -> None:
    found = settings("--arrival-rate", "1", host=REMOTE)
    assert not found.allow_writes
    assert found.request_budget == REMOTE_BUDGET
    assert found.stages[0].ramp_s == REMOTE_RAMP_S
    told = settings("--allow-writes", "--request-budget", "50", host=REMOTE)
    assert told.allow_writes
    assert told.request_budget == 50


@pytest.mark.parametrize("host", [LOCAL, "http://localhost:54321", "http://[::1]:8000"])
def test_this_machine_is_written_to_without_a_bound(host: str) -> None:
    found = settings("--arrival-rate", "1", host=host)
    assert found.allow_writes
    assert found.request_budget is None
    assert found.stages[0].ramp_s == 0


def test_the_supabase_clis_stack_is_a_target_by_name() -> None:
    found = settings("--target", "supabase-local", host=None, environment={})
    assert found.host == "http://127.0.0.1:54321"
    assert found.anon_key
    assert found.allow_writes


def test_a_projects_url_comes_from_the_environment() -> None:
    found = settings(host=None, environment={**KEYS, "SUPABASE_URL": REMOTE})
    assert found.host == REMOTE


def test_a_staging_run_hands_on_which_requests_read() -> None:
    limits = RemoteLimits(ramp_s=10, request_budget=5, reads="POST /login")
    given = {"reads": limits.options["READS"], "reads_only": limits.options["READS_ONLY"]}
    assert given == {"reads": "POST /login", "reads_only": "true"}
    guard = settings("--reads-only", "--reads", given["reads"]).reads_only
    assert guard is not None
    assert guard.allowed == ("POST /login",)


def test_secrets_are_not_in_the_printed_form() -> None:
    printed = repr(settings())
    assert SECRET not in printed
    assert KEYS["SUPABASE_ANON_KEY"] not in printed


def test_users_and_tokens_of_ones_own_are_read_from_a_file(tmp_path: Path) -> None:
    who = [str(uuid.uuid4()) for _ in range(3)]
    path = tmp_path / "users"
    path.write_text(f"{who[0]} token-0\n\n{who[1]} token-1\n", encoding="utf-8")
    found = settings("--users-file", str(path), environment={"SUPABASE_ANON_KEY": "k"})
    assert found.users_file == path
    people = ActingUsers(source=Listed(path), jwt_secret="")
    drawn = {people.draw(random.Random(n)) for n in range(30)}
    assert {(user.id, user.token) for user in drawn} == {(who[0], "token-0"), (who[1], "token-1")}


def test_users_of_any_key_and_with_columns_of_their_own_are_read_from_a_file(
    tmp_path: Path,
) -> None:
    path = tmp_path / "users.csv"
    path.write_text(
        'email, id, token, password\na@b.example, 41, t-41, "x,y"\n, ada, ,\n', encoding="utf-8"
    )
    listed = Listed(path)
    first, second = listed.of_index(0), listed.of_index(1)
    assert (first.id, first.token) == ("41", "t-41")
    assert first.fields == {"email": "a@b.example", "password": "x,y"}
    assert (second.id, second.token, listed.all_have_tokens) == ("ada", "", False)
    assert "x,y" not in repr(first)
    assert "t-41" not in repr(first)
    # Without a secret nothing is minted: such a user signs in by themselves.
    assert ActingUsers(source=listed, jwt_secret="").draw(random.Random(1)).token in ("", "t-41")


def test_a_service_key_in_the_place_of_a_users_token_is_refused_and_not_quoted(
    tmp_path: Path,
) -> None:
    path = tmp_path / "users"
    who, key = uuid.uuid4(), mint_key(SECRET, "service_role")
    path.write_text(f"{uuid.uuid4()} token-0\n{who} {key}\n", encoding="utf-8")
    with pytest.raises(Refused, match=rf"The token of user {who} is a service_role key") as error:
        settings("--users-file", str(path), environment={"SUPABASE_ANON_KEY": "k"})
    assert key[-20:] not in error.value.sentence()


def test_users_without_a_token_need_the_secret(tmp_path: Path) -> None:
    path = tmp_path / "users"
    path.write_text(f"{uuid.uuid4()}\n", encoding="utf-8")
    with pytest.raises(ConfigurationError, match="SUPABASE_JWT_SECRET is not set"):
        settings("--users-file", str(path), environment={"SUPABASE_ANON_KEY": "k"})


@pytest.mark.parametrize(
    ("content", "said"),
    [
        ("", "contains no user"),
        ("eyJhbGciOi.secret\n", "Line 1 of"),
        ("name,token\na,secret\n", "has no column `id`"),
        ("id,token\n7,a\nb\x01c,secret\n", "Line 3 of"),
    ],
)
def test_a_wrong_file_of_users_is_named_but_not_quoted(
    content: str, said: str, tmp_path: Path
) -> None:
    path = tmp_path / "users"
    path.write_text(content, encoding="utf-8")
    with pytest.raises(PhasegateError, match=said) as error:
        Listed(path)
    assert "secret" not in error.value.sentence()


def test_workers_never_act_as_the_same_user() -> None:
    source = Seeded(7, 1000, SeedFolder().population)
    seen = []
    for slot in range(3):
        people = ActingUsers(source=source, jwt_secret=SECRET, slot=slot, slots=3)
        rng = random.Random(slot)
        seen.append({people.draw(rng).id for _ in range(300)})
    assert not seen[0] & seen[1]
    assert not seen[1] & seen[2]
    assert seen[0] <= {str(user_id(7, index)) for index in range(0, 1000, 3)}


def test_a_budget_is_never_overdrawn_and_says_once_that_it_is_spent() -> None:
    told: list[int] = []
    budget = Budget(3, lambda: told.append(1))
    assert [budget.spend() for _ in range(6)] == [True] * 3 + [False] * 3
    assert told == [1]
    assert sum(share_of(100, slot, 7) or 0 for slot in range(7)) == 100


def test_a_small_population_is_driven_fast_enough_to_judge_by() -> None:
    assert rate_with_enough_sessions(0.03, 10) * 10 >= SESSIONS_MIN
    assert rate_with_enough_sessions(50, 10) == 50


def test_a_miss_counts_when_a_stage_lasts_until_enough_sessions_came_at_twice_the_peak() -> None:
    peak = 1 / 3  # of 10,000 users, at 28 sessions: 0.66 a second, for 42.4 s
    lasting_s = seconds_to_judge(peak)
    assert 42.4 < lasting_s < 42.5
    assert rate_with_enough_sessions(peak * 1.3, lasting_s) <= 2 * peak
    assert rate_with_enough_sessions(peak * 1.3, 25.0) > 2 * peak
    assert seconds_to_judge(0.001) == math.inf
