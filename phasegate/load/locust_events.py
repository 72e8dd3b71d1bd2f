"""Locust's side of a test: which process does what, and how they talk.

    master or local   Coordinator    at test_start: a lease to each worker; at the end: the records
    worker or local   Generator    at test_start: sessions; each second and at the end: a report

Messages: `phasegate-lease` and `phasegate-end` from the master, `phasegate-report` from a worker.
"""

from __future__ import annotations

import argparse
import logging
import os
import signal
from pathlib import Path
from typing import Any

import gevent
import msgspec
from locust.env import Environment
from locust.runners import STATE_MISSING, LocalRunner, MasterRunner, Runner, WorkerRunner

from phasegate.load import preflight
from phasegate.load.coordinator import POLL_S, Coordinator
from phasegate.load.counters import StageTally
from phasegate.load.generator import Generator
from phasegate.load.locust_hooks import require_rate, take_in
from phasegate.load.locust_options import exit_code_given, refuse, starts_by_itself
from phasegate.load.locust_statistics import feed
from phasegate.load.preflight import level_in_words, level_told_by
from phasegate.load.session_user import Choice, SessionUser, choices, own_of_locust
from phasegate.load.settings import LoadSettings, host_of, keys_from, keys_read, settings_from
from phasegate.load.summary import Clicks, left_behind
from phasegate.load.tags import check_tags, left_out
from phasegate.model.errors import (
    CannotMeasure,
    ExitCode,
    PhasegateError,
    UsageError,
)
from phasegate.model.verdict import NO_LOAD, Verdict, code_of
from phasegate.project import Project
from phasegate.records.faults import explained, require_writable

log = logging.getLogger("phasegate.load")

LEASE, END, REPORT = "phasegate-lease", "phasegate-end", "phasegate-report"
LOCAL = "local"

# Of a headless run in the open model, the worst of its stages: the same for every verb of ours.
EXIT_CODES = {
    Verdict.PASS: ExitCode.HOLDS,
    Verdict.FAIL: ExitCode.DOES_NOT_HOLD,
    Verdict.INVALID: ExitCode.INVALID,
}


class LocustEvents:
    """What this process contributes to tests; one test at a time."""

    def __init__(self, project: Project) -> None:
        self._project = project
        self._environment: Environment
        self._generator: Generator | None = None
        self._coordinator: Coordinator | None = None
        self._lease: dict[str, Any] | None = None
        self._interrupted = False
        self._verdicts: list[Verdict] = []
        self._exit_code_on_error: int | None = None
        self._fault: PhasegateError | None = None

    def join(self, environment: Environment) -> None:
        """Listen to `environment`.

        Raises:
            PhasegateError: the options or the environment do not allow a test.
        """
        self._environment = environment
        SessionUser.carry_out_next = self._closed_session
        runner = self._runner
        options = environment.parsed_options or argparse.Namespace()
        if theirs := own_of_locust(environment.user_classes):
            take_in(environment, theirs)
        self._exit_code_on_error = exit_code_given(options)
        refuse(options, arrivals=False)
        if isinstance(runner, WorkerRunner) and options.processes:
            # Forked: its part of the statistics is no result. Locust takes --csv and --html away.
            options.json, options.json_file = False, None
        keys_from(os.environ, options, needed=self._keys_needed)
        address = host_of(options, environment.host, os.environ)
        if address is not None:
            environment.host = address.url
        if not isinstance(runner, WorkerRunner):
            check_tags(environment)
            remarks = [*(address.remarks if address else ())]
            for key in keys_read(os.environ):
                remarks += key.remarks
            for remark in remarks:
                log.warning("%s", remark)
        if not isinstance(runner, WorkerRunner):
            self._check(options)
        if isinstance(runner, (MasterRunner, LocalRunner)):
            runner.register_message(REPORT, self._on_report)
        if isinstance(runner, (WorkerRunner, LocalRunner)):
            runner.register_message(LEASE, self._on_lease)
            runner.register_message(END, self._on_end, concurrent=True)
        gevent.signal_handler(signal.SIGINT, self._on_interrupt)
        environment.events.test_start.add_listener(self._on_test_start)
        environment.events.test_stopping.add_listener(self._on_test_stopping)
        environment.events.quitting.add_listener(self._on_quitting)

    @property
    def _keys_needed(self) -> bool:
        """Whether sessions cannot do without Supabase's keys."""
        classes = self._environment.user_classes
        ours = len(own_of_locust(classes)) < len(classes)
        return ours and not self._project.api.command

    def _check(self, options: argparse.Namespace) -> None:
        """Refuse, before anything is sent, options that make no sense and a folder that is shut."""
        if self._environment.host:
            settings = self._settings()
            refuse(options, arrivals=settings.is_open and starts_by_itself(options))
        if getattr(options, "out", None):
            require_writable(Path(options.out), purpose="records")

    def _closed_session(self, user_class: type[SessionUser]) -> None:
        """One session of a Locust user."""
        if self._generator is None:
            gevent.sleep(1)
        else:
            self._generator.closed_session(user_class)

    @property
    def _runner(self) -> Runner:
        runner = self._environment.runner
        if runner is None:
            raise CannotMeasure("Locust has no runner", then="Start it by its own command")
        return runner

    def _settings(self) -> LoadSettings:
        environment = self._environment
        return settings_from(
            environment.parsed_options or argparse.Namespace(),
            host=environment.host,
            environment=os.environ,
            project=self._project,
            own_of_locust=bool(own_of_locust(environment.user_classes)),
            keys_needed=self._keys_needed,
        )

    def _on_test_start(self, **_: Any) -> None:
        try:
            self._start()
        except Exception as error:
            self._give_up(error)
            gevent.spawn(self._stop)

    def _give_up(self, error: Exception) -> None:
        """Say in one line what went wrong; the process then ends with its exit code."""
        wrong = explained(error)
        log.error("%s", wrong.sentence())
        self._fault = wrong
        self._environment.process_exit_code = wrong.exit_code

    def _start(self) -> None:
        runner, settings = self._runner, self._settings()
        self._generator = self._coordinator = None  # of an earlier test, in the web UI
        require_rate(self._environment, own_of_locust(self._environment.user_classes))
        options = self._environment.parsed_options
        if options is not None and not options.level and not isinstance(runner, WorkerRunner):
            told = None
            if settings.uses_own_client:  # sessions of ours go by the parts of a level
                told = level_told_by(settings.host, len(self._project.levels))
                log.info("%s", level_in_words(told, self._project))
            options.level = told or self._project.level_assumed  # as workers will be told it
            settings = self._settings()
        if isinstance(runner, (MasterRunner, LocalRunner)):
            reading = self._choices(may_write=False)
            if not self._choices(may_write=settings.allow_writes):
                raise UsageError(
                    "No @task is left to carry out: those that write or are on demand are left out",
                    untouched="No request was sent",
                    then="Give --allow-writes (and no --reads-only), or --tags with a tag of them",
                )
            if left := left_out(self._environment, may_write=settings.allow_writes):
                log.warning(
                    "Left out, since they write: %s; --allow-writes (and no --reads-only) drives "
                    "them too",
                    ", ".join(left),
                )
            sent = preflight.check(settings, self._project, self._environment, reading)
            workers = [LOCAL]
            if isinstance(runner, MasterRunner):
                workers = [w.id for w in runner.clients.values() if w.state != STATE_MISSING]
            self._conduct(settings, workers, sent)
        if isinstance(runner, (WorkerRunner, LocalRunner)):
            self._generate(settings)

    def _conduct(self, settings: LoadSettings, workers: list[str], requests_sent: int) -> None:
        runner = self._runner
        self._verdicts.clear()
        self._fault = None
        self._coordinator = Coordinator(
            settings, self._project.catalogue.workload, workers, self._is_missing, requests_sent
        )
        for worker in workers:
            runner.send_message(LEASE, self._coordinator.lease(worker), worker)
        gevent.spawn(self._watch, self._coordinator)

    def _generate(self, settings: LoadSettings) -> None:
        lease, self._lease = self._lease, None
        if lease is None:
            # It joined a test under way: the load is shared among those who were there.
            log.warning("This worker came too late for the test and stands by")
            return
        self._generator = Generator(
            settings,
            self._project,
            self._environment,
            slot=lease["slot"],
            slots=lease["slots"],
            requests_sent=lease["requests_sent"],
            report=self._report,
            on_folded=lambda name, rows: feed(self._environment, name, rows),
        )
        self._generator.start(self._choices(may_write=settings.allow_writes))

    def _choices(self, *, may_write: bool) -> tuple[Choice, ...]:
        """The sessions to draw from."""
        tagged = bool(getattr(self._environment.parsed_options, "tags", None))
        return choices(self._environment.user_classes, tagged=tagged, may_write=may_write)

    def _watch(self, coordinator: Coordinator) -> None:
        """End the test once every worker is through with it, or nothing can come of it."""
        while coordinator.is_under_way and not coordinator.hopeless:
            gevent.sleep(POLL_S)
        if coordinator.is_under_way:
            log.error("The test ends here, since nothing can come of it: %s", coordinator.hopeless)
            self._end(coordinator)
        self._write(coordinator)
        self._stop()

    def _stop(self) -> None:
        options, runner = self._environment.parsed_options, self._runner
        if options is None or not options.headless:
            runner.stop()
        if options is not None and options.autostart and not options.headless:
            self._quit_after(options.autoquit)
        elif options is not None and options.headless:
            runner.quit()

    def _quit_after(self, pause_s: int) -> None:
        """`--autoquit`, which Locust heeds at the end of `--run-time` alone; -1 for never."""
        if pause_s < 0:
            return
        gevent.sleep(pause_s)
        self._runner.quit()
        if self._environment.web_ui is not None:
            self._environment.web_ui.stop()

    def _on_interrupt(self) -> None:
        """Ctrl-C: end the test in order, so that whatever Locust writes afterwards is complete.

        The second one ends it as it is, and a worker leaves the order to its master.
        """
        again, self._interrupted = self._interrupted, True
        if again or self._coordinator is None or isinstance(self._runner, WorkerRunner):
            _interrupt()
        else:
            gevent.spawn(self._end_by_hand)

    def _end_by_hand(self) -> None:
        options = self._environment.parsed_options
        self._runner.quit()
        # Without the web UI it is the runner that the main greenlet waits for.
        if options is None or not options.headless:
            _interrupt()

    def _on_test_stopping(self, **_: Any) -> None:
        coordinator = self._coordinator
        self._end(coordinator)
        if coordinator is not None:
            self._write(coordinator)

    def _end(self, coordinator: Coordinator | None) -> None:
        """Have all generators finish, and wait for their last reports."""
        runner = self._runner
        if isinstance(runner, MasterRunner) and coordinator is not None:
            for worker in coordinator.missing:
                runner.send_message(END, {"interrupted": self._interrupted}, worker)
            coordinator.end()
        elif isinstance(runner, LocalRunner) and coordinator is not None:
            coordinator.mark_end()
        if self._generator is not None:
            self._generator.finish(interrupted=self._interrupted)

    def _on_quitting(self, **_: Any) -> None:
        """The process ends: by Ctrl-C, by a signal, or because the test is over."""
        self._interrupted = True
        self._on_test_stopping()
        runner, options = self._runner, self._environment.parsed_options
        if isinstance(runner, WorkerRunner):
            self._send_statistics(runner)
        elif self._fault is not None:
            self._environment.process_exit_code = self._fault.exit_code
        elif options is not None and starts_by_itself(options) and self._verdicts:
            self._environment.process_exit_code = self._exit_code()

    def _exit_code(self) -> int:
        """The worst verdict's, or what `--exit-code-on-error` says where something failed."""
        runner, asked = self._runner, self._exit_code_on_error
        if asked is not None and (runner.errors or runner.exceptions):
            return asked
        return max(EXIT_CODES[verdict] for verdict in self._verdicts)

    def _send_statistics(self, runner: WorkerRunner) -> None:
        """To the master: Locust's worker sends its last ones only where the master tells it to."""
        data: dict[str, Any] = {}
        self._environment.events.report_to_master.fire(client_id=runner.client_id, data=data)
        runner.send_message("stats", data)

    def _write(self, coordinator: Coordinator) -> None:
        if coordinator.records:
            return
        try:
            records = coordinator.finish()
        except Exception as error:
            self._give_up(error)
            return
        for record in records:
            clicks = Clicks.of(record)
            judgement = clicks.judge(self._project.catalogue.slo)
            # Used as any locustfile is, Locust's own exit codes hold, unless there was no load.
            if coordinator.is_open or NO_LOAD & {code_of(reason) for reason in record.invalid}:
                self._verdicts.append(judgement.verdict)
            log.info(
                "stage %s: %s (%d clicks, p95 %s)%s",
                record.stage,
                judgement.verdict,
                clicks.count,
                "–" if clicks.latency_ms_p95 is None else f"{clicks.latency_ms_p95:.0f} ms",
                "".join(f"; {reason}" for reason in judgement.reasons),
            )
        left = left_behind(records, self._settings().reads)
        if left and own_of_locust(self._environment.user_classes):
            log.warning("%s", left)

    def _is_missing(self, worker: str) -> bool:
        runner = self._runner
        if not isinstance(runner, MasterRunner):
            return False
        node = runner.clients.get(worker)
        return node is None or node.state == STATE_MISSING

    def _report(self, tallies: dict[int, StageTally], last: bool) -> None:
        data = {"tallies": msgspec.msgpack.encode(tallies), "last": last}
        self._runner.send_message(REPORT, data)

    def _on_report(self, msg: Any, **_: Any) -> None:
        if self._coordinator is not None:
            self._coordinator.add(msg.node_id, msg.data["tallies"], last=msg.data["last"])

    def _on_lease(self, msg: Any, **_: Any) -> None:
        self._lease = msg.data

    def _on_end(self, msg: Any, **_: Any) -> None:
        if self._generator is not None:
            self._generator.finish(interrupted=msg.data["interrupted"])


def _interrupt() -> None:
    """Ctrl-C, for the main greenlet alone.

    Python would raise KeyboardInterrupt in whatever greenlet runs at that moment: a session, or the
    one that takes the workers' reports in, which would be lost with it.
    """
    gevent.get_hub().handle_system_error(KeyboardInterrupt, KeyboardInterrupt())
