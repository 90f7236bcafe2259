"""The keys of one virtual machine: whoever comes in has one, and knows that it is this machine that answers.

Made anew for each, by this computer, and in nobody's hands but root's; they end with its run folder.
"""

import os
from pathlib import Path

from cryptography.hazmat.primitives import serialization
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey

CLIENT_KEY = "key"
HOST_KEY = "host_key"
AUTHORIZED = "authorized_keys"
KNOWN_HOSTS = "known_hosts"


def write_keys(private: Path, shared: Path, address: str) -> None:
    """Write the visitor's half into `private`, and the machine's into `shared`."""
    visitor, machine = Ed25519PrivateKey.generate(), Ed25519PrivateKey.generate()
    _write(private / CLIENT_KEY, _secret(visitor))
    _write(private / KNOWN_HOSTS, f"{address} {_public(machine)}\n".encode())
    _write(shared / HOST_KEY, _secret(machine))
    _write(shared / AUTHORIZED, f"{_public(visitor)}\n".encode())


def _secret(key: Ed25519PrivateKey) -> bytes:
    return key.private_bytes(
        serialization.Encoding.PEM, serialization.PrivateFormat.OpenSSH, serialization.NoEncryption()
    )


def _public(key: Ed25519PrivateKey) -> str:
    written = key.public_key().public_bytes(serialization.Encoding.OpenSSH, serialization.PublicFormat.OpenSSH)
    return written.decode()


def _write(path: Path, content: bytes) -> None:
    with os.fdopen(os.open(path, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600), "wb") as file:
        file.write(content)
