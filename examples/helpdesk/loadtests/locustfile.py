"""Sessions of the helpdesk: an agent works through the inbox, or takes a call down.

    locust -f loadtests/locustfile.py --host URL

Only tickets that a session opened itself are changed, and they are removed at the end.
"""

from __future__ import annotations

from datetime import UTC, datetime
from typing import Any

from locust import tag, task

from phasegate.load import ALWAYS, ID, OBJECT, TEXT, USUALLY, Rows, SessionUser, writes

Row = dict[str, Any]

ROWS = Rows({"id": ID})
TICKETS = Rows({"subject": TEXT, "fields": OBJECT})
RETURNED = {"Prefer": "return=representation"}

INBOX = (
    "/rest/v1/tickets?select=id,subject,status,changed_at&organisation_id=eq.{}"
    "&status=in.(open,waiting)&deleted_at=is.null&order=changed_at.desc&limit=25"
)

# In the subject of every ticket that a session opens, so that nobody takes it for a customer's.
TAG = "phasegate load test"


class Agent(SessionUser):
    """Somebody who answers tickets for one organisation or several."""

    @tag("read")
    @task(3)
    def triage(self) -> None:
        """Read what is new, and look for earlier tickets of that customer."""
        inbox = self.open_inbox(self.sign_in())
        tickets: list[Row] = []
        if inbox:
            ticket_id = self.rng.choice(inbox)["id"]
            with self.click("open ticket", shows=ALWAYS):
                tickets = self.client.get(
                    f"/rest/v1/tickets?select=*,comments(id,body,written_at)&id=eq.{ticket_id}"
                    "&comments.order=id",
                    name="tickets with comments",
                    expects=TICKETS,
                ).json()
        if tickets:
            subject, fields = tickets[0]["subject"], tickets[0]["fields"]
            with self.click("search", shows=ALWAYS):
                self.client.post(
                    "/rest/v1/rpc/search_tickets?select=id,subject,status,changed_at",
                    name="rpc/search_tickets",
                    json={
                        "words": subject.partition(":")[0],
                        "with_fields": {"channel": fields["channel"]},
                    },
                    expects=ROWS,
                )

    @tag("write")
    @writes
    @task(1)
    def take_call(self) -> None:
        """Open a ticket, note what was said, solve it."""
        organisation_id = self.sign_in()
        self.open_inbox(organisation_id)
        ticket_id = self.open_new_ticket(organisation_id)
        if ticket_id is None:
            return
        with self.click("comment", shows=ALWAYS):
            me = self.client.get("/rest/v1/agents?select=id", name="agents", expects=ROWS).json()
            self.client.post(
                "/rest/v1/comments",
                name="comments",
                json={"ticket_id": ticket_id, "author_id": me[0]["id"], "body": "Plugged it in."},
                headers=RETURNED,
                expects=ROWS,
            )
        with self.click("solve ticket", shows=ALWAYS):
            self.client.patch(
                f"/rest/v1/tickets?id=eq.{ticket_id}",
                name="tickets",
                json={"status": "solved", "changed_at": datetime.now(UTC).isoformat()},
                headers=RETURNED,
                expects=ROWS,
            )
        self.open_inbox(organisation_id)

    def sign_in(self) -> int | None:
        """Choose one of the agent's organisations; None where they did not come."""
        mine: list[Row] = []
        with self.click("sign in", shows=ALWAYS):
            mine = self.client.get(
                "/rest/v1/organisations?select=id,name&order=name",
                name="organisations",
                expects=ROWS,
            ).json()
        return self.rng.choice(mine)["id"] if mine else None

    def open_inbox(self, organisation_id: int | None) -> list[Row]:
        """The tickets of an organisation that wait for an answer."""
        inbox: list[Row] = []
        if organisation_id is not None:
            with self.click("open inbox", shows=USUALLY):
                path = INBOX.format(organisation_id)
                inbox = self.client.get(path, name="tickets (inbox)", expects=ROWS).json()
        return inbox

    def open_new_ticket(self, organisation_id: int | None) -> int | None:
        """Write down what the customer says; the ticket's id."""
        ticket_id: int | None = None
        if organisation_id is not None:
            with self.click("open new ticket", shows=ALWAYS):
                body = {
                    "organisation_id": organisation_id,
                    "subject": f"{TAG}: no sound",
                    "body": "The headset worked yesterday.",
                    "fields": {"channel": "phone"},
                }
                rows = self.client.post(
                    "/rest/v1/tickets", name="tickets", json=body, headers=RETURNED, expects=ROWS
                ).json()
                if rows:
                    ticket_id = rows[0]["id"]
                    self.created(f"/rest/v1/tickets?id=eq.{ticket_id}")  # and its comments
        return ticket_id
