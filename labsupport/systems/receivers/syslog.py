"""A syslog daemon: Debian's rsyslogd, listening where a host's does: /dev/log, and port 514 over UDP and TCP."""

from pathlib import Path

# Facility and severity are not in the usual file format, and are what an experiment asks about.
CONFIGURATION = """\
module(load="imuxsock")
module(load="imudp")
module(load="imtcp")
template(name="with-facility" type="string" string="%timegenerated% %hostname% \
%syslogfacility-text%.%syslogseverity-text% %syslogtag%%msg:::sp-if-no-1st-sp%%msg:::drop-last-lf%\\n")
module(load="builtin:omfile" template="with-facility")
input(type="imudp" address="{address}" port="{port}")
input(type="imtcp" address="{address}" port="{port}")
*.* action(type="omfile" file="{file}")
"""


def configuration(address: str, port: int, file: Path) -> str:
    return CONFIGURATION.format(address=address, port=port, file=file)


def argv(program: str, configuration_file: Path) -> list[str]:
    """The daemon in the foreground, without a pid file of its own."""
    return [program, "-n", "-f", str(configuration_file), "-i", "NONE"]
