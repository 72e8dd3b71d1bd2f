"""embed_projects_in_tasks: a list and then a statement for each row, against one statement."""

from phasegate.compare import Answer, Arm, Compare, Connection, Parameters, Route, Via
from phasegate.compare import arms_of, declared, sql_of
from phasegate.compare.technique_folders import body_of, project_here

LIST, EACH = sql_of("embed_projects_in_tasks", "before"), sql_of("embed_projects_in_tasks", "each")
AFTER = sql_of("embed_projects_in_tasks", "after")
AWAY = Route(Via.PROXY, 1.0)  # a millisecond to the server: one statement is one round trip
NAMES = project_here().technique("embed_projects_in_tasks").file.parameters


def one_by_one(caller: Connection, drawn: Parameters) -> Answer:
    """The list, then each."""
    listed = caller.fetch(LIST, *(drawn[name] for name in NAMES))
    column = listed.column(listed.names.index("project_id"))
    for value in dict.fromkeys(value for value in column if value is not None):
        caller.fetch(EACH, value)
    return listed


TECHNIQUE = declared(
    "embed_projects_in_tasks",
    before=Arm("one by one", LIST, one_by_one, route=AWAY),
    after=Arm("one statement", AFTER, body_of(AFTER, NAMES), route=AWAY),
)


@arms_of(TECHNIQUE)
def test_embed_projects_in_tasks(compare: Compare, arm: str) -> None:
    """One by one against one statement."""
    compare(TECHNIQUE, arm)
