"""Sessions of the task app: what its users do, click by click.

    locust -f loadtests/locustfile.py --host URL

Only rows that a session created itself are changed, so the data set stays as it was once they are
removed. docs/project/loadtests.md says what the class offers.
"""

from __future__ import annotations

from datetime import UTC, datetime
from typing import Any
from urllib.parse import quote

from locust import tag, task

from phasegate.load import (
    ALWAYS,
    ID,
    NONE,
    NUMBER,
    OBJECT,
    TEXT,
    USUALLY,
    Click,
    EtagCache,
    Fields,
    Maybe,
    RequestFailed,
    Rows,
    SessionUser,
    TtlCache,
    on_demand,
    writes,
)

Row = dict[str, Any]

# Rows of a list: PostgREST clients page, and a screen holds no more.
PAGE_ROWS = 20

# The scaling guide's client cache: five minutes. A browser keeps one page or two; a generator's
# process acts as many browsers.
CACHE_TTL_S = 300.0
CACHE_ENTRIES_MAX = 10_000

# The work waits a fifth of a second for a service elsewhere, as a call of a language model would
# for seconds; longer ones only make the difference larger.
HEAVY_BODY = {"waitMs": 200}
HEAVY_POLL_S = 0.25
HEAVY_POLLS_MAX = 40  # ten seconds; a queue further behind has failed its users

LOG_ROWS = 1_000

# In the title of every row that a session creates, so that nobody takes it for a user's own.
TAG = "phasegate load test"

# The columns that a session goes on with; an answer without them is none.
TASKS = Rows({"project_id": ID + NONE})
TASKS_WITH_PROJECTS = Rows({"project_id": ID + NONE, "projects": OBJECT + NONE})
PROJECTS = Rows({"name": (object,), "color": (object,)})
STATS = Rows({"task_count": NUMBER})
LOG = Rows({"action": TEXT})
CREATED = Rows({"id": ID})
CHANGED = Maybe(Rows())
ACCEPTED = Fields({"taskId": ID})
PROGRESS = Fields({"status": TEXT})

RETURNED = {"Prefer": "return=representation"}

pages: TtlCache[list[Row]] = TtlCache(CACHE_TTL_S, CACHE_ENTRIES_MAX)
answers = EtagCache(CACHE_ENTRIES_MAX)


class AppUser(SessionUser):
    """A person with the app open."""

    @tag("read")
    @task(12)
    def browse(self) -> None:
        """Look at tasks, a project, the statistics; most visits change nothing."""
        page = self.open_list()
        projects = sorted({row["project_id"] for row in page if row["project_id"]}, key=str)
        if projects:
            with self.click("open project", shows=ALWAYS) as click:
                click.saw(self.read_tasks(self.rng.choice(projects)))
            self.open_list()
        with self.click("read stats", shows=ALWAYS):
            self.client.post(
                "/rest/v1/rpc/user_stats", name="rpc/user_stats", json={}, expects=STATS
            )

    @tag("write")
    @writes
    @task(8)
    def organise(self) -> None:
        """Write down what is to be done, and do it; see the list again after each."""
        page = self.open_list()
        created = self.create_task(page)
        self.open_list()
        if created is not None:
            with self.click("complete task", shows=ALWAYS):
                # Row-level security may hide the row: then nothing was changed, and none is shown.
                self.client.patch(
                    f"/rest/v1/tasks?id=eq.{created}",
                    name="tasks",
                    json={"status": "done", "completed_at": datetime.now(UTC).isoformat()},
                    headers=RETURNED,
                    expects=CHANGED,
                )
                pages.invalidate(self.user.id)
            self.open_list()

    @tag("heavy")
    @on_demand
    @writes
    @task(1)
    def heavy(self) -> None:
        """Have work done that takes long: on the spot, or accepted and asked after until done."""
        self.open_list()
        if "jobs" not in self.parts:
            with self.click("heavy work (sync)"):
                self.client.post(
                    "/functions/v1/process-heavy-task-sync",
                    name="process-heavy-task-sync",
                    json=HEAVY_BODY,
                    expects=PROGRESS,
                )
            return
        with self.click("heavy work (accepted)") as click:
            accepted = self.client.post(
                "/functions/v1/process-heavy-task",
                name="process-heavy-task",
                json=HEAVY_BODY,
                expects=ACCEPTED,
            )
        if not click.failed:
            self.await_heavy(click, str(accepted.json()["taskId"]))

    @tag("analytics")
    @on_demand
    @task(1)
    def analyse(self) -> None:
        """Look at the list, then at the whole of one's own log."""
        self.open_list()
        with self.click("read log", shows=USUALLY):
            replica = "replica" in self.parts
            # The header of the scaling guide (docs/method.md#the-scaling-guide); only phasegate's
            # API follows it.
            asked = {"x-read-replica": "true"} if replica else {}
            self.client.get(
                f"/rest/v1/activity_logs?select=action,created_at&user_id=eq.{self.user.id}"
                f"&order=created_at.desc&limit={LOG_ROWS}",
                name=f"activity_logs ({'replica' if replica else 'primary'})",
                headers={"Prefer": "count=exact", **asked},
                expects=LOG,
            )

    def open_list(self) -> list[Row]:
        """The user's newest tasks; none where they did not come."""
        with self.click("open list", shows=USUALLY) as click:
            return click.saw(self.read_tasks())
        return []

    def create_task(self, page: list[Row]) -> str | None:
        """Write a task down, in a project of `page` if there is one; its id."""
        project_ids = [row["project_id"] for row in page if row["project_id"]]
        body = {
            "user_id": self.user.id,
            "project_id": self.rng.choice(project_ids) if project_ids else None,
            "title": f"{TAG}: water the plants",
        }
        created: str | None = None
        with self.click("create task", shows=ALWAYS):
            rows = self.client.post(
                "/rest/v1/tasks", name="tasks", json=body, headers=RETURNED, expects=CREATED
            ).json()
            pages.invalidate(self.user.id)
            if rows:
                created = str(rows[0]["id"])
                self.created(f"/rest/v1/tasks?id=eq.{created}")
        return created

    def await_heavy(self, click: Click, task_id: str) -> None:
        """Ask until the work is done."""
        with self.completion("heavy work", since=click) as work:
            work.failed = True
            for _ in range(HEAVY_POLLS_MAX):
                self.pause(HEAVY_POLL_S)
                try:
                    status = self.client.get(
                        f"/functions/v1/process-heavy-task?taskId={task_id}",
                        name="process-heavy-task",
                        expects=PROGRESS,
                    ).json()["status"]
                except RequestFailed:
                    continue
                if status in ("done", "failed"):
                    work.failed = status != "done"
                    break

    def read_tasks(self, project_id: str | None = None) -> list[Row]:
        """The user's newest tasks, or those of one project; with each project's name and colour."""
        if "cache" in self.parts:
            return pages.get(self.user.id, project_id, lambda: self.fetch_tasks(project_id))
        return self.fetch_tasks(project_id)[0]

    def fetch_tasks(self, project_id: str | None) -> tuple[list[Row], int]:
        """The same from the server, and the bytes that it took."""
        if "conditional" in self.parts:
            response = answers.get(
                self.user.id,
                project_id,
                lambda headers: self.client.get(
                    self.list_path("*,projects(name,color)", project_id),
                    name="tasks (conditional)",
                    headers=headers,
                    expects=TASKS_WITH_PROJECTS,
                ),
            )
            return response.json(), response.size_bytes
        if "embedded" in self.parts:
            path = self.list_path("*,projects(name,color)", project_id)
            response = self.client.get(path, name="tasks (embedded)", expects=TASKS_WITH_PROJECTS)
            return response.json(), response.size_bytes
        return self.fetch_one_by_one(project_id)

    def fetch_one_by_one(self, project_id: str | None) -> tuple[list[Row], int]:
        """The tasks, then one request for each project among them."""
        listed = self.client.get(self.list_path("*", project_id), name="tasks", expects=TASKS)
        rows, size_bytes = listed.json(), listed.size_bytes
        projects: dict[str, Any] = {}
        for wanted in dict.fromkeys(row["project_id"] for row in rows if row["project_id"]):
            found = self.client.get(
                f"/rest/v1/projects?select=name,color&id=eq.{quote(str(wanted))}",
                name="projects (one of N)",
                expects=PROJECTS,
            )
            projects[wanted] = next(iter(found.json()), None)
            size_bytes += found.size_bytes
        return [{**row, "projects": projects.get(row["project_id"])} for row in rows], size_bytes

    def list_path(self, select: str, project_id: str | None) -> str:
        """Of the list of tasks."""
        project = f"&project_id=eq.{quote(str(project_id))}" if project_id else ""
        return (
            f"/rest/v1/tasks?select={select}&user_id=eq.{self.user.id}{project}"
            f"&order=created_at.desc&limit={PAGE_ROWS}"
        )
