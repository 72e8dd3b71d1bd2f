"""A query and the catalogue, joined: which relation, columns and keys each part of it means.

Pure. Everything that a request names is looked up here; what is not found is PostgREST's error.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field, replace

from phasegate.api import errors
from phasegate.api.catalogue import Catalogue, Relation, Relationship
from phasegate.api.query import ROOT, Column, Embed, Field, Is, Logic, Order, Path, Query, Term


@dataclass(slots=True)
class Node:
    """One relation of the answer: the root, or an embed."""

    relation: Relation
    alias: str
    """Unique in the statement; generated, never the request's."""
    embed: Embed | None = None
    relationship: Relationship | None = None
    columns: list[Column] = field(default_factory=list)
    children: list[Node] = field(default_factory=list)
    where: list[Term] = field(default_factory=list)
    order: list[Order] = field(default_factory=list)
    limit: int | None = None
    offset: int = 0

    def column(self, name: str) -> str:
        """`name`, which the relation has.

        Raises:
            ApiError: 42703.
        """
        if name not in self.relation.columns:
            raise errors.unknown_column(self.relation.name, name)
        return name

    def child(self, name: str) -> Node | None:
        """The embed that filters call `name`."""
        for child in self.children:
            if child.embed is not None and child.embed.name == name:
                return child
        return None


def plan(
    query: Query, relation: Relation, catalogue: Catalogue, alias: str, *, rows_max: int
) -> Node:
    """The tree of a query on `relation`; an embed brings at most `rows_max` rows.

    Raises:
        ApiError: an embed, column, filter or order that the catalogue does not have.
    """
    counter = [0]
    root = Node(relation, alias)
    _fill(root, query.select, catalogue, counter)
    for path, term in query.where:
        target = _find(root, path)
        _check_term(target, term)
        target.where.append(term)
    for path, orders in query.order:
        target = _find(root, path)
        for order in orders:
            _check_order(target, order)
        target.order.extend(orders)
    for path, limit in query.limits:
        _find(root, path).limit = limit
    for path, offset in query.offsets:
        _find(root, path).offset = offset
    _bound(root, rows_max)
    return root


def _bound(node: Node, rows_max: int) -> None:
    for child in node.children:
        if child.relationship is not None and not child.relationship.to_one:
            child.limit = rows_max if child.limit is None else min(child.limit, rows_max)
        _bound(child, rows_max)


def _fill(
    node: Node, items: Sequence[Column | Embed], catalogue: Catalogue, counter: list[int]
) -> None:
    for item in items:
        if isinstance(item, Column):
            if item.field.name != "*":
                node.column(item.field.name)
            node.columns.append(item)
            continue
        relationship = _relationship(node.relation.name, item, catalogue)
        if item.spread and not relationship.to_one:
            raise errors.not_implemented("Spreading the rows of a to-many relationship")
        counter[0] += 1
        child = Node(
            catalogue.relations[relationship.child],
            f"pgrst_{counter[0]}",
            embed=item,
            relationship=relationship,
        )
        _fill(child, item.items, catalogue, counter)
        node.children.append(child)
    if not node.columns and not node.children:
        node.columns.append(Column(Field("*")))


def _relationship(parent: str, embed: Embed, catalogue: Catalogue) -> Relationship:
    """The foreign key that `embed` means: named by its relation, by its column or constraint."""
    found = list(catalogue.relationships.get((parent, embed.relation), ()))
    if not found:  # the name may be that of a foreign key or its column
        found = [
            relationship
            for (source, _), listed in catalogue.relationships.items()
            if source == parent
            for relationship in listed
            if _is_called(relationship, embed.relation) and relationship.to_one
        ]
    if embed.hint is not None:
        found = [relationship for relationship in found if _is_called(relationship, embed.hint)]
    if not found:
        known = [child for source, child in catalogue.relationships if source == parent]
        similar = catalogue.similar_relation(embed.relation)
        suggested = similar if similar in known else None
        raise errors.no_relationship(parent, embed.relation, embed.hint, suggested)
    if len(found) > 1:
        raise errors.ambiguous_relationship(
            parent,
            embed.relation,
            [_described(relationship) for relationship in found],
            [f"'{relationship.child}!{relationship.constraint}'" for relationship in found],
        )
    return found[0]


def _is_called(relationship: Relationship, name: str) -> bool:
    own = [here for here, _ in relationship.pairs]
    theirs = [there for _, there in relationship.pairs]
    return name == relationship.constraint or [name] in (own, theirs)


def _described(relationship: Relationship) -> dict[str, str]:
    own = ", ".join(here for here, _ in relationship.pairs)
    theirs = ", ".join(there for _, there in relationship.pairs)
    return {
        "cardinality": relationship.cardinality,
        "embedding": f"{relationship.parent} with {relationship.child}",
        "relationship": f"{relationship.constraint} using {relationship.parent}({own})"
        f" and {relationship.child}({theirs})",
    }


def _find(root: Node, path: Path) -> Node:
    node = root
    for name in path:
        child = node.child(name)
        if child is None:
            aliased = (other.embed for other in node.children)
            alias = next((e.alias for e in aliased if e is not None and e.relation == name), None)
            raise errors.not_embedded(name, alias)
        node = child
    return node


def _check_term(node: Node, term: Term) -> None:
    if isinstance(term, Logic):
        for inner in term.terms:
            _check_term(node, inner)
        return
    name = term.field.name
    if name in node.relation.columns:
        return
    if node.child(name) is not None:
        if not isinstance(term.test, Is) or term.test.truth not in ("null", "not_null"):
            raise errors.bad_embed_filter(name)
        return
    node.column(name)


def _check_order(node: Node, term: Order) -> None:
    if term.relation is None:
        node.column(term.field.name)
        return
    child = node.child(term.relation)
    if child is None:
        raise errors.not_embedded(term.relation)
    if child.relationship is None or not child.relationship.to_one:
        raise errors.order_not_to_one(node.relation.name, term.relation)
    child.column(term.field.name)


def only_root(query: Query) -> Query:
    """`query` with the filters on the root left out, for the rows that a mutation returns."""
    kept = tuple((path, term) for path, term in query.where if path != ROOT)
    return replace(query, where=kept)
