from __future__ import annotations

import time
from ipaddress import IPv4Address

import pytest
from hypothesis import given
from hypothesis import strategies as st

from engine.errors import Refused
from engine.sources.web.addresses import why_not
from engine.sources.web.urls import Allowance, mentioned, parse
from tests.engine.sources.web.internet import Internet

NOT_PUBLIC = """
0.0.0.0 0.1.2.3 10.0.0.1 10.255.255.255 100.64.0.1 100.100.100.200 100.127.255.255 127.0.0.1 127.255.255.254
168.63.129.16 169.254.0.1 169.254.169.254 172.16.0.1 172.31.255.255 192.0.0.1 192.0.0.192 192.0.2.1 192.88.99.1
192.168.0.1 192.168.255.255 198.18.0.1 198.19.255.255 198.51.100.7 203.0.113.9 224.0.0.1 239.255.255.250 240.0.0.1
255.255.255.255
:: ::1 ::2 ::127.0.0.1 ::8.8.8.8 ::ffff:127.0.0.1 ::ffff:10.0.0.1 ::ffff:8.8.8.8 ::ffff:0:127.0.0.1
64:ff9b::127.0.0.1 64:ff9b::10.0.0.1 64:ff9b::169.254.169.254 64:ff9b:1::8.8.8.8 100::1 100:0:0:1::1
2001::1 2001:0:4136:e378:8000:63bf:3fff:fdd2 2001:2::1 2001:10::1 2001:20::1 2001:1ff:ffff::1 2001:db8::1
2002:7f00:1:: 2002:a00:1:: 2002:808:808:: 3fff::1 5f00::1 fc00::1 fd00:ec2::254 fdff::1 fe80::1 fe80::1%1 fec0::1
ff02::1 ff0e::1 4000::1 1::1 2606:2800:21f:cb07:6820:80da:af6b:8b2c%eth0
localhost example.com 127.1 0x7f.0.0.1 2130706433
""".split()  # noqa: SIM905

ARE_PUBLIC = """
1.1.1.1 8.8.8.8 9.255.255.255 11.0.0.0 93.184.215.14 100.63.255.255 100.128.0.0 126.255.255.255 128.0.0.0
168.63.129.17 169.253.255.255 169.255.0.0 172.15.255.255 172.32.0.0 191.255.255.255 192.0.1.0 192.167.255.255
192.169.0.0 198.17.255.255 198.20.0.0 223.255.255.255
2001:200::1 2001:4860:4860::8888 2003::1 2606:2800:21f:cb07:6820:80da:af6b:8b2c 2a00:1450::1 64:ff9b::8.8.8.8
""".split()  # noqa: SIM905


@pytest.mark.parametrize("address", NOT_PUBLIC)
def test_addresses_that_stand_for_something_else_are_told_apart(address: str) -> None:
    assert why_not(address)


@pytest.mark.parametrize("address", ARE_PUBLIC)
def test_public_addresses_are_public(address: str) -> None:
    assert why_not(address) == ""


# Each of them leads a careless reader to this machine, its network or its files.
SPELLINGS = [
    "http://127.0.0.1/",
    "http://127.0.0.1:80/",
    "http://127.1/",
    "http://127.0.1/",
    "http://2130706433/",
    "http://0x7f000001/",
    "http://0X7F000001/",
    "http://017700000001/",
    "http://0177.0.0.1/",
    "http://0x7f.0.0.1/",
    "http://0x7f.0x0.0x0.0x1/",
    "http://0x7f.1/",
    "http://127.0x1/",
    "http://127.0.0.01/",
    "http://127.00.00.01/",
    "http://127.0.0.1./",
    "http://127.0.0.1../",
    "http://4294967297/",
    "http://0/",
    "http://0.0.0.0/",
    "http://00000000.0x0.0.0/",
    "http://127.0.0.256/",
    "http://①②⑦.⓪.⓪.①/",
    "http://１２７.0.0.1/",
    "http://127。0。0。1/",
    "http://127．0．0．1/",
    "http://127%2e0%2e0%2e1/",
    "http://%31%32%37.0.0.1/",
    "http://[::1]/",
    "http://[::]/",
    "http://[0:0:0:0:0:0:0:1]/",
    "http://[::ffff:127.0.0.1]/",
    "http://[::ffff:7f00:1]/",
    "http://[::127.0.0.1]/",
    "http://[64:ff9b::7f00:1]/",
    "http://[64:ff9b::a9fe:a9fe]/",
    "http://[2002:7f00:1::]/",
    "http://[2001:0:7f00:1::]/",
    "http://[fe80::1%25eth0]/",
    "http://[fe80::1%eth0]/",
    "http://[fd00:ec2::254]/latest/meta-data/",
    "http://[::1",
    "http://::1/",
    "http://[127.0.0.1]/",
    "http://[v1.fe80::a+en1]/",
    "http://[::1]extra/",
    "http://10.0.0.1/",
    "http://172.16.0.1/",
    "http://192.168.1.1/",
    "http://169.254.169.254/latest/meta-data/iam/security-credentials/",
    "http://2852039166/",
    "http://0xA9FEA9FE/",
    "http://0251.0376.0251.0376/",
    "http://100.100.100.200/latest/meta-data/",
    "http://168.63.129.16/machine",
    "http://224.0.0.1/",
    "http://255.255.255.255/",
    "http://localhost/",
    "http://LOCALHOST/",
    "http://localhost./",
    "http://loc\u00adalhost/",
    "http://ⓛⓞⓒⓐⓛⓗⓞⓢⓣ/",
    "http://a.localhost/",
    "http://localhost.localdomain/",
    "http://router/",
    "http://printer.local/",
    "http://nas.lan/",
    "http://nas.home.arpa/",
    "http://metadata.google.internal/computeMetadata/v1/",
    "http://metadata.google.internal./",
    "http://wiki.corp/",
    "http://facebookwkhpilnemxj7asaniu7vnjjbiltxjqhye3mhbshg7kx5tfyd.onion/",
    "http://user@127.0.0.1/",
    "http://site.test@127.0.0.1/",
    "http://site.test:80@127.0.0.1/",
    "http://127.0.0.1@site.test/",
    "http://user:password@site.test/",
    "http://site.test\\@127.0.0.1/",
    "http://site.test\\.127.0.0.1/",
    "http://127.0.0.1\\.site.test/",
    "http://127.0.0.1#@site.test/",
    "http://127.0.0.1?@site.test/",
    "http://site.test#@127.0.0.1:22/\n",
    "http://site.test%00.127.0.0.1/",
    "http://site.test%2f@127.0.0.1/",
    "http://127.0.0.1\t/",
    "http://127.0.\n0.1/",
    "http://site.test\r\nHost: 127.0.0.1/",
    "http://site.test/\r\nX-Injected: 1",
    "http://site.test/\x00",
    "http://si te.test/",
    "http://site..test/",
    "http://-site.test/",
    "http://site.test-/",
    "http://.test/",
    "http://" + "a" * 64 + ".test/",
    "http://" + "a." * 130 + "test/",
    "http://site.test/" + "a" * 5000,
    "http://ex℀mple.test/",
    "http://site.test:22/",
    "http://site.test:25/",
    "http://site.test:6379/",
    "http://site.test:11434/",
    "http://site.test:0/",
    "http://site.test:99999/",
    "http://site.test:-1/",
    "http://site.test:8o/",
    "http:///etc/passwd",
    "http:/127.0.0.1/",
    "http:127.0.0.1",
    "http://",
    "//127.0.0.1/",
    "/etc/passwd",
    "127.0.0.1",
    "",
    "file:///etc/passwd",
    "file://localhost/etc/passwd",
    "FILE:///etc/passwd",
    "ftp://site.test/",
    "gopher://127.0.0.1:6379/_INFO",
    "dict://127.0.0.1:11211/stat",
    "ldap://127.0.0.1/",
    "jar:http://site.test!/",
    "data:text/html,hello",
    "javascript:alert(1)",
    "view-source:http://site.test/",
    "ws://site.test/",
    "unix:/var/run/docker.sock",
    "http+unix://%2Fvar%2Frun%2Fdocker.sock/info",
    "blob:http://site.test/1",
    "about:blank",
]


def test_there_are_many_spellings() -> None:
    assert len(set(SPELLINGS)) > 100


@pytest.mark.parametrize("url", SPELLINGS)
def test_no_spelling_leads_inside(internet: Internet, url: str) -> None:
    internet.put("http://site.test/", b"the public page")
    if url == "http://site.test#@127.0.0.1:22/\n":  # what follows # is never sent: this one is the public page
        assert internet.fetcher().get(url).url == "http://site.test/"
        assert internet.dialled == [("93.184.215.14", 80)]
        return
    with pytest.raises(Refused):
        internet.fetcher().get(url)
    assert (internet.resolved, internet.dialled, internet.asked) == ([], [], [])


def _inet_aton(value: int, parts: int, bases: list[str], upper: bool) -> str:
    """An IPv4 address as old libraries read it: one to four numbers, each decimal, octal or hexadecimal."""
    numbers = [(value >> 24) & 255, (value >> 16) & 255, (value >> 8) & 255, value & 255]
    last = 0
    for number in numbers[parts - 1 :]:
        last = last << 8 | number
    spelt = [
        {"d": f"{number}", "o": f"0{number:o}", "x": f"0x{number:x}"}[base]
        for number, base in zip([*numbers[: parts - 1], last], bases, strict=False)
    ]
    return ".".join(spelt).upper() if upper else ".".join(spelt)


@given(
    st.ip_addresses(v=4).filter(lambda address: bool(why_not(str(address)))),
    st.integers(1, 4),
    st.lists(st.sampled_from("dox"), min_size=4, max_size=4),
    st.booleans(),
)
def test_no_way_to_write_an_inner_address_is_accepted(
    address: IPv4Address, parts: int, bases: list[str], upper: bool
) -> None:
    with pytest.raises(Refused):
        parse(f"http://{_inet_aton(int(address), parts, bases, upper)}/")


@given(st.text(st.characters(), max_size=40))
def test_any_text_is_refused_or_has_one_spelling(text: str) -> None:
    for url in (text, f"http://{text}", f"http://site.test/{text}"):
        try:
            target = parse(url)
        except Refused:
            continue
        assert parse(target.url) == target
        assert target.url.isascii()
        assert not set(target.url) & set(" \r\n\t\\\x00")


@pytest.mark.parametrize(
    ("written", "one_spelling"),
    [
        ("HTTP://Site.Test", "http://site.test/"),
        ("http://site.test.:80/a?b#c", "http://site.test/a?b"),
        ("https://site.test:443/", "https://site.test/"),
        ("https://site.test:8443/", "https://site.test:8443/"),
        (" http://site.test/a b/ä?q=ö ü ", "http://site.test/a%20b/%C3%A4?q=%C3%B6%20%C3%BC"),
        ("http://bücher.example/", "http://xn--bcher-kva.example/"),
        ("http://site.test/a%2Fb?x=%23", "http://site.test/a%2Fb?x=%23"),
        ("http://[2606:2800:021f::1]/", "http://[2606:2800:21f::1]/"),
        ("http://8.8.8.8/", "http://8.8.8.8/"),
        ("http://site.test/Lamp_(oil)", "http://site.test/Lamp_(oil)"),
        ("http://site.test/\ud800?\udfff", "http://site.test/%3F??"),
        ("http://site.test/?u=http://10.0.0.1/", "http://site.test/?u=http://10.0.0.1/"),
    ],
)
def test_an_address_has_one_spelling(written: str, one_spelling: str) -> None:
    assert parse(written).url == one_spelling


def test_the_users_own_endpoint_may_be_inside_and_nothing_beside_it() -> None:
    own = Allowance(frozenset({"localhost:8888", "10.0.0.5:80", "[::1]:8080"}))
    for url in ("http://localhost:8888/search", "http://10.0.0.5/", "http://[::1]:8080/"):
        assert parse(url, own).url == url
    for url in ("http://localhost/", "http://127.0.0.1:8888/", "http://10.0.0.5:8080/", "http://10.0.0.6/"):
        with pytest.raises(Refused):
            parse(url, own)


def test_addresses_are_found_in_what_a_person_writes() -> None:
    text = (
        "See https://site.test/a (and http://site.test/Lamp_(oil)), or <http://site.test/b?x=1#top>. "
        "Not http://localhost:3000/ nor file:///etc/passwd! http://site.test/a."
    )
    assert mentioned(text) == (
        "https://site.test/a",
        "http://site.test/Lamp_(oil)",
        "http://site.test/b?x=1",
        "http://site.test/a",
    )


def test_a_wall_of_brackets_takes_no_time() -> None:
    before = time.monotonic()
    mentioned(("http://site.test/" + "()" * 5 + ")" * 50_000 + " ") * 20)
    assert time.monotonic() - before < 5
