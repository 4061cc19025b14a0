from __future__ import annotations

from email.message import EmailMessage
from mailbox import mbox
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from engine.sources.library.extract import NotTextError, Unreadable
from tests.engine.sources.library.extract.files import extract, outline, page_of


def mail(subject: str, text: str, *, html: str = "") -> EmailMessage:
    message = EmailMessage()
    message["From"] = "Ærø Lights <keeper@example.org>"
    message["To"] = "harbour@example.org"
    message["Date"] = "Thu, 29 Feb 2024 13:30:00 +0100"
    message["Subject"] = subject
    if text:
        message.set_content(text)
    if html:
        (message.add_alternative if text else message.set_content)(html, subtype="html")
    return message


def test_a_mail_with_everything() -> None:
    message = mail("Prüfung: oil", "The lamp burns 40 € of oil.\n\n-- \nKeeper\n", html="<p>other</p>")
    message.add_attachment(b"PK" + bytes(4000), maintype="application", subtype="zip", filename="lög.zip")
    message.add_attachment(mail("Forwarded", "not opened"))
    document = extract("mail", message.as_bytes())
    assert document.title == "Prüfung: oil"
    lines = document.text.split("\n")
    assert lines[:6] == [
        *("# Prüfung: oil", "", "From: Ærø Lights <keeper@example.org>", "To: harbour@example.org"),
        *("Date: Thu, 29 Feb 2024 13:30:00 +0100", ""),
    ]
    assert "The lamp burns 40 € of oil." in lines and "other" not in document.text
    assert lines[-3] == "Attachment: lög.zip (application/zip, 4 kB)"
    assert lines[-2].startswith("Attachment: Forwarded (message/rfc822") and "not opened" not in document.text


def test_a_mail_of_html_alone() -> None:
    document = extract(
        "mail", mail("Oil", "", html="<h1>Price</h1><p>Forty <b>pounds</b>.</p><script>x</script>").as_bytes()
    )
    assert "Forty pounds." in document.text and "script" not in document.text
    assert outline(document) == [("Oil", "# Oil")]


def test_a_mail_that_is_badly_declared() -> None:
    made = b"Subject: =?no-such?q?caf=E9?= =?utf-8?b?b2ls?=\r\nContent-Type: text/plain; charset=nope\r\n\r\ncaf\xc3\xa9\r\n"
    assert extract("mail", made).text.endswith("café\n")


def test_a_mail_without_subject_or_text() -> None:
    assert extract("mail", b"From: a@example.org\n\n").text == "# (no subject)\n\nFrom: a@example.org\n"


def test_a_mailbox_as_programs_write_it(tmp_path: Path) -> None:
    box = mbox(tmp_path / "box")
    for subject, text in (
        ("Oil", "From here on, it burns.\n"),
        ("", "second\n"),
        ("Wick", "third\n\nFrom: not a header line\n"),
    ):
        box.add(mail(subject, text))
    box.flush()
    document = extract("mbox", (tmp_path / "box").read_bytes())
    assert [trail for trail, _ in outline(document)] == ["Oil", "(no subject)", "Wick"]
    assert "\nFrom here on, it burns.\n" in document.text
    assert [page_of(document, words) for words in ("it burns", "second", "third")] == [1, 2, 3]


def test_mails_nested_without_end_cost_one_note() -> None:
    deep = b"".join(b"Content-Type: multipart/mixed; boundary=b%d\n\n--b%d\n" % (each, each) for each in range(3000))
    made = (
        b"From a@b Thu\nSubject: one\n\nfirst\n\nFrom a@b Thu\n"
        + deep
        + b"\nx\n\nFrom a@b Thu\nSubject: three\n\nlast\n"
    )
    document = extract("mbox", made)
    assert page_of(document, "last") == 3
    assert document.notes == ("Mail 2 could not be read: its parts are nested too deep.",)


def test_one_mail_nested_without_end_is_refused() -> None:
    deep = b"".join(b"Content-Type: multipart/mixed; boundary=b%d\n\n--b%d\n" % (each, each) for each in range(3000))
    with pytest.raises(Unreadable, match="nested too deep"):
        extract("mail", deep)


def test_an_attachment_that_declares_its_encoding_in_a_strange_way_is_named() -> None:
    made = (
        "Content-Type: text/html; charset*=a'b'%FF\nContent-Disposition: attachment; filename*0*=%%\n"
        "Content-Transfer-Encoding: base64\n\né\n"
    )
    assert "Attachment: %% (text/html)" in extract("mail", made.encode()).text


def test_parts_without_end_are_not_all_looked_at() -> None:
    part = b"--b\nContent-Type: text/plain\n\nword\n"
    document = extract("mail", b"Content-Type: multipart/mixed; boundary=b\n\n" + part * 5000 + b"--b--\n")
    assert document.text.count("word") < 300 and "was not looked at" in document.text


@pytest.mark.parametrize("kind", ["mail", "mbox"])
@pytest.mark.parametrize("data", [b"only words\n", b"\x89PNG\r\n\x1a\n\x00", b"", b"From nowhere\n\n"])
def test_what_is_no_mail_is_told(kind: str, data: bytes) -> None:
    with pytest.raises(Unreadable, match="It is no mail") as caught:
        extract(kind, data)
    assert caught.value.hint


LINES = st.sampled_from(
    [
        *(
            "From a b",
            "Subject: =?utf-8?b?!!?=",
            "Subject: =?x?q?=80?=",
            'Content-Type: multipart/mixed; boundary="b"',
            "--b",
        ),
        *(
            "--b--",
            "",
            "Content-Type: text/html; charset*=a'b'%FF",
            "Content-Transfer-Encoding: base64",
            "Content-Type: ;;=",
            "(((((",
        ),
        "Content-Disposition: attachment; filename*0*=%%",
        "Content-Type: message/rfc822",
        "To: \x1b[31m",
        "é",
        ">From x",
        "====",
    ]
)


@settings(deadline=None)
@given(st.sampled_from(["mail", "mbox"]), st.lists(LINES, max_size=25))
def test_any_lines_give_text_or_a_clear_error(kind: str, lines: list[str]) -> None:
    try:
        extract(kind, "\n".join(["From a b", "Subject: x", *lines][kind == "mail" :]).encode())
    except (Unreadable, NotTextError) as error:
        assert str(error)
