"""What a host's metrics say, by hand; and their endpoint, as a small server replays it."""

from __future__ import annotations

import base64

import pytest

from phasegate.model.catalogue import load
from phasegate.model.errors import ConfigurationError
from phasegate.records.host_metrics import HostMetrics, alerts, summary
from phasegate.stack.host_metrics import Endpoint, metrics_of, read_metrics, watching
from tests.metrics_replay import replaying, text

SIZES = {size.name: size for size in load().compute}
KEY = "sb_secret_of_the_tests_0123456789"


def told(*texts: tuple[float, str]) -> HostMetrics:
    return metrics_of("http://host", [read_metrics(body, at) for at, body in texts])


def test_shares_and_rates_are_those_between_the_first_reading_and_the_last() -> None:
    found = told(
        *((at, text(at, busy=0.3, iowait=0.1, steal=0.2, iops=250, mb_s=3)) for at in (5, 20, 65))
    )
    assert found.seconds == 60
    assert found.cores == 2
    assert found.cpu_busy_share == pytest.approx(0.3)
    assert found.cpu_iowait_share == pytest.approx(0.1)
    assert found.cpu_steal_share == pytest.approx(0.2)
    assert found.disk_iops == pytest.approx(250), "a loop device is no disk"
    assert found.disk_mb_s == pytest.approx(3)
    assert found.memory_used_share == pytest.approx(0.75)
    assert found.pooler_clients == 12
    assert (found.connections, found.credits_first) == (None, None)
    assert "30% busy, 10% waiting for the disk, 20% stolen, 75% of memory used" in summary(found)


def test_figures_that_are_renewed_once_a_minute_are_counted_by_when_they_change() -> None:
    body = text(0)
    found = told((0, body), (15, body), (30, body), (62, text(62)), (70, text(62)))
    assert found.seconds == 62
    assert found.cpu_busy_share == pytest.approx(0.35)


def test_figures_that_never_change_are_none() -> None:
    found = told((0, text(0)), (60, text(0)))
    assert found.cpu_busy_share is None
    (sentence,) = alerts(found, SIZES["micro"])
    assert sentence.endswith("its figures did not change while the target was driven")


@pytest.mark.parametrize(
    ("size", "figures", "said"),
    [
        ("micro", {"busy": 0.09, "iops": 499}, []),
        ("micro", {"busy": 0.11, "iops": 1}, ["drain: 11% busy, micro sustains 10%"]),
        # XL's cores are its own.
        ("xl", {"busy": 0.95, "iops": 1}, []),
        (None, {"busy": 0.95, "iops": 90_000}, []),
        ("micro", {"busy": 0.01, "steal": 0.06, "iops": 1}, ["took 6% of the processor away"]),
        ("micro", {"busy": 0.01, "iops": 501}, ["501 disk operations/s, micro sustains 500"]),
        ("micro", {"busy": 0.01, "iops": 1, "mb_s": 12}, ["12 MB/s of disk, micro sustains 11"]),
    ],
)
def test_what_ends_with_its_credits_is_told(size, figures, said) -> None:
    found = alerts(told(*((at, text(at, **figures)) for at in (0, 60))), SIZES.get(size))
    assert len(found) == len(said)
    assert all(part in sentence for part, sentence in zip(said, found, strict=True))


def test_a_balance_of_credits_goes_before_what_a_size_sustains() -> None:
    balance = "# TYPE aws_ec2_cpucredit_balance_average gauge\naws_ec2_cpucredit_balance_average {}"
    full = told(*((at, text(at, more=balance.format(144))) for at in (0, 60)))
    # 35% busy on Micro, whose balance does not fall: more than that is sustained.
    assert full.credits_last == 144
    falls = told((0, text(0, more=balance.format(144))), (60, text(60, more=balance.format(141))))
    (sentence,) = alerts(falls, SIZES["micro"])
    assert "144 → 141 in 60 s" in sentence


def test_swap_waiting_clients_and_full_memory_are_told() -> None:
    def body(at: float, swap_free: float) -> str:
        more = (
            f"# TYPE node_memory_SwapTotal_bytes gauge\nnode_memory_SwapTotal_bytes 1e9\n"
            f"# TYPE node_memory_SwapFree_bytes gauge\nnode_memory_SwapFree_bytes {swap_free}\n"
            "# TYPE pgbouncer_pools_client_waiting_connections gauge\n"
            'pgbouncer_pools_client_waiting_connections{database="postgres"} 3'
        )
        return text(at, busy=0.01, iops=1, more=more).replace("5e+08", "5e+07")

    found = alerts(told((0, body(0, 1e9)), (60, body(60, 9e8))), SIZES["micro"])
    assert found == (
        "Memory is full: 98% used without page cache",
        "The host swapped out 100 MB while it was driven",
        "3 pooler clients waited for a connection",
    )


@pytest.mark.parametrize("body", ["<html>Sign in</html>", "", "up 1", "a{b 1"])
def test_what_is_no_metrics_is_refused(body) -> None:
    with pytest.raises(ValueError, match=r".+"):
        read_metrics(body, 0.0)


@pytest.mark.integration
def test_a_host_is_read_while_it_is_driven_with_the_key_as_password() -> None:
    with replaying(*(text(second) for second in range(100))) as server:
        endpoint = Endpoint.of("http://127.0.0.1:8000", server.url, KEY)
        with watching(endpoint, every_s=0.02) as watched:
            while len(server.asked) < 4:
                pass
    assert watched.metrics is not None
    assert watched.metrics.fault == ""
    assert watched.metrics.cpu_busy_share == pytest.approx(0.35)
    assert watched.metrics.url == server.url
    path, authorization = server.asked[0]
    assert path == "/metrics"
    assert authorization == "Basic " + base64.b64encode(f"service_role:{KEY}".encode()).decode()
    assert KEY not in repr(endpoint)


@pytest.mark.integration
@pytest.mark.parametrize(
    ("status", "body", "said"),
    [
        (401, "", "it answers 401; check SUPABASE_METRICS_KEY"),
        (302, "", "it answers 302"),
        (200, "<html>", "metrics"),
    ],
)
def test_a_host_that_refuses_is_told_and_the_key_follows_no_redirect(status, body, said) -> None:
    with replaying(body, status=status) as server:
        endpoint = Endpoint.of("http://127.0.0.1:8000", server.url, KEY)
        with watching(endpoint) as watched:
            pass
    assert watched.metrics is not None
    (sentence,) = alerts(watched.metrics, None)
    assert said in sentence
    assert KEY not in sentence


@pytest.mark.parametrize(
    ("host", "url", "sent"),
    [
        ("https://abc.supabase.co", None, True),
        ("https://abc.supabase.co", "https://metrics.example/x", False),
        # Somebody on the way could read it.
        ("https://abc.supabase.co", "http://abc.supabase.co/metrics", False),
        ("http://127.0.0.1:1", "http://127.0.0.1:2/metrics", True),
    ],
)
def test_the_key_goes_to_the_host_under_test_alone(host, url, sent) -> None:
    endpoint = Endpoint.of(host, url, KEY)
    assert endpoint is not None
    assert bool(endpoint.authorization) is sent
    if url is None:
        assert endpoint.address.url == host + "/customer/v1/privileged/metrics"


def test_without_a_key_and_a_url_nothing_is_asked() -> None:
    assert Endpoint.of("https://abc.supabase.co", None, "") is None
    with watching(None) as watched:
        pass
    assert watched.metrics is None


@pytest.mark.parametrize("key", ["a\nb", "sb_secret_\x00"])
def test_a_key_that_cannot_be_sent_is_never_quoted(key) -> None:
    with pytest.raises(ConfigurationError) as refused:
        Endpoint.of("https://abc.supabase.co", None, key)
    assert "sb_" not in refused.value.sentence()


def test_a_key_for_a_target_that_is_not_hosted_asks_where_to() -> None:
    with pytest.raises(ConfigurationError, match="--metrics-url"):
        Endpoint.of("http://127.0.0.1:8000", None, KEY)
