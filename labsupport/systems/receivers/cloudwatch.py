"""CloudWatch Logs: moto's server, and the credentials that the engine's daemon finds in its home folder."""

import shlex
import sys

# What AWS's own documentation uses for examples; moto takes any.
CREDENTIALS = """\
[default]
aws_access_key_id = AKIAIOSFODNN7EXAMPLE
aws_secret_access_key = wJalrXUtnFEMI/K7MDENG/bPxRfiCYEXAMPLEKEY
"""
CREDENTIALS_FILE = "~/.aws/credentials"


def argv(address: str, port: int) -> list[str]:
    return [sys.executable, "-m", "moto.server", "-H", address, "-p", str(port)]


def forget(address: str, port: int) -> str:
    """The command that empties the server."""
    code = f"import urllib.request as ask; ask.urlopen('http://{address}:{port}/moto-api/reset', b'')"
    return shlex.join([sys.executable, "-I", "-c", code])
