"""The page, without a daemon that starts it; and links that log in once."""

from __future__ import annotations

import hashlib
import os
import secrets
import socket
import time
from argparse import ArgumentParser, Namespace

from lalald.commands.output.json_output import show_json
from lalald.commands.prerequisites.operating_system import require_linux
from lalald.config import Config, subprocess_loader
from lalald.config.page.listen_address import ListenAddress, parse_listen
from lalald.config.paths import find
from lalald.config.secrets.secret_search import found_by
from lalald.control.page_listener import forget, listen
from lalald.control.page_settings import page_secrets, settings_for
from lalald.errors import UsageError
from lalald.filesystem.bounded_calls import BoundedCalls
from lalald.store.page import logins
from lalald.store.request_writer import Requests


def add_arguments(parser: ArgumentParser) -> None:
    parser.add_argument(
        "--link", action="store_true", help="print an address that logs in once, within 5 minutes, and exit"
    )
    parser.add_argument("--json", action="store_true", help="with --link: print JSON: an object")


def run(arguments: Namespace) -> int:
    require_linux("the page")
    config = subprocess_loader.load(find(arguments.config, os.environ), os.environ)
    if config.web.listen is None:
        raise UsageError(
            "the configuration has no page: web.listen is not set.",
            hint="Add `web: {listen: 127.0.0.1:8910}`, and a password at web.password_file.",
        )
    address = parse_listen(config.web.listen)
    if arguments.link:
        return _link(config, address, as_json=arguments.json)
    if arguments.json:
        raise UsageError("--json goes with --link.")
    return _serve(config, address)


def _serve(config: Config, address: ListenAddress) -> int:
    from lalald.web.page_process import protect, serve_here

    settings = settings_for(config, found_by(page_secrets(config, os.environ), BoundedCalls()))
    listener = listen(address)
    protect()
    print(f"The page is at {page_address(address)}. Ctrl-C ends it.", flush=True)
    try:
        serve_here(settings, listener)
    finally:
        forget(address)
    return 0


def _link(config: Config, address: ListenAddress, *, as_json: bool) -> int:
    token = secrets.token_urlsafe(24)
    with Requests.open(config.state_dir) as requests, requests.together():
        logins.add_link(requests, hashlib.sha256(token.encode()).hexdigest(), time.time())
    start = "http://localhost/" if address.is_unix else page_address(address)
    link = f"{start}#login={token}"
    if as_json:
        show_json({"link": link, "expires_in_seconds": logins.LINK_SECONDS})
    else:
        print(link)
    return 0


def page_address(address: ListenAddress) -> str:
    """Where a browser finds the page; behind a proxy it has another name there."""
    if address.is_unix:
        return f"{address}, through your proxy"
    host = socket.gethostname() if address.is_everywhere else address.host
    return f"http://{ListenAddress(host, address.port)}/"
