"""Members of the notebook: they sign in, read what they wrote, and write another note."""

from __future__ import annotations

from locust import task

from phasegate.load import ALWAYS, USUALLY, Fields, SessionUser, writes


class Member(SessionUser):
    """Signs in with a cookie, as a browser does."""

    def on_start(self) -> None:
        """The log-in is not counted."""
        self.client.post("/session", json={"member": self.user.id})

    @task(3)
    def read(self) -> None:
        """Look again and again."""
        for _ in range(5):
            with self.click("open notes", shows=USUALLY):
                self.client.get(f"/notes?member={self.user.id}", name="notes")

    @writes
    @task(1)
    def write(self) -> None:
        """Write a note, and look."""
        with self.click("write note", shows=ALWAYS):
            self.client.post("/notes", json={"body": "milk"}, expects=Fields({"id": (int,)}))
