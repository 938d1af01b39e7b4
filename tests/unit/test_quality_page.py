"""The page on data quality: what it says, that it escapes what it did not write, and that it asks no network."""

from __future__ import annotations

from html.parser import HTMLParser

import pytest
from test_quality import page, result


def text_of(html: str) -> str:
    class Text(HTMLParser):
        words = ""
        hidden = False

        def handle_starttag(self, tag: str, attrs: object) -> None:
            self.hidden = tag == "style"

        def handle_data(self, data: str) -> None:
            self.words += "" if self.hidden else data + " "

    parser = Text()
    parser.feed(html)
    return " ".join(parser.words.split())


def test_page_says_the_verdict_the_rows_and_what_failed_in_plain_words() -> None:
    words = text_of(page([result("landing.reading", "warn"), result("landing.reading", "pass", failed_count=0)]))

    assert "Passed with warnings" in words
    assert "Tables: 1. Checks: 2. Failed: 1." in words
    assert "landing.reading Passed with warnings 12,000 11,999 1 under 0.1 % 1 of 2" in words
    assert "org_code is <empty>. org_code 1 of 10 10.0 % Warning R-1" in words
    assert "reading_<1>.csv 2026-11-01 not told 12,000 11,999 1" in words


def test_page_escapes_what_it_did_not_write_itself() -> None:
    html = page([result("landing.reading", "warn")], unmatched=[("core.x", "snomed", "1", "<script>x</script>", 3)])
    assert "<script" not in html
    assert "<empty>" not in html


@pytest.mark.parametrize("is_test", [True, False])
def test_page_of_a_test_run_says_so(is_test: bool) -> None:
    html = page([result("landing.reading", "pass", failed_count=0)], is_test=is_test)
    assert ("TEST – invented patients" in html) is is_test
    assert ("<title>TEST: " in html) is is_test


def test_page_shows_the_fifty_codes_met_most_often_and_counts_the_others() -> None:
    codes = [("core.gp_event", "snomed", f"code{number:02}", None, number) for number in range(1, 53)]
    words = text_of(page([], unmatched=codes))

    assert "The 50 most frequent of 52 codes" in words
    assert "code52 no term snomed core.gp_event 52" in words
    assert "code03 " in words
    assert "code02 " not in words


def test_page_asks_nothing_of_the_network_and_is_the_same_each_time() -> None:
    results = [result("landing.reading", "stop"), result("core.a", "warn")]
    html = page(results)
    assert html == page(list(reversed(results)))
    assert all(word not in html for word in ("http://", "https://", "src=", "url(", "@import", "<link", "<script"))
    assert '<html lang="en-GB">' in html
    assert html.count("<table>") == html.count("<caption>") == 4


def test_page_of_no_tables_and_no_failures_stands() -> None:
    words = text_of(page([]))
    assert "No table was checked." in words
    assert "Every such code, most frequent first" in words
