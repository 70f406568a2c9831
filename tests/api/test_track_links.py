"""Which links are followed, which proxies are used, and how file names are sent in headers."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from lalald.api.origin import Origin, Proxy, api_origin, proxy_for
from lalald.api.track_links import Link, followed, redirected
from lalald.api.transfers import content_disposition
from lalald.errors import ConfigError, LinkRefusedError
from lalald.sandbox.http.disposition import file_name as as_the_sandbox_reads_it
from tests.support.api_client import client, closed_clients  # noqa: F401 - a fixture


def https(host: str, target: str, port: int = 443, *, upgraded: bool = False) -> Link:
    return Link(Origin("https", host, port), target, upgraded)


@pytest.mark.parametrize(
    ("url", "link"),
    [
        ("https://d.lalal.ai/a/b?sig=x%2Fy&e=1", https("d.lalal.ai", "/a/b?sig=x%2Fy&e=1")),
        ("http://d.lalal.ai/a", https("d.lalal.ai", "/a", upgraded=True)),
        ("http://d.lalal.ai:80/a", https("d.lalal.ai", "/a", upgraded=True)),
        ("http://d.lalal.ai:8080/a", https("d.lalal.ai", "/a", 8080, upgraded=True)),
        ("HTTPS://D.Lalal.AI", https("d.lalal.ai", "/")),
        ("https://[2001:DB8::1]:444/a", https("2001:db8::1", "/a", 444)),
        ("https://bücher.example/ä ö", https("xn--bcher-kva.example", "/%C3%A4%20%C3%B6")),
        ("https://d.lalal.ai/a#frag", https("d.lalal.ai", "/a")),
        ("http://127.0.0.1:9/a", https("127.0.0.1", "/a", 9, upgraded=True)),
    ],
)
def test_a_link_is_followed_over_https(url: str, link: Link) -> None:
    assert followed(url, loopback=False) == link


def test_plain_http_is_for_a_sandbox_on_this_machine() -> None:
    assert followed("http://127.0.0.1:9/a", loopback=True) == Link(Origin("http", "127.0.0.1", 9), "/a")
    assert followed("http://[::1]:9/a", loopback=True) == Link(Origin("http", "::1", 9), "/a")
    assert followed("http://10.0.0.1:9/a", loopback=True).upgraded


@pytest.mark.parametrize(
    "url",
    [
        "ftp://d.lalal.ai/a", "file:///etc/passwd", "javascript:alert(1)", "//d.lalal.ai/a", "/a", "", "https://", "https:///a",
        "https://user@d.lalal.ai/a", "https://user:word@d.lalal.ai/a", "https://@d.lalal.ai/a", "https://d.lalal.ai\r\nX: y/a",
        "https://d.lalal.ai/a\n", "https://d.lalal.ai/a\x00b", "https://d.lalal.ai:http/a", "https://d.lalal.ai:70000/",
        "https://[::1/a", "https://a b/", "https://a\\b/", "https://exa%6dple.com/", "https://-.example/", "https://\u2100.example/",
        "https://d..lalal.ai/", "https://.lalal.ai/", "https://d.lalal.ai../", f"https://{'a' * 64}.lalal.ai/",
    ],
)  # fmt: skip
def test_a_link_to_anything_else_is_refused(url: str) -> None:
    with pytest.raises(LinkRefusedError):
        followed(url, loopback=True)


@given(st.text(max_size=40), st.sampled_from(["", "https://", "http://", "https://d.lalal.ai/", "https://["]))
def test_any_link_is_followed_as_plain_ascii_or_refused(text: str, start: str) -> None:
    try:
        link = followed(start + text, loopback=False)
    except LinkRefusedError:
        return
    assert link.origin.scheme == "https"
    assert link.target.startswith("/")
    assert (link.target + link.origin.authority).isascii()
    assert not set(link.target + link.origin.authority) & set(" \r\n\t\0")


def test_a_redirect_leads_where_the_same_rules_allow() -> None:
    here = https("d.lalal.ai", "/a/b?c")
    assert redirected(here, "/x", loopback=False) == https("d.lalal.ai", "/x")
    assert redirected(here, "x", loopback=False) == https("d.lalal.ai", "/a/x")
    assert redirected(here, "https://cdn.example/x", loopback=False) == https("cdn.example", "/x")
    assert redirected(here, "http://cdn.example/x", loopback=False) == https("cdn.example", "/x", upgraded=True)
    for bad in ("ftp://x/", "https://u:p@x/", "https://[", "https://x/\x01"):
        with pytest.raises(LinkRefusedError):
            redirected(here, bad, loopback=False)


PLACE = Origin("https", "www.lalal.ai", 443)


@pytest.fixture
def environment(monkeypatch: pytest.MonkeyPatch) -> pytest.MonkeyPatch:
    for name in ("https_proxy", "HTTPS_PROXY", "all_proxy", "ALL_PROXY", "no_proxy", "NO_PROXY"):
        monkeypatch.delenv(name, raising=False)
    return monkeypatch


@pytest.mark.parametrize(
    ("variables", "proxy"),
    [
        ({}, None),
        ({"HTTPS_PROXY": "http://proxy:3128"}, Proxy("http://proxy:3128")),
        ({"ALL_PROXY": "proxy:3128"}, Proxy("http://proxy:3128")),
        ({"HTTPS_PROXY": "http://a%40b:c@proxy:3128"}, Proxy("http://proxy:3128", ("a@b", "c"))),
        ({"HTTPS_PROXY": "http://proxy:1", "NO_PROXY": "lalal.ai"}, None),
        ({"HTTPS_PROXY": "http://proxy:1", "NO_PROXY": "*"}, None),
        ({"HTTP_PROXY": "http://proxy:1"}, None),
    ],
)
def test_the_environments_proxy_is_used(
    variables: dict[str, str], proxy: Proxy | None, environment: pytest.MonkeyPatch
) -> None:
    for name, value in variables.items():
        environment.setenv(name, value)
    assert proxy_for("https", PLACE.host) == proxy


@pytest.mark.parametrize(
    ("no_proxy", "host", "is_exempt"),
    [
        ("10.0.0.0/8", "10.1.2.3", True),
        ("lalal.ai, 10.0.0.0/8 ,192.168.7.9", "10.255.255.255", True),
        ("192.168.7.9", "192.168.7.9", True),
        ("10.1.2.3/8", "10.9.9.9", True),  # bits beyond the mask are ignored, as by curl
        ("10.0.0.0/8", "11.0.0.1", False),
        ("10.0.0.0/8", "ten.example", False),  # no name is looked up
        ("2001:db8::/32", "2001:db8:1::5", True),
        ("[2001:db8::/32]", "2001:db8:1::5", True),
        ("[2001:db8::5]", "2001:db8::5", True),
        ("[2001:db8::5]:443", "2001:db8::5", True),
        ("[2001:db8::5]:8443", "2001:db8::5", False),
        ("2001:db8::5", "2001:db8::5", True),
        ("2001:db8::5", "2001:db8::6", False),
        ("2001:db8::/33", "2001:db8:8000::5", False),
        ("10.0.0.0/8", "2001:db8::5", False),
        ("10.0.0.0/99,[,/,10.0.0/8", "10.0.0.1", False),
        ("10.0.0.0/99,10.0.0.1", "10.0.0.1", True),
    ],
)
def test_no_proxy_names_hosts_by_number_and_network(
    no_proxy: str, host: str, is_exempt: bool, environment: pytest.MonkeyPatch
) -> None:
    environment.setenv("HTTPS_PROXY", "http://proxy:1")
    environment.setenv("NO_PROXY", no_proxy)
    assert (proxy_for("https", host) is None) is is_exempt


def test_loopback_needs_no_proxy(environment: pytest.MonkeyPatch) -> None:
    environment.setenv("ALL_PROXY", "http://proxy:1")
    assert proxy_for("http", "127.0.0.1", 80) is None
    assert proxy_for("https", "localhost", 443) is None


@pytest.mark.parametrize(
    "url",
    [
        "socks4://proxy:1",
        "https://proxy:1",
        "http://proxy:port",
        "http://",
        "http://a..b:1",
        "http://.a:1",
        f"http://{'a' * 64}:1",
    ],
)
def test_a_proxy_that_lalald_cannot_use_is_named_as_such(url: str, environment: pytest.MonkeyPatch) -> None:
    environment.setenv("ALL_PROXY", url)
    with pytest.raises(ConfigError, match="PROXY"):
        proxy_for("https", PLACE.host)


def test_a_proxys_password_is_not_shown() -> None:
    assert "secret" not in repr(Proxy("http://proxy:1", ("user", "secret")))


def test_the_services_address_keeps_its_path() -> None:
    assert api_origin("https://gate.example:8443/lalal/") == (Origin("https", "gate.example", 8443), "/lalal")


def test_a_plain_name_is_sent_as_the_document_shows_it() -> None:
    assert content_disposition.of_name("song.mp3") == "attachment; filename=song.mp3"
    assert content_disposition.of_name("my song.mp3") == 'attachment; filename="my song.mp3"'


@pytest.mark.parametrize(
    ("name", "arrives"),
    [
        ("Ünïcödé ☃.mp3", "Ünïcödé ☃.mp3"),
        ('say "hi".mp3', 'say "hi".mp3'),
        ("100%.mp3", "100%.mp3"),
        ("a;b=c.mp3", "a;b=c.mp3"),
        ("two\nlines\r.mp3", "two_lines_.mp3"),
        (b"caf\xe9.mp3".decode("utf-8", "surrogateescape"), "caf?.mp3"),
        ("日" * 85 + ".mp3", "日" * 85 + ".mp3"),
        ("\n", "_"),
        (" ", "file"),
    ],
)
def test_any_file_name_survives_the_header(name: str, arrives: str) -> None:
    header = content_disposition.of_name(name)
    assert header.isascii()
    assert header.isprintable()
    assert as_the_sandbox_reads_it(header.encode()) == arrives
    assert content_disposition.file_name(header) == arrives


@given(st.text(min_size=1, max_size=80).filter(lambda name: "/" not in name))
def test_any_name_at_all_is_one_line_of_ascii(name: str) -> None:
    header = content_disposition.of_name(name)
    assert header.isascii()
    assert header.isprintable()
    assert as_the_sandbox_reads_it(header.encode())


@pytest.mark.parametrize(
    ("header", "name"),
    [
        (None, None),
        ("", None),
        ("inline", None),
        ("attachment; filename=a.mp3", "a.mp3"),
        ('attachment;filename="a b.mp3";x=y', "a b.mp3"),
        ('attachment; filename="a\\"b.mp3"', 'a"b.mp3'),
        ("attachment; filename=x.mp3; filename*=utf-8'en'%E2%82%AC.mp3", "€.mp3"),
        ("attachment; FileName*=ISO-8859-1''caf%E9.mp3", "café.mp3"),
        ("attachment; filename=../../etc/passwd", "passwd"),
        ('attachment; filename="C:\\\\x\\\\a.mp3"', "a.mp3"),
        ("attachment; filename=..", None),
        ('attachment; filename="a\x07.mp3"', "a.mp3"),
        ("attachment; filename=caf\u00c3\u00a9.mp3", "café.mp3"),
    ],
)
def test_a_servers_name_for_a_file_is_read_and_not_trusted(header: str | None, name: str | None) -> None:
    assert content_disposition.file_name(header) == name


def test_an_unusable_proxy_is_detected_before_any_request(environment: pytest.MonkeyPatch) -> None:
    environment.setenv("ALL_PROXY", "socks4://proxy:1")
    environment.setenv("NO_PROXY", "www.lalal.ai")
    with pytest.raises(ConfigError, match="socks4"):
        client("https://www.lalal.ai")
    assert client("http://127.0.0.1:1")
