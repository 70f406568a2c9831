"""Why a receiver could not be connected to, in words that contain nothing of its address."""

from __future__ import annotations

import errno
import re
import socket
import ssl
from collections.abc import Iterator

# X509_V_ERR_… of OpenSSL: https://docs.openssl.org/3.0/man3/X509_STORE_CTX_get_error/
_CERTIFICATES = {
    9: "its certificate is not valid yet (is the clock of this machine right?)",
    10: "its certificate has expired",
    18: "its certificate is self-signed: add it to the system's certificates, or name it in SSL_CERT_FILE",
    19: "its certificate is of an authority that this machine does not trust: add it to the system's certificates",
    20: "its certificate is of an authority that this machine does not trust: add it to the system's certificates",
    21: "its certificate is of an authority that this machine does not trust: add it to the system's certificates",
    62: "its certificate is for another name",
    64: "its certificate is for another address",
}
PROXY_LOGIN = "the proxy of the environment requires a login"
_REFUSED_TUNNEL = re.compile(r"(\d{3})\b")  # how httpcore reports the answer to CONNECT
_NO_WAY = frozenset({errno.ENETUNREACH, errno.EHOSTUNREACH, errno.ENETDOWN, errno.EHOSTDOWN})
_NO_SUCH_NAME = frozenset({socket.EAI_NONAME, getattr(socket, "EAI_NODATA", socket.EAI_NONAME)})


def connection_problem(error: BaseException) -> str:
    """For an error of httpx; what the system said is among its causes."""
    return known_problem(error) or "no connection"


def proxy_refusal(reported: str) -> str:
    """For a ProxyError of httpx: of its text the status is all that is used."""
    status = _REFUSED_TUNNEL.match(reported)
    if status is None:
        return "no connection: the proxy of the environment refuses it"
    return PROXY_LOGIN if status[1] == "407" else f"no connection: the proxy of the environment answers {status[1]}"


def is_about_tls(error: BaseException) -> bool:
    """Whether the host was connected to, and TLS failed."""
    return any(isinstance(cause, ssl.SSLError) for cause in causes(error))


def known_problem(error: BaseException) -> str | None:
    """For an error of any library, by what the system said; None where it said nothing of this kind."""
    for cause in causes(error):
        match cause:
            case ssl.SSLCertVerificationError():
                return _CERTIFICATES.get(cause.verify_code, "its certificate cannot be trusted")
            case ssl.SSLError():
                return "no connection: it does not speak TLS as it should (does its address begin with http:?)"
            case socket.gaierror() if cause.errno in _NO_SUCH_NAME:
                return "no connection: its host name is not known"
            case socket.gaierror():
                return "no connection: its host name cannot be looked up now"
            case ConnectionRefusedError():
                return "no connection: nothing listens there"
            case OSError() if cause.errno in _NO_WAY:
                return "no connection: its network is unreachable"
    return None


def causes(error: BaseException) -> Iterator[BaseException]:
    """The error, and what it was made of; of several addresses that were tried, the first one's."""
    while True:
        yield error
        if isinstance(error, BaseExceptionGroup):
            error = error.exceptions[0]
        elif (before := error.__cause__ or error.__context__) is not None:
            error = before
        else:
            return
