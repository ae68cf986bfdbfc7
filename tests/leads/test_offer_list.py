"""A list of offers as people paste it, and what is wrong with one, by line and column."""

import pytest

from leads.offer_list import MOST_PROBLEMS, MOST_ROWS, OfferList, decode, read


def fine(name: str, value: str) -> str:
    return ""


def said(found: OfferList) -> list[tuple[int, int, str]]:
    return [(problem.line, problem.column, problem.message) for problem in found.problems]


def offers(found: OfferList) -> list[tuple[str, str, str]]:
    assert not found.problems, said(found)
    return [(row.publisher_id, row.offer_id, row.title) for row in found.rows]


TWO = [("contoso", "backup", "Contoso Backup"), ("contoso", "mail-2", "Contoso Mail, the second")]


@pytest.mark.parametrize(
    "text",
    [
        "contoso\tbackup\tContoso Backup\ncontoso\tmail-2\tContoso Mail, the second\n",
        'contoso,backup,Contoso Backup\ncontoso,mail-2,"Contoso Mail, the second"',
        "contoso;backup;Contoso Backup\r\ncontoso;mail-2;Contoso Mail, the second\r\n",
        'contoso, backup, Contoso Backup\rcontoso, mail-2, "Contoso Mail, the second"',
        "\n\n  contoso \t backup \t Contoso   Backup \t\t\n\t\t\n\ncontoso\tmail-2\tContoso Mail, the second",
        "Publisher ID\tOffer ID\tTitle\ncontoso\tbackup\tContoso Backup\ncontoso\tmail-2\tContoso Mail, the second",
        "offer_id;Offer title;State;publisher-id\nbackup;Contoso Backup;Live;contoso\nmail-2;Contoso Mail, the second;Draft;contoso",
        'TITLE,OFFER,PUBLISHER\nContoso Backup,backup,contoso\n"Contoso Mail, the second",mail-2,contoso',
    ],
)
def test_lists_are_read_as_spreadsheets_and_people_write_them(text: str) -> None:
    assert offers(read(text, fine)) == TWO


def test_rows_know_their_line() -> None:
    found = read('Publisher ID,Offer ID,Title\n\ncontoso,a,"Two\nlines"\ncontoso,b,B', fine)
    assert [(row.line, row.title) for row in found.rows] == [(3, "Two lines"), (5, "B")]


def test_what_is_missing_is_named_with_line_and_column() -> None:
    found = read("contoso,a,A\ncontoso,,B\ncontoso,c\n", fine)
    assert said(found) == [(2, 2, "The offer ID is missing."), (3, 3, "The title is missing.")]
    assert [row.offer_id for row in found.rows] == ["a"]


def test_the_column_is_that_of_the_list_whatever_the_headings_order() -> None:
    assert said(read("title;offer id;publisher id\nA;a\n", fine)) == [(2, 3, "The publisher ID is missing.")]


def test_what_a_column_does_not_take_is_said_in_the_words_of_whoever_checks() -> None:
    def check(name: str, value: str) -> str:
        return "No blanks." if name != "title" and " " in value else ""

    assert said(read("con toso,a,A A\ncontoso,b b,B", check)) == [(1, 1, "No blanks."), (2, 2, "No blanks.")]


def test_too_many_columns_point_to_the_comma_in_a_title() -> None:
    ((line, column, message),) = said(read("contoso,a,Mail, the second", fine))
    assert (line, column) == (1, 4)
    assert message == "4 columns instead of 3. Put a title that holds a comma into quotes."


def test_an_offer_that_stands_there_twice_is_told_whatever_its_case() -> None:
    found = read("contoso,a,A\ncontoso,b,B\nContoso,A,Again", fine)
    assert said(found) == [(3, 0, "This offer stands on line 1 already.")]


@pytest.mark.parametrize("text", ["", "  \n\t\n;;\n"])
def test_an_empty_list_says_so(text: str) -> None:
    assert said(read(text, fine)) == [(1, 0, "The list is empty.")]


def test_headings_without_a_column_that_is_needed_name_it() -> None:
    assert said(read("Publisher ID;Offer ID\ncontoso;a", fine)) == [(1, 0, "No heading says “Title”.")]


def test_a_list_has_a_limit_and_so_have_its_problems() -> None:
    rows = "\n".join(f"contoso,o{number},T" for number in range(MOST_ROWS + 1))
    ((line, _, message),) = said(read(rows, fine))
    assert (line, message) == (MOST_ROWS + 1, "At most 500 offers at once; these are 501.")
    found = read("\n".join(["contoso"] * MOST_ROWS), fine)
    assert (len(found.problems), found.more) == (MOST_PROBLEMS, 2 * MOST_ROWS - MOST_PROBLEMS)


@pytest.mark.parametrize("encoding", ["utf-8", "utf-8-sig", "utf-16", "cp1252"])
def test_files_are_read_in_the_encodings_of_spreadsheets(encoding: str) -> None:
    assert decode("contoso;a;Größe".encode(encoding)) == "contoso;a;Größe"


@pytest.mark.parametrize(
    "text", ['contoso,a,"never closed\ncontoso,b,B', "\x00,\x00,\x00", "x" * 300_000, '"' * 999]
)
def test_nothing_that_is_pasted_makes_it_fail(text: str) -> None:
    read(text, fine)
    decode(text.encode() + b"\x81\xff")
