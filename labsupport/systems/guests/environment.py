"""What a command in a guest knows of this computer's environment."""

import os
import shutil

from labsupport.process.ownership import GUEST_VARIABLE

# Of this computer's environment, what also means something in there.
PROXIES = ("HTTP_PROXY", "HTTPS_PROXY", "NO_PROXY")
PASSED_ON = ("TERM", "NO_COLOR", "TZ", "PIP_INDEX_URL", *PROXIES, *map(str.lower, PROXIES))
OF_THIS_COMPUTER = ("LAB_CACHE", "LAB_RUN_ROOT", "LAB_MACHINE", "LAB_ATTACH", "LAB_EVIDENCE")


def environment_there(name: str, user: int, group: int, *, cache: str) -> dict[str, str]:
    """Return what `./lab` needs to know in a guest; under a user's number it works as under sudo of theirs."""
    passed = {each: os.environ[each] for each in PASSED_ON if each in os.environ}
    passed |= {
        key: value for key, value in os.environ.items() if key.startswith("LAB_") and key not in OF_THIS_COMPUTER
    }
    whose = {"SUDO_UID": str(user), "SUDO_GID": str(group)} if user else {}
    return {
        **passed,
        **whose,
        GUEST_VARIABLE: name,
        "LAB_CACHE": cache,
        "COLUMNS": str(shutil.get_terminal_size().columns),
        # git refuses a clone that is another's.
        "GIT_CONFIG_COUNT": "1",
        "GIT_CONFIG_KEY_0": "safe.directory",
        "GIT_CONFIG_VALUE_0": "*",
    }
