"""Stand-ins for extensions that our own server lacks: each can be made, and does what it can."""

from __future__ import annotations

import asyncio

from phasegate.stack import stand_ins
from phasegate.stack.database import connected


def test_every_stand_in_can_be_made_and_taken_away(database: str) -> None:
    async def make() -> list[str]:
        async with connected(database) as connection:
            await connection.execute("create schema extensions")
            for name in (*stand_ins.STOOD_IN, *stand_ins.NAMES_ONLY):
                await connection.execute(f'create extension "{name}" cascade')
            made = await connection.fetch("select extname from pg_extension order by extname")
            same = await connection.fetchrow(
                """
                select uuid_generate_v5(uuid_ns_url(), 'x') = uuid_generate_v5(uuid_ns_url(), 'x'),
                    length(gen_random_bytes(40)) = 40,
                    crypt('word', crypt('word', gen_salt('bf'))) = crypt('word', gen_salt('bf'))
                """
            )
            assert (same[0], same[1]) == (True, True)
            hashed = await connection.fetchval("select crypt('word', gen_salt('bf'))")
            assert await connection.fetchval("select crypt('word', $1) = $1", hashed)
            assert not await connection.fetchval("select crypt('other', $1) = $1", hashed)
            for row in made:
                await connection.execute(f'drop extension if exists "{row["extname"]}" cascade')
            return [row["extname"] for row in made]

    made = asyncio.run(make())
    assert {*stand_ins.STOOD_IN, *stand_ins.NAMES_ONLY} < {*made, "plpgsql"}


def test_files_and_names_are_the_same() -> None:
    files = {path.name.removesuffix(".control") for path in stand_ins.FOLDER.glob("*.control")}
    assert files == set(stand_ins.STOOD_IN)
    assert not stand_ins.settings(stand_ins.VERSION_MIN - 1)
