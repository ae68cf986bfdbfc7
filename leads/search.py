"""Finding leads by what is in them.

Who writes a list of leads calls `matching(queryset, question)`, and gets the queryset narrowed and still in its order:
to be sliced from its beginning, with a condition on (received_at, id) for later pages, and reversed by `reverse()`.

Two ways lead to the rows, and the planner is not asked which: it knows what is rare in a text as little as anybody. A
word that is common among the newest leads is looked for row by row in the order of the list, which fills a page soon.
Any other is looked up in the trigram index, and its leads are sorted; then the list must not be walked in its own
order, or it is walked to its end for the last few.
"""

import json
import re
from collections.abc import Sequence
from typing import Any, TypeVar

from django.db import connection, models, transaction
from django.db.models import Exists, F, OrderBy, OuterRef, QuerySet, Subquery, Value
from django.db.models.expressions import RawSQL
from django.db.models.functions import Greatest, StrIndex
from django.db.models.lookups import GreaterThan

from leads import statements
from leads.models import Customer, Lead, LeadText, Submission
from leads.payload import decode

Row = TypeVar("Row", bound=models.Model)
Keys = list[Any]  # ids, as the database takes them

MOST_WORDS = 16  # of a question; more change nothing
MOST_TRIGRAMS = 24  # of a word, for SQLite's index: what is found is compared with the whole word
NEWEST = 2_000  # leads in which a word is looked for first
COMMON = 8  # among them: a page is full after some 12,500 leads
MOST_FOUND = 50_000  # by the index
NEWEST_FOR_SHORT = 20_000  # leads in which words are looked for that no index holds
MOST_UNREAD = 500  # bodies that are no leads, looked through for a question
_INDEXED = {"postgresql": re.compile(r"[^\W_]{3}"), "sqlite": re.compile("...", re.DOTALL)}


def words_of(question: str) -> list[str]:
    """What somebody typed, as words without regard to case, each of which must occur."""
    return list(dict.fromkeys(question.replace("\0", "\ufffd").casefold().split()))[:MOST_WORDS]


# --- What lists ask ------------------------------------------------------------------------------------------


def matching(queryset: "QuerySet[Row]", question: str, *, lead: str = "pk") -> "QuerySet[Row]":
    """The rows whose lead has every word of the question somewhere in it.

    `lead` is where a row names its lead: "pk" of leads, "lead" of sendings. A question of no words finds everything.
    Words without three letters in a row are no use to an index: a question of only such ones is asked of the newest
    20,000 leads.
    """
    words = words_of(question)
    if not words:
        return queryset
    keys = _rare(words)
    if keys is None:
        text = LeadText.objects.filter(lead=OuterRef(lead)).values("text")[:1]
        walked: Any = queryset.alias(searched_text=Subquery(text))
        return _containing(walked, "searched_text", words)
    return _sorted_afterwards(queryset.filter(**{f"{lead}__in": _listed(keys)}))


def customers_matching(queryset: "QuerySet[Customer]", question: str) -> "QuerySet[Customer]":
    """The customers of whom one lead has every word of the question."""
    words = words_of(question)
    if not words:
        return queryset
    keys = _rare(words)
    if keys is None:
        texts = LeadText.objects.filter(lead__customer=OuterRef("pk"))
        return queryset.filter(Exists(_containing(texts, "text", words)))
    leads = Lead.objects.filter(pk__in=_listed(keys)).order_by()
    return _sorted_afterwards(queryset.filter(pk__in=leads.values("customer")))


def requests_matching(queryset: "QuerySet[Submission]", question: str) -> "QuerySet[Submission]":
    """The requests with every word of the question: in their lead, or in the body where they are none.

    Of unreadable ones the newest 500 in quarantine and as many released and discarded; of leads, where words are common
    among them, the newest 2,000.
    """
    words = words_of(question)
    if not words:
        return queryset
    keys = _rare(words)
    leads = Lead.objects.filter(pk__in=_listed(_newest(words, NEWEST) if keys is None else keys))
    found = [*leads.order_by().values_list("submission", flat=True), *_unread(words)]
    return _sorted_afterwards(queryset.filter(pk__in=_listed([statements.adapted(pk) for pk in found])))


# --- Where words are -----------------------------------------------------------------------------------------


def _rare(words: Sequence[str]) -> Keys | None:
    """The leads with all of these words; None if they are so common that walking a list finds them."""
    if not any(map(_INDEXED[connection.vendor].search, words)):
        return _newest(words, NEWEST_FOR_SHORT)
    if len(_newest(words, NEWEST, COMMON)) == COMMON:
        return None
    return _on_postgres(words) if connection.vendor == "postgresql" else _on_sqlite(words)


def _newest(words: Sequence[str], leads: int, most: int | None = None) -> Keys:
    """The newest leads with all of these words."""
    texts = LeadText.objects.order_by("-id")
    last = texts.values_list("id", flat=True)[leads : leads + 1].first()
    found = _containing(texts.filter(pk__gt=last) if last else texts, "text", words)
    return [statements.adapted(pk) for pk in found.order_by().values_list("lead", flat=True)[:most]]


def _on_postgres(words: Sequence[str]) -> Keys:
    parts, values = [], []
    for word in words:
        if _INDEXED["postgresql"].search(word):
            parts.append("text LIKE %s")
            values.append(f"%{connection.ops.prep_for_like_query(word)}%")
        else:  # of which its index knows nothing
            parts.append("strpos(text, %s) > 0")
            values.append(word)
    sql = f"SELECT lead_id FROM leads_leadtext WHERE {' AND '.join(parts)} LIMIT {MOST_FOUND}"  # noqa: S608
    with transaction.atomic(), connection.cursor() as cursor:
        # Tempted by the limit, it would read the whole table.
        cursor.execute("SET LOCAL enable_seqscan = off")
        cursor.execute(sql, values)
        found = [pk for (pk,) in cursor.fetchall()]
        cursor.execute("SET LOCAL enable_seqscan TO DEFAULT")
    return found


def _on_sqlite(words: Sequence[str]) -> Keys:
    trigrams = " AND ".join(dict.fromkeys(quoted for word in words for quoted in _trigrams(word)))
    parts = " AND ".join(["instr(t.text, %s) > 0"] * len(words))
    sql = (
        "SELECT t.lead_id FROM leads_leadtext_fts f JOIN leads_leadtext t ON t.id = f.rowid "  # noqa: S608
        f"WHERE f.leads_leadtext_fts MATCH %s AND {parts} LIMIT {MOST_FOUND}"
    )
    with connection.cursor() as cursor:
        cursor.execute(sql, [trigrams, *words])
        return [key for (key,) in cursor.fetchall()]


def _trigrams(word: str) -> list[str]:
    """Some of a word's trigrams, evenly spread, each as a string of FTS5's language."""
    places = range(len(word) - 2)
    step = max(1, len(places) // MOST_TRIGRAMS)
    return ['"' + word[place : place + 3].replace('"', '""') + '"' for place in places[::step]]


def _unread(words: Sequence[str]) -> list[Any]:
    """The requests that are no leads with all of these words in their bodies."""
    verdict = Submission.Verdict
    found = []
    for verdicts, order in (
        ([verdict.QUARANTINED], "-received_at"),
        ([verdict.RELEASED, verdict.DISCARDED], "-id"),
    ):
        rows = Submission.objects.filter(verdict__in=verdicts).order_by(order)
        for pk, body in rows.values_list("pk", "body")[:MOST_UNREAD]:
            text = decode(bytes(body)).casefold()
            if all(word in text for word in words):
                found.append(pk)
    return found


# --- SQL -----------------------------------------------------------------------------------------------------


def _listed(keys: Keys) -> RawSQL:
    """These keys as one parameter."""
    if connection.vendor == "postgresql":
        return RawSQL("SELECT unnest(%s::uuid[])", [keys])
    return RawSQL("SELECT value FROM json_each(%s)", [json.dumps(keys)])


def _containing(queryset: "QuerySet[Row]", name: str, words: Sequence[str]) -> "QuerySet[Row]":
    return queryset.filter(*(GreaterThan(StrIndex(name, Value(word)), 0) for word in words))


def _sorted_afterwards(queryset: "QuerySet[Row]") -> "QuerySet[Row]":
    """In the same order, by expressions that no index is in the order of."""
    order: Sequence[Any] = queryset.query.order_by or queryset.model._meta.ordering or ()
    return queryset.order_by(*(_unindexed(str(name)) for name in order))


def _unindexed(name: str) -> OrderBy:
    field = F(name.lstrip("-"))
    return OrderBy(Greatest(field, field), descending=name.startswith("-"))
