"""Sessions as recorded: 1 visit of 3 clicks.

    locust -f loadtests/locustfile.py --host URL

docs/project/loadtests.md says what the class offers. Comments say what was guessed.
"""

from __future__ import annotations

import random
from typing import Any

from locust import tag, task

from phasegate.load import ALWAYS, ID, USUALLY, Rows, SessionUser, writes


def pick(rng: random.Random, rows: Any, *keys: str) -> Any:
    """One of the rows that have all of these; None where none has."""
    fit = [row for row in rows or () if all(row.get(key) is not None for key in keys)]
    return rng.choice(fit) if fit else None


class AppUser(SessionUser):
    """Somebody with the app open."""

    think_s = 1.0
    """Before the next click, as recorded."""

    def wait_time(self) -> float:
        """Think times as recorded."""
        return self.think_s

    @tag("write")
    @writes
    @task(1)
    def visit(self) -> None:
        """3 clicks, 8 requests as recorded."""
        notes: list[Any] = []

        with self.click("open notes", shows=USUALLY) as click:
            notes = self.client.get(
                f"/rest/v1/notes?select=id,title&user_id=eq.{self.user.id}&order=created_at.desc"
                "&limit=5",
                name="/rest/v1/notes?user_id=eq.{user_id}",
                expects=Rows({"id": ID}),
            ).json()
            click.saw(notes)
            for row in notes:  # N+1: 5 in one click of the recording
                self.client.get(
                    f"/rest/v1/comments?select=body&note_id=eq.{row['id']}",
                    name="/rest/v1/comments?note_id=eq.{note_id}",
                    expects=Rows(),
                )

        note = pick(self.rng, notes, "id")
        if note is not None:
            self.think_s = 2.9
            with self.click("open note", shows=USUALLY):
                self.client.get(
                    f"/rest/v1/notes?id=eq.{note['id']}",
                    name="/rest/v1/notes?id=eq.{id}",
                    expects=Rows(),
                )

        self.think_s = 6.5
        with self.click("create note", shows=ALWAYS):
            # What was typed into title is replaced, as long as it was.
            notes_2 = self.client.post(
                "/rest/v1/notes?select=id",
                name="/rest/v1/notes",
                json={
                    "user_id": self.user.id,
                    "title": "phasegate load test phaseg",
                    "status": "open",
                },
                headers={"Prefer": "return=representation"},
                expects=Rows({"id": ID}),
            ).json()
            for row in notes_2:
                self.created(f"/rest/v1/notes?id=eq.{row['id']}")
