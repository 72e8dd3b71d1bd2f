from __future__ import annotations

from dataclasses import replace

import pytest

from phasegate.model.bottleneck import (
    Resource,
    StatementUse,
    Used,
    bound_by,
    heaviest,
    is_housekeeping,
    n_plus_one_suspects,
)

IDLE = Used(
    connections_share_max=0.2,
    pool_waiting_share=0.0,
    waits={"running": 1.0},
    machine_cpu_share=0.3,
    component_cpu_share={"postgres": 0.4, "api": 0.2},
    process_cpu_share={"postgres": 0.4, "api": 0.2},
    memory_available_share_min=0.6,
)


@pytest.mark.parametrize(
    ("used", "resource"),
    [
        (replace(IDLE, connections_share_max=0.97), Resource.CONNECTIONS),
        (replace(IDLE, waits={"Lock": 0.4, "running": 0.6}), Resource.LOCKS),
        (replace(IDLE, waits={"IO": 0.5, "running": 0.5}), Resource.DISK),
        # One of the two connections that were at work in ten seconds.
        (replace(IDLE, waits={"IO": 0.5, "running": 0.5}, active_mean=0.2), Resource.NOTHING),
        (replace(IDLE, memory_available_share_min=0.02), Resource.MEMORY),
        (replace(IDLE, process_cpu_share={"api": 0.97}), Resource.PROCESS),
        (replace(IDLE, machine_cpu_share=0.95), Resource.PROCESSOR),
        (replace(IDLE, pool_waiting_share=0.8), Resource.POOL),
        (replace(IDLE, pooler_waiting_share=0.5), Resource.POOLER),
        (replace(IDLE, pooler_waiting_share=0.49), Resource.NOTHING),
        # Who waits for the pooler keeps a connection of the API's pool meanwhile.
        (replace(IDLE, pooler_waiting_share=0.6, pool_waiting_share=1.0), Resource.POOLER),
        # A pool behind which everything is slow runs dry as well.
        (replace(IDLE, pooler_waiting_share=1.0, machine_cpu_share=0.97), Resource.PROCESSOR),
        (
            replace(IDLE, pooler_waiting_share=1.0, waits={"Lock": 0.4, "running": 0.6}),
            Resource.LOCKS,
        ),
        (IDLE, Resource.NOTHING),
        (None, Resource.NOTHING),
    ],
)
def test_the_resource_at_its_limit_is_named(used: Used | None, resource: Resource) -> None:
    assert bound_by(used).resource is resource


def test_one_busy_backend_is_no_limit_of_postgres() -> None:
    assert bound_by(replace(IDLE, process_cpu_share={"postgres": 1.0})).resource is Resource.NOTHING


def test_a_pooler_that_ran_out_is_named_with_its_size_and_the_longest_wait() -> None:
    used = replace(IDLE, pooler_waiting_share=0.75, pooler_wait_s_max=2.34, pooler_size=15)
    said = "clients waited for one of 15 server connections in 75% of seconds, the longest 2.3 s"
    assert bound_by(used).detail == said
    assert "waited for a server connection in" in bound_by(replace(used, pooler_size=None)).detail


def test_the_component_that_used_most_processor_is_named() -> None:
    used = replace(IDLE, machine_cpu_share=0.99, component_cpu_share={"postgres": 1.6, "api": 0.3})
    assert "postgres" in bound_by(used).detail
    elsewhere = replace(used, other_cpu_share=1.7)
    assert "most of it by programs that are no part of the stack" in bound_by(elsewhere).detail


LIST = StatementUse(sql="select * from tasks where user_id = $1", calls=90, total_ms=80, rows=1800)
ONE = StatementUse(sql="select * from projects where id = $1", calls=250, total_ms=20, rows=250)
CLAIMS = StatementUse(sql="select set_config($1, $2, $3)", calls=900, total_ms=100, rows=900)


def test_a_statement_that_each_click_repeats_for_one_row_is_suspected() -> None:
    (suspect,) = n_plus_one_suspects((LIST, ONE, CLAIMS), clicks=100)
    assert suspect.sql == ONE.sql
    assert suspect.calls_per_click == 2.5
    assert suspect.rows_per_call == 1.0
    assert suspect.time_share == pytest.approx(0.1)


def test_a_page_that_runs_each_statement_once_has_no_suspect() -> None:
    assert n_plus_one_suspects((LIST, replace(ONE, calls=100, rows=100)), clicks=100) == ()


def test_without_clicks_nobody_is_suspected() -> None:
    assert n_plus_one_suspects((ONE,), clicks=0) == ()


def test_the_heaviest_statement_is_the_applications() -> None:
    assert heaviest((LIST, ONE, CLAIMS)) == LIST
    assert heaviest((CLAIMS,)) is None


@pytest.mark.parametrize("sql", ["BEGIN", "commit", "SET LOCAL role = 'x'", CLAIMS.sql])
def test_transaction_control_and_claims_are_housekeeping(sql: str) -> None:
    assert is_housekeeping(sql)
    assert not is_housekeeping("select settings from t")
