"""Locust's `--tags` and `--exclude-tags`, checked before anything is sent. Reads the options."""

from __future__ import annotations

from locust.env import Environment

from phasegate.load.locust_hooks import tasks_of
from phasegate.load.session_user import all_tags
from phasegate.model.errors import UsageError


def left_out(environment: Environment, *, may_write: bool) -> tuple[str, ...]:
    """Sessions that `--tags` asks for, and that are not driven, since they write."""
    asked = set(getattr(environment.parsed_options, "tags", None) or ())
    return tuple(
        f"{user_class.__name__}.{task.__name__}"
        for user_class in environment.user_classes
        for task in dict.fromkeys(tasks_of(user_class))
        if not may_write
        and getattr(task, "phasegate_writes", False)
        and asked & getattr(task, "locust_tag_set", set())
    )


def check_tags(environment: Environment) -> None:
    """Locust takes tags that no task has, and then raises for every user, for ever.

    Raises:
        UsageError: there is no such tag, or those that there are leave no session to carry out.
    """
    options = environment.parsed_options
    asked = {name: set(getattr(options, name, None) or ()) for name in ("tags", "exclude_tags")}
    of_task = all_tags(environment.user_classes)
    known = sorted(set[str]().union(*of_task))
    then = f"Choose among {', '.join(known)}"
    for name, tags in asked.items():
        unknown = sorted(tags - set(known))
        if unknown:
            raise UsageError(
                f"--{name.replace('_', '-')}: no session has the tag {', '.join(unknown)}",
                untouched="No request was sent",
                then=then,
            )
    if not any(
        (not asked["tags"] or tags & asked["tags"]) and not tags & asked["exclude_tags"]
        for tags in of_task
    ):
        raise UsageError(
            "--tags and --exclude-tags leave no session to carry out",
            untouched="No request was sent",
            then=then,
        )
