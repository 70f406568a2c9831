"""Why Apprise could not send a message, in words that contain nothing of its address. Only its own process loads this."""

from __future__ import annotations

import smtplib
from typing import TYPE_CHECKING

from lalald.notify.channels.connection_errors import PROXY_LOGIN, causes, known_problem

if TYPE_CHECKING:
    import requests

_LOST = (ConnectionResetError, BrokenPipeError, smtplib.SMTPServerDisconnected)


def sending_problem(error: BaseException) -> str | None:
    """For an exception of `requests` or `smtplib`, which most of Apprise's plugins use; None for another."""
    return _proxy_problem(error) or known_problem(error) or _mail_problem(error) or _late_or_lost(error)


def _proxy_problem(error: BaseException) -> str | None:
    """A proxy that cannot be reached has the causes of a receiver that cannot."""
    import requests

    is_about_proxy = any(isinstance(cause, requests.exceptions.ProxyError) for cause in causes(error))
    return "no connection: the proxy of the environment cannot be reached, or refuses it" if is_about_proxy else None


def answer_problem(answer: requests.Response) -> str | None:
    """For an answer that is a proxy's, which reads what is not encrypted; None for a receiver's."""
    from requests.utils import get_environ_proxies, select_proxy

    url = answer.request.url or ""
    if answer.status_code != 407 or not url.lower().startswith("http:"):
        return None
    proxy = select_proxy(url, get_environ_proxies(url)) or "socks"
    return None if proxy.lower().startswith("socks") else PROXY_LOGIN


def _mail_problem(error: BaseException) -> str | None:
    """The code of RFC 5321 alone: what a mail server says beside it may hold addresses."""
    match error:
        case smtplib.SMTPAuthenticationError():
            return f"it refused the user name or the password ({error.smtp_code})"
        case smtplib.SMTPResponseException():
            return f"it answered {error.smtp_code}"
        case smtplib.SMTPRecipientsRefused():
            codes = sorted({str(code) for code, _ in error.recipients.values()})
            return f"it refused the recipient ({', '.join(codes)})"
        case smtplib.SMTPNotSupportedError():
            return "it does not support what the address requires, such as TLS or a login"
    return None


def _late_or_lost(error: BaseException) -> str | None:
    import requests
    from urllib3.exceptions import ProtocolError

    found = list(causes(error))
    for kinds, words in (
        (requests.exceptions.ConnectTimeout, "no connection in time"),
        ((TimeoutError, requests.exceptions.ReadTimeout), "no answer in time"),
        (_LOST, "the connection was lost"),
        (ProtocolError, "its answer is not HTTP"),
    ):
        if any(isinstance(cause, kinds) for cause in found):
            return words
    return None
