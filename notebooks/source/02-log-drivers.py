# %% [markdown]
# # Log drivers: where did my line go?
#
# A container writes a line. Where is it now? Does `docker logs` still show it? And what do you lose, or what stands
# still, when the collector at the other end is slow, or gone?
#
# Ten short experiments on a real Docker engine answer that, about 35 minutes. A *log driver* is the part of the
# engine that takes a container's lines somewhere; a *collector* is a program that receives them from many machines.
# Here they run on the engine's machine. rsyslogd and the systemd journal are the real ones. For Fluentd, GELF (the
# format of Graylog) and Splunk's HTTP collector small programs of the lab speak the real protocols, and for Amazon's
# CloudWatch Logs there is *moto*, which answers as Amazon's service does. Run the cells from top to bottom. Nothing
# outside the lab is touched.

# %% tags=["parameters"]
engine = "auto"
cluster = "auto"
seed = 0

# %%
from labsupport import open_lab
from labsupport.experiments.checks import all_of, contains, equals, lacks, less_than, more_than
from labsupport.lessons import logs

lab = open_lab("02-log-drivers", engine=engine, cluster=cluster, seed=seed)

# %% [markdown]
# The card above says what is live here. Where it says *recorded*, you see what a run saw on that day, with those
# versions (*built here*: the lab built the program from its source). A table or a check that has no such mark is made
# from the outputs before it.
#
# Some commands run elsewhere than on this computer, and say so before the `$`: `machine$` is a root shell on the
# engine's machine, `old$` talks to an engine of an older release, `systemd$` to one on a machine with systemd.

# %% [markdown]
# ## 1. The default
#
# **Ask.** You set nothing. Which driver does a container get, and what does that driver write?
#
# **Predict.** It is said that `docker info | grep "Logging Driver"` lists the drivers an engine has. How many lines
# will it print?

# %%
trial = lab.trial("default", settles=["lg-01", "lg-03"])
trial.predict("")

# %% [markdown]
# **Do.** Run a container that writes to both streams. Ask the engine where it keeps the lines, and read that file.

# %%
trial.run("docker run --name plain lab/toolbox sh -c 'echo to stdout; echo to stderr >&2'")
chosen = trial.run("docker inspect --format '{{.HostConfig.LogConfig.Type}}' plain")
in_file = trial.run(
    ["sh", "-c", "cat $(docker inspect --format {{.LogPath}} plain)"], on="machine"
)
in_file

# %%
grepped = trial.run(["sh", "-c", "docker info | grep 'Logging Driver'"])
plugins = trial.run("docker info --format '{{json .Plugins.Log}}'")
plugins

# %% [markdown]
# **See.** Two verdicts: each is about one sentence that people say, such as `lg-01`. Below it stand all alternatives as
# they were written down before the look, and ✓ marks the one that held. So a ✓ before “refuted if” means that the
# sentence is wrong. *Conditional* means true in some cases only, *outdated* true once.

# %%
lines = logs.lines_of("json-file", in_file)
what = "the driver, and the lines in the file by stream"
trial.expect(
    "lg-01",
    confirmed=equals([chosen.output, lines], ["json-file", logs.SAID], what),
    refuted=equals([chosen.output, lines], ["local", {}], what),
)

# %%
known = plugins.json()
listed = [driver for driver in known if driver in grepped.output]
what = "drivers that the line of docker info names"
trial.expect(
    "lg-03",
    confirmed=equals(listed, known, what),
    refuted=equals(listed, ["json-file"], what),
    given=more_than(len(known), 1, "number of log drivers under Plugins"),
)

# %% [markdown]
# **Explain.** Each line of a container becomes one JSON object: the text, the stream it came from, the time. The two
# streams are two pipes, so their lines may change places. `Logging Driver` in `docker info` is only the default for
# new containers; the list stands under `Plugins`, `Log`. (Docker manual: *JSON File logging driver*.)

# %% [markdown]
# ## 2. One engine, two drivers
#
# **Ask.** It is said that a container whose driver differs from the engine's gets syslog errors. Can one engine log one
# container to a file and the next to syslog?
#
# **Predict.** What will the second `docker run` say?

# %%
trial = lab.trial("per-container", settles=["lg-04", "lg-06", "lg-11-a"])
receivers = lab.receivers(trial)
trial.predict("")

# %% [markdown]
# **Do.** The engine's default is `json-file`. A real rsyslogd listens on the machine, at `/dev/log`.

# %%
trial.run("docker run --name to-file lab/toolbox echo hello file")
to_syslog = trial.run(
    "docker run --name to-syslog --log-driver syslog --log-opt tag={{.Name}} "
    "lab/toolbox echo hello syslog"
)
types = trial.run("docker inspect --format '{{.HostConfig.LogConfig.Type}}' to-file to-syslog")
types

# %%
receivers.wait_for("syslog", "hello syslog")
arrived = trial.run("grep to-syslog /var/log/syslog", on="machine")
arrived

# %% [markdown]
# **See.**

# %%
what = "drivers of the two containers"
trial.expect(
    "lg-04",
    confirmed=equals(types.lines, ["json-file", "syslog"], what),
    refuted=equals(types.lines, ["json-file", "json-file"], what),
)

# %%
trial.expect(
    "lg-11-a",
    confirmed=contains(to_syslog.stderr, "syslog", "what the engine said"),
    refuted=equals([to_syslog.output, to_syslog.stderr], ["hello syslog", ""], "what was printed"),
)

# %%
in_syslog = logs.lines_of("syslog", arrived)
what = "lines of the container in the daemon's file, by stream"
trial.expect(
    "lg-06",
    confirmed=equals(in_syslog, {"stdout": "hello syslog"}, what),
    refuted=equals(in_syslog, {}, what),
)

# %% [markdown]
# **Explain.** The driver is a setting of each container; the engine's is only what you get when you say nothing. A
# syslog error means that no syslog daemon was reached, whatever the default is: experiment 7. The line came with the
# facility `daemon`, the severity `info` (`err` for standard error), and the tag you chose; without one, the tag is the
# container's short id. (Docker manual: *Syslog logging driver*.)

# %% [markdown]
# ## 3. Every driver
#
# **Ask.** The same container under every driver: where do its two lines go, what does the driver add, and does `docker
# logs` still show them? It is said that `docker logs` works with `json-file` only.

# %%
# !cat assets/02-log-drivers/everywhere.sh

# %% [markdown]
# The script runs twice: once as it is, once with `cache-disabled=true`, which turns off a copy that engines keep
# since Docker 20.10. `journald` needs a machine with systemd, so its containers run there. That makes nine drivers
# with `none`. Of the list in experiment 1 only `gcplogs` is missing: it needs Google's own service.
#
# **Predict.** For how many of the nine does `docker logs` show the lines, the first and the second time?

# %%
trial = lab.trial(
    "everywhere", settles=["lg-02", "lg-07", "lg-08-a", "lg-08-b", "lg-08-c", "lg-08-d"]
)
receivers = lab.receivers(trial)
trial.predict("")

# %% [markdown]
# **Do.** Start them all.

# %%
trial.run("sh assets/02-log-drivers/everywhere.sh where", on="machine")
trial.run(
    "sh assets/02-log-drivers/everywhere.sh bare --log-opt cache-disabled=true", on="machine"
)

# %%
trial.run(
    "docker run --name where-journald --log-driver journald --log-opt labels=app --log-opt env=STAGE "
    "--label app=shop --env STAGE=test lab/toolbox sh -c 'echo to stdout; echo to stderr >&2'",
    on="systemd",
)
trial.run(
    "docker run --name bare-journald --log-driver journald --log-opt cache-disabled=true "
    "lab/toolbox sh -c 'echo to stdout; echo to stderr >&2'",
    on="systemd",
)

# %% [markdown]
# What does `docker logs` show?

# %%
read = trial.run("sh assets/02-log-drivers/read_back.sh where")
bare = trial.run("sh assets/02-log-drivers/read_back.sh bare")
bare

# %%
read_journald = trial.run("docker logs where-journald", on="systemd")
bare_journald = trial.run("docker logs bare-journald", on="systemd")
bare_journald

# %% [markdown]
# Every driver was told to send the label `app` and the variable `STAGE` along, but for `none`, and `awslogs`. May one
# tell `awslogs`? A line of syslog has no field for them: can they go as a part of the tag?

# %%
refused = trial.run(
    "docker run --log-driver awslogs --log-opt labels=app --log-opt awslogs-group=lab "
    "--log-opt awslogs-region=us-east-1 lab/toolbox true"
)
trial.run(
    "docker run --name tagged --log-driver syslog --log-opt labels=app --log-opt env=STAGE "
    "--log-opt 'tag=tagged/{{(.ExtraAttributes nil).app}}/{{(.ExtraAttributes nil).STAGE}}' "
    "--label app=shop --env STAGE=test lab/toolbox echo to the tag"
)
details = trial.run("docker logs --details where-local")
details

# %% [markdown]
# And where are the lines themselves? First what the engine keeps in files of its own. Of `json-file` it tells the
# path (`LogPath`), of `local` it does not: that file lies beside others of the container.

# %%
where = {}
where["json-file"] = trial.run(
    ["sh", "-c", "cat $(docker inspect --format {{.LogPath}} where-json-file)"], on="machine"
)
where["local"] = trial.run(
    ["sh", "-c", "cd $(dirname $(docker inspect --format {{.ResolvConfPath}} where-local)) && "
     "grep --text --only-matching -e 'to std[a-z]*' -e app -e shop -e STAGE -e test local-logs/container.log"],
    on="machine"
)  # fmt: skip
where["none"] = trial.run("docker logs where-none")

# %% [markdown]
# Then what the collectors got. In the table, *streams by* is the field that tells standard output from standard
# error, and *label, variable?* says whether the label `app` and the variable `STAGE` came along.

# %%
for collector in ["syslog", "fluentd", "gelf", "splunk"]:
    receivers.wait_for(collector, f"where-{collector}", lines=2)
where["syslog"] = trial.run("grep where-syslog /var/log/syslog", on="machine")
receivers.wait_for("syslog", "to the tag")
tagged = trial.run("grep 'to the tag' /var/log/syslog", on="machine")
where["journald"] = trial.run(
    "journalctl --output json CONTAINER_NAME=where-journald "
    "--output-fields MESSAGE,PRIORITY,CONTAINER_NAME,CONTAINER_TAG,IMAGE_NAME,APP,STAGE",
    on="systemd-machine",
)

# %%
where["fluentd"] = trial.run("grep where-fluentd /var/log/receivers/fluentd.jsonl", on="machine")
where["gelf"] = trial.run("grep where-gelf /var/log/receivers/gelf.jsonl", on="machine")
where["splunk"] = trial.run("grep where-splunk /var/log/receivers/splunk.jsonl", on="machine")
where["awslogs"] = trial.run(
    ["sh", "-c", "python3 assets/02-log-drivers/read_cloudwatch.py lab | grep where-awslogs"],
    on="machine",
)

# %%
found = logs.read_deliveries([read, read_journald], [bare, bare_journald], where)
found.table()

# %% [markdown]
# **See.** Did `docker logs` need `json-file`?

# %%
every = ["awslogs", "fluentd", "gelf", "journald", "json-file", "local", "splunk", "syslog"]
today, without_copy = sorted(found.readable), sorted(found.readable_without_copy)
what = "drivers whose lines docker logs shows"
trial.expect(
    "lg-02",
    confirmed=equals(today, ["json-file"], what),
    outdated=all_of(
        equals(today, every, what),
        equals(without_copy, ["journald", "json-file", "local"], f"{what} without the copy"),
    ),
)

# %% [markdown]
# Where did the label and the variable come along?

# %%
they = ["fluentd", "gelf", "journald", "json-file", "local", "splunk"]
told = "unknown log opt 'labels' for awslogs log driver"
trial.check(
    all_of(
        equals(sorted(found.with_label_and_variable), they, "drivers with label and variable"),
        contains(details.output, "STAGE=test,app=shop", "what docker logs --details shows"),
        contains(tagged.output, "tagged/shop/test", "the line in syslog whose tag asks for them"),
        contains(refused.stderr, told, "what awslogs was told"),
    )
)

# %% [markdown]
# And did each collector get both lines? The drivers are Docker's. But for the journal's, the collectors are the lab's
# and moto, so this is about what the drivers send; whether the products take it, no product was asked (`lg-08-g`).

# %%
both, at = ["to stderr", "to stdout"], "the lines found there"
found_there = found.texts("journald")
trial.expect("lg-07", confirmed=equals(found_there, both, at), refuted=equals(found_there, [], at))

# %%
found_there = found.texts("fluentd")
trial.expect(
    "lg-08-a", confirmed=equals(found_there, both, at), refuted=equals(found_there, [], at)
)

# %%
found_there = found.texts("gelf")
trial.expect(
    "lg-08-b", confirmed=equals(found_there, both, at), refuted=equals(found_there, [], at)
)

# %%
found_there = found.texts("splunk")
trial.expect(
    "lg-08-c", confirmed=equals(found_there, both, at), refuted=equals(found_there, [], at)
)

# %%
found_there = found.texts("awslogs")
trial.expect(
    "lg-08-d", confirmed=equals(found_there, both, at), refuted=equals(found_there, [], at)
)

# %% [markdown]
# **Explain.** So a line goes to one place, that of the driver. But since Docker 20.10 the engine keeps a copy of its
# own of what it sends away (*dual logging*): at most five files of 20 MB, removed with the container. `docker logs`
# reads that. With `cache-disabled=true` it is again as it was before: only drivers that keep something readable can
# show it (`json-file`, `local`, `journald`), and the others say *configured logging driver does not support reading*.
# With `none` there is nothing to show.
#
# Read the table by columns. A label or a variable travels only when you name it (`labels=`, `env=`), and not with
# every driver. `local` keeps them since Docker 29.5; `docker logs --details` shows them. A line of syslog has no place
# for them but the tag, if you write them into it. `awslogs` refuses both options, and CloudWatch Logs cannot tell the
# two streams apart. GELF adds the container's whole command, secrets in its arguments included. (Docker manual: *Use
# docker logs with remote logging drivers*, *Customize log driver output*; *Docker Engine 29 release notes*.)

# %% [markdown]
# ## 4. How large can a log grow?
#
# **Ask.** With `json-file` and no options a log grows as long as its container writes. With `max-size=50m` and
# `max-file=1`, it is said, it takes no more than 50 MB. And what do you still have afterwards?

# %%
# !cat assets/02-log-drivers/rotate.sh

# %% [markdown]
# **Predict.** Three containers write 100,000 lines of about 1,000 bytes each. Draw the three curves: bytes on disk over
# lines written. How many lines will `docker logs` show of each of the two with limits?

# %%
trial = lab.trial("rotation", settles="lg-05-a")
trial.predict("")

# %% [markdown]
# **Do.**

# %%
sampled = trial.run("sh assets/02-log-drivers/rotate.sh", on="machine", within_seconds=240)
kept = trial.run("sh assets/02-log-drivers/kept.sh rotate-50m-1 rotate-10m-3")
rotation = logs.read_rotation(sampled)
rotation.figure()

# %%
kept

# %% [markdown]
# The columns above: container, lines that `docker logs` shows, number of the first of them.
#
# **See.**

# %%
most = rotation.most_bytes("rotate-50m-1") / 1_000_000
trial.expect(
    "lg-05-a",
    confirmed=less_than(most, 50.0011, "most on disk with 50m and 1 file", "MB"),
    refuted=more_than(most, 50.0011, "most on disk with 50m and 1 file", "MB"),
    given=more_than(rotation.most_bytes("rotate-never") / 1_000_000, 100, "without a limit", "MB"),
)

# %% [markdown]
# **Explain.** Before each write the driver looks whether the file has reached `max-size` (`m` is a million bytes), and
# if so begins a new one; so the bound holds to within one line. But with `max-file=1` there is no older file: a full
# file is emptied, and right after that `docker logs` has nearly nothing. Two or more files of a smaller size take the
# same room and always keep something. The driver `local` rotates unasked, five files of 20 MB, compressed. (Docker
# manual: *JSON File logging driver*, *Local file logging driver*.)

# %% [markdown]
# ## 5. A bound for every container?
#
# **Ask.** You write `max-size` into daemon.json and restart the engine. Which containers have it now?

# %%
# !cat assets/02-log-drivers/bounded.json

# %% [markdown]
# **Predict.** One container was made before the restart, one after it, and one after it with a driver of its own.

# %%
trial = lab.trial("engine-default", settles="lg-05-b")
trial.predict("")

# %% [markdown]
# **Do.** An engine of its own, called `bench`, starts with an empty daemon.json; then again, on the same data, with
# that file.

# %%
lab.start_engine(trial, "bench", {}, images=["lab/toolbox"])
trial.run("docker create --name before lab/toolbox true", on="bench")
started = lab.start_engine(trial, "bench", "assets/02-log-drivers/bounded.json")
trial.run("docker create --name after lab/toolbox true", on="bench")
trial.run("docker create --name own-driver --log-driver local lab/toolbox true", on="bench")

# %%
formatted = '{{.Name}} {{index .HostConfig.LogConfig.Config "max-size"}}'
sizes = trial.run(
    ["docker", "inspect", "--format", formatted, "before", "after", "own-driver"], on="bench"
)
sizes

# %% [markdown]
# **See.**

# %%
what = "each container and its max-size"
lines = [line.strip() for line in sizes.lines]
trial.expect(
    "lg-05-b",
    confirmed=equals(lines, ["/before 10m", "/after 10m", "/own-driver 10m"], what),
    conditional=equals(lines, ["/before", "/after 10m", "/own-driver"], what),
    refuted=equals(lines, ["/before", "/after", "/own-driver"], what),
    given=equals(started["started"], True, "whether the engine started with that file"),
)

# %% [markdown]
# **Explain.** A container's driver and options are written down when it is created, and never change. The engine's
# `log-opts` are copied into new containers, and only into those that use the engine's own `log-driver`. To bound an
# old container, create it anew. (Docker manual: *Configure the default logging driver*.)

# %% [markdown]
# ## 6. The collector stalls
#
# **Ask.** A Fluentd collector is overwhelmed: its port is open, and it reads nothing for some seconds. What does the
# container do meanwhile, and what is lost?

# %%
# !cat assets/02-log-drivers/stall.sh

# %% [markdown]
# **Predict.** One container logs with `mode=blocking`, the default; the other with `mode=non-blocking`. Which one
# stands still? Which one loses lines? And what does `docker logs` show of each?

# %%
trial = lab.trial("stall")
lab.receivers(trial)
trial.predict("")

# %% [markdown]
# **Do.**

# %%
when = trial.run("sh assets/02-log-drivers/stall.sh", on="machine", within_seconds=240)
progress = trial.run("cat /tmp/stall/blocking", on="machine")
arrived = trial.run("sh assets/02-log-drivers/arrived.sh stall-blocking", on="machine")
shown = trial.run(["sh", "-c", "docker logs stall-blocking | wc -l"])
blocking = [progress, arrived, shown]

# %%
progress = trial.run("cat /tmp/stall/non-blocking", on="machine")
arrived = trial.run("sh assets/02-log-drivers/arrived.sh stall-non-blocking", on="machine")
shown = trial.run(["sh", "-c", "docker logs stall-non-blocking | wc -l"])
non_blocking = [progress, arrived, shown]

# %%
stall = logs.read_stall(when, blocking=blocking, non_blocking=non_blocking)
stall.figure()

# %% [markdown]
# **See.** Open “The same as a table” for the counts. *Which* are the numbers of the lines that never came.

# %%
waiting, going_on = stall["blocking"], stall["non-blocking"]
trial.check(
    all_of(
        more_than(waiting.longest_pause, 0.7, "longest pause with mode=blocking", "s"),
        less_than(stall.written_in("blocking"), 3500, "lines written in the stall, blocking"),
        equals(waiting.lost, 0, "lines lost with mode=blocking"),
        more_than(stall.written_in("non-blocking"), 3500, "in the stall, non-blocking"),
        more_than(going_on.lost, 0, "lines lost with mode=non-blocking"),
        equals(going_on.shown, 8000, "lines docker logs shows with mode=non-blocking"),
    )
)

# %% [markdown]
# **Explain.** Between your program and the collector are a pipe, the engine, and the kernel's buffers. When the
# collector does not read, they fill up from the far end, and with `blocking` the program's next `write` waits: a log
# collector can stop your service. In the drawing the curve turns flat later than the collector stalls, once the
# buffers are full; and it rises again later than the collector does: TCP asks only now and then whether there is room
# again. (`buffers.sh` makes the kernel's buffers small. As they are elsewhere, they take some megabytes more.)
#
# So what you lose with `blocking` is time: your service stands still about as long as the collector does, and no line
# is missing. With `non-blocking` the engine takes every line into a buffer (`max-buffer-size`, 1 MB), and while that
# is full it drops what comes: your service goes on, the collector has a hole, and nobody is told. The hole begins
# where the buffer was full. It ends when the connection moves again; if the container has ended before that, it
# reaches to the container's last line. The engine's own copy has all of them.
#
# This is `fluentd`, which waits for its collector. `fluentd-async` and syslog over UDP never wait: in a stall they
# lose lines in both modes. Try it at the end, under “Try it yourself”. (Docker manual: *Configure the delivery
# mode of log messages*.)

# %% [markdown]
# ## 7. Does it start without its collector?
#
# **Ask.** The collector is not there at all when the container starts. Does it start? Does `mode=non-blocking` help?

# %%
# !cat assets/02-log-drivers/unreachable.sh

# %% [markdown]
# **Predict.** Thirteen ways. Which of them start?

# %%
trial = lab.trial("without-collector", settles="lg-11-b")
trial.predict("")

# %% [markdown]
# **Do.** Together with them we start three containers that take long to be refused; experiment 10 reads what they were
# told.

# %%
trial.run("sh assets/02-log-drivers/slow_refusals.sh start", on="machine")
tried = trial.run("sh assets/02-log-drivers/unreachable.sh", on="machine")
answers = logs.read_answers(tried, "Thirteen containers without their collector")
answers.table()

# %% [markdown]
# **See.**

# %%
late = ["fluentd, fluentd-async", "gelf, UDP", "splunk, not verified", "syslog, UDP"]
what = "those that started"
trial.expect(
    "lg-11-b",
    confirmed=equals(answers.started, [], what),
    conditional=equals(answers.started, late, what),
    refuted=equals(len(answers.refused), 0, "number of those that were refused"),
)

# %% [markdown]
# **Explain.** Most drivers connect before the container starts, and the engine takes a failure for a reason not to
# start it. UDP has nothing to connect to (but the name must resolve); `fluentd-async` and
# `splunk-verify-connection=false` put the connection off. `mode=non-blocking` does not help: it is about lines, and
# none has been written yet. (Docker manual: the page of each driver.)

# %% [markdown]
# ## 8. The collector dies
#
# **Ask.** The collectors are killed while containers write, and started again some two seconds later. What is lost, and
# who noticed?

# %%
# !cat assets/02-log-drivers/die.sh

# %% [markdown]
# **Predict.** 300 lines from each. Which driver loses nothing? And can you stop a container whose collector is gone?

# %%
trial = lab.trial("collector-dies")
receivers = lab.receivers(trial)
trial.predict("")

# %% [markdown]
# **Do.** One more container logs to Fluentd, `stubborn`. While the collector is dead, we try to kill it, for two
# seconds at most (`timeout` ends what lasts longer, with exit code 124).

# %%
trial.run("sh assets/02-log-drivers/die.sh", on="machine", within_seconds=240)
killed = trial.run("timeout 2 docker kill stubborn")
receivers.start()
killed

# %%
trial.run(
    "docker wait die-syslog-tcp die-syslog-udp die-fluentd die-fluentd-async die-gelf-tcp "
    "die-gelf-udp die-splunk",
    within_seconds=240,
)
died = trial.run("sh assets/02-log-drivers/died.sh", on="machine")
deaths = logs.read_deaths(died)
deaths.table()

# %% [markdown]
# **See.**

# %%
trial.check(
    all_of(
        equals(killed.exit_code, 124, "exit code of the attempt to kill"),
        contains(deaths.with_losses, "fluentd", "drivers that lost lines"),
        contains(deaths.with_losses, "syslog-udp", "drivers that lost lines"),
        contains(deaths.with_losses, "gelf-udp", "drivers that lost lines"),
    )
)

# %% [markdown]
# **Explain.** What was on its way when the collector died is lost, even over TCP: the kernel had taken it, and nobody
# answers for it. Over UDP all lines are lost until the collector is back. The `fluentd` driver tries to connect again
# for as long as it takes; meanwhile the container waits, and the engine can neither stop nor kill it until the driver
# lets go of its line. `fluentd-async` and `splunk` keep what they could not send, and send it later, if the container
# is still there by then. Look at the last column too: what a driver could not send and gave back as an error (`gelf`
# over UDP, `syslog` over TCP), the engine's own copy does not get either. (Docker manual: *Fluentd logging driver*,
# *Splunk logging driver*.)

# %% [markdown]
# ## 9. One line, many packets
#
# **Ask.** A line may be longer than what fits into one packet. GELF over UDP cuts it into *chunks*, and the collector
# puts them together again; over TCP it is one stream. How many packets is that, what does compression save, and what
# becomes of the line when one packet is lost?

# %%
# !cat assets/02-log-drivers/long_line.sh

# %% [markdown]
# **Predict.** How many packets does the line take over UDP, `random` and `alike`, with `none` and with `gzip`? And one
# packet gets lost: what will the collector have of the line, and who will say that something is missing?

# %%
trial = lab.trial("long-line", settles=["lg-08-e", "lg-08-f"])
receivers = lab.receivers(trial)
trial.predict("")

# %% [markdown]
# **Do.** Five ways to send it. Each time tcpdump listens on the machine's interface `lo`, where the collector is.

# %%
ways = ["random udp none", "random udp gzip", "alike udp none", "alike udp gzip", "random tcp"]
captured = {}
for way in ways:
    capture = lab.capture(trial, way, interface="lo", only="dst port 12201")
    trial.run(f"sh assets/02-log-drivers/long_line.sh {way}", on="machine")
    receivers.wait_for("gelf", way.replace(" ", "-"))
    captured[way] = capture.read()

# %%
whole = trial.run(
    "sh assets/02-log-drivers/whole.sh random-udp-none random-udp-gzip alike-udp-none "
    "alike-udp-gzip random-tcp",
    on="machine",
)
sent = logs.read_wire(captured, whole)
sent.figure("One line of 12,000 characters, five ways")

# %% [markdown]
# One of the chunks, header by header:

# %%
sent.packet("random udp none", 3)

# %% [markdown]
# And compression over TCP?

# %%
refused = trial.run("sh assets/02-log-drivers/long_line.sh alike tcp gzip", on="machine")
refused

# %% [markdown]
# Now one packet gets lost on purpose. The container writes a short line, the long one, and a short one; once over UDP,
# once over TCP, each as the driver does it when you set nothing. GELF gives the chunks of a message five seconds to
# arrive, so over UDP tcpdump listens for six more: a driver that sends a chunk again has to do it by then.

# %%
# !cat assets/02-log-drivers/lose.sh

# %%
capture = lab.capture(trial, "lost udp", interface="lo", only="dst port 12201")
udp = trial.run("sh assets/02-log-drivers/lose.sh udp", on="machine")
trial.run("sleep 6", on="machine")
captured = {"lost udp": capture.read()}
udp

# %%
capture = lab.capture(trial, "lost tcp", interface="lo", only="dst port 12201")
tcp = trial.run("sh assets/02-log-drivers/lose.sh tcp", on="machine")
captured["lost tcp"] = capture.read()
tcp

# %% [markdown]
# One more line by UDP; then look at what the collector has. What it could not use it notes as *refused*. (This one is
# the lab's own. It waits those five seconds, and gives out a message only when it has all its chunks.)

# %%
trial.run(
    "docker run --name later --log-driver gelf --log-opt gelf-address=udp://127.0.0.1:12201"
    " lab/toolbox echo a later line",
    on="machine",
)
receivers.wait_for("gelf", "a later line")
thrown_away = trial.run(
    "sh -c 'grep refused /var/log/receivers/gelf.jsonl | tail -n 1'", on="machine"
)
thrown_away

# %%
whole = trial.run("sh assets/02-log-drivers/whole.sh lost-udp lost-tcp", on="machine")
lost = logs.read_wire(captured, whole)
lost.figure("Three lines, and one packet that is thrown away")

# %% [markdown]
# **See.** tcpdump sees a packet before the firewall does, so the one that was thrown away is in the drawing too. Open
# “The same as a table” for the lines.

# %%
what = "ways by which the line is whole at the collector"
trial.expect(
    "lg-08-e",
    confirmed=equals(sent.whole, ways, what),
    refuted=equals(sent.whole, ["alike udp gzip", "random tcp"], what),
    given=more_than(sent.packets("random udp none"), 1, "number of packets without compression"),
)

# %%
thrown, at = "packets thrown away: 1", "what lose.sh says"
over_udp, over_tcp = lost["lost udp"], lost["lost tcp"]
let_through = f"packets let through: {len(over_udp.packets) - 1}"
again = "packets over UDP that carry what an earlier one did"

# %%
trial.expect(
    "lg-08-f",
    confirmed=more_than(over_udp.sent_again, 0, again),
    refuted=all_of(equals(over_udp.sent_again, 0, again), contains(udp.lines, let_through, at)),
    given=all_of(
        contains(udp.lines, thrown, at),
        contains(tcp.lines, thrown, at),
        more_than(len(over_udp.chunks), 1, "number of chunks over UDP"),
        more_than(over_tcp.sent_again, 0, "packets over TCP that carry what an earlier one did"),
    ),
)

# %%
trial.check(
    all_of(
        less_than(
            sent.packets("random udp gzip"), sent.packets("random udp none"), "gzip's packets"
        ),
        equals(sent.packets("alike udp gzip"), 1, "packets of the line `alike` with gzip"),
        contains(refused.stderr, "compression is only supported on UDP", "what the engine said"),
    )
)

# %%
compressed = sent.packets("random udp gzip")
what = "packets of the long line where no compression is named"
trial.check(equals(lost.packets("lost udp") - 2, compressed, what))

# %%
trial.check(
    all_of(
        contains(udp.output, "exit code 0", "how the container over UDP ended"),
        equals(udp.stderr, "", "what docker run complained of over UDP"),
        equals(over_udp.collector.lines, 2, "lines over UDP at the collector"),
        equals(over_udp.collector.whole, False, "the long one over UDP is whole at the collector"),
        contains(thrown_away.output, "chunks of a message came in time", "what was refused"),
        equals(over_udp.engine.whole, True, "docker logs shows the line lost over UDP"),
        equals(over_tcp.collector.whole, True, "the collector has the line over TCP"),
    )
)

# %% [markdown]
# **Explain.** The driver keeps each datagram to 1,420 bytes, so that with its headers it fits into an Ethernet frame.
# What is longer goes in chunks with 12 bytes in front: two that say *chunk*, eight for the message, two for which of
# how many. Over UDP all is compressed with gzip unless you say `none` or `zlib`. That saves nearly all of a line that
# repeats itself; of `random` it saves only what is wasted by writing with 64 different characters. Over TCP messages
# follow each other in one stream, and compression is refused. (There the line is one packet because `lo` takes packets
# of 64 KB. What Ethernet takes at a time would hold it in nine.)
#
# Nobody sends a chunk again: each was on the wire once, and all but one came through the firewall. The rest is the
# collector's part. GELF has it that a message whose chunks do not all come within five seconds is thrown away; here
# the lab's collector does so, Graylog was not asked. Then one lost packet costs the whole line, and the more chunks a
# line has, the likelier that is. The driver has sent all it had, so neither it nor `docker run` complains; the
# collector noted that pieces were missing, and cannot know of what. The engine's own copy has the line. With TCP both
# ends notice, and the packet is sent again: it is in the drawing twice. (Docker manual: *Graylog Extended Format
# logging driver*; Graylog: *GELF*.)

# %% [markdown]
# ## 10. Drivers that are not there
#
# **Ask.** `etwlogs` is listed in the manual, for Windows only, it is said. `logentries` was there for years. What does
# an engine on Linux say to each, and to a name that never was a driver?
#
# **Predict.** Will you see a difference between `etwlogs`, `logentries` and the typing error `jsonfile`?

# %%
trial = lab.trial("not-there", settles=["lg-09-a", "lg-10-a"])
trial.predict("")

# %% [markdown]
# **Do.** The three were started in experiment 7. Then the same on an engine of Docker 20.10.

# %%
told = trial.run("sh assets/02-log-drivers/slow_refusals.sh read", on="machine", within_seconds=90)
refusals = logs.read_answers(told, "Three drivers, today's engine")
refusals.table()

# %%
plugins = trial.run("docker info --format '{{json .Plugins.Log}}'")
old_plugins = trial.run("docker info --format '{{json .Plugins.Log}}'", on="old")
old_logentries = trial.run("docker run --rm --log-driver logentries lab/toolbox true", on="old")
old_option = trial.run("docker run --rm --log-opt max-sise=10m lab/toolbox true", on="old")
old_plugins

# %% [markdown]
# A wrong option is told at once, by both:

# %%
option = trial.run("docker run --rm --log-opt max-sise=10m lab/toolbox true")
option

# %% [markdown]
# **See.**

# %%
told, what = refusals["etwlogs"], "what etwlogs was told"
trial.expect(
    "lg-09-a",
    confirmed=all_of(
        contains(told, 'plugin "etwlogs" not found', what),
        lacks(plugins.json(), "etwlogs", "drivers under Plugins, Log"),
    ),
    refuted=contains(told, "exit code 0", what),
)

# %%
trial.expect(
    "lg-10-a",
    confirmed=contains(refusals["logentries"], "logentries token", "what logentries was told"),
    outdated=all_of(
        contains(refusals["logentries"], 'plugin "logentries" not found', "what it was told"),
        contains(old_logentries.stderr, "Missing logentries token", "what it was told then"),
    ),
)

# %%
unknown = "unknown log opt 'max-sise' for json-file log driver"
trial.check(
    all_of(
        contains(option.stderr, unknown, "what the wrong option was told"),
        contains(old_option.stderr, unknown, "what it was told by the old engine"),
        contains(refusals["jsonfile"], 'plugin "jsonfile" not found', "what jsonfile was told"),
    )
)

# %% [markdown]
# **Explain.** A driver is either compiled into the engine or a plugin. A name that is not compiled in is looked for
# among plugins, again and again for as long as the table says, whatever the reason: so a typing error, a Windows
# driver and a withdrawn driver get the same slow answer. That answer says *not here*, and nothing about Windows: that
# `etwlogs` works there takes an engine on Windows to see (`lg-09-b`). Docker 20.10 had `logentries`, and asked for its
# token; today's engine does not know it. An option is compared with the driver's own list at once. (Docker manual:
# *Configure logging drivers*, *Deprecated features*.)

# %% [markdown]
# ## Try it yourself
#
# Choose a driver, what its collector does, and the mode. Predict, run, compare. A run takes a few seconds.

# %%
trial = lab.trial("try")
lab.explore(logs.fate_explorer(trial, lab.receivers(trial)))

# %% [markdown]
# ## Exercise: why does it not start?
#
# The next cell starts a container `shop`, or tries to; `seed`, in the second cell, chooses which of five faults it
# has. The collectors listen where they did before.

# %%
receivers = lab.receivers(lab.trial("shop"))
# !sh assets/02-log-drivers/exercise/shop-{seed % 5}.sh

# %% [markdown]
# Find the fault with `!docker` commands of your own. Then write the whole corrected command here. `check()` runs it in
# the place of the failed one, looks whether it starts and whether its line is where it belongs, and tells you the next
# step. It must keep its driver, and must not merely put the trouble off. Stuck? `lab.exercise("will-not-start").hint()`

# %%
# %%writefile assets/02-log-drivers/exercise/mended.sh
# ### BEGIN SOLUTION
# docker run --detach --name shop \
#     --log-driver fluentd \
#     --log-opt fluentd-address=127.0.0.1:24224 \
#     lab/toolbox echo the shop is open
# ### END SOLUTION

# %%
lab.exercise("will-not-start").check()

# %% [markdown]
# ## What we settled
#
# First the lab ends. It says what it left behind: nothing.

# %%
lab.close()

# %% tags=["nbval-check-output"]
lab.settled()
