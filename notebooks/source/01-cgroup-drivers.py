# %% [markdown]
# # Cgroup drivers: who writes the limits, and what the daemon's settings really do
#
# A container's memory and processor limits are numbers in a *cgroup* of the kernel. Who makes that cgroup, where does
# it lie, and who notices when a limit is met? And which of the lines that people copy into `daemon.json` do what their
# names say?
#
# Fourteen short experiments on real engines and nodes answer that, about an hour. Each one asks, lets you predict,
# runs, shows and explains. Run the cells from top to bottom. Nothing outside the lab is touched.

# %% tags=["parameters"]
engine = "auto"
cluster = "auto"
seed = 0

# %%
from labsupport import open_lab
from labsupport.experiments import checks
from labsupport.lessons import cgroups

lab = open_lab("01-cgroup-drivers", engine=engine, cluster=cluster, seed=seed)

# %% [markdown]
# The card above says what is live here. Where it says *recorded*, you see what a run saw on that day, with those
# versions (*built here*: the lab built the program from its source), each output under a mark that says so; “your
# engine” is then the engine of that run.
#
# Commands run on this computer unless they say `on="…"`: `machine` is a root shell on the machine that the lab's
# engine runs on, `systemd` is an engine on a machine whose first process is systemd, `old` is Docker 20.10, and
# `NAME-machine` is a root shell on the machine of that engine. The first use of `systemd` and of `old` starts them,
# which takes a moment. The lab tells these engines their cgroup driver: `systemd` to the engine of that name,
# `cgroupfs` to its own and to `old`. What an engine chooses by itself is experiment 3.

# %% [markdown]
# ## 1. Which driver, and where is my container?
#
# A *cgroup* is a group of processes whose use of memory, processors and more the kernel counts and limits; one sees
# it as a folder below `/sys/fs/cgroup`. What counts one of these is a *controller*, such as `memory`, `cpu` or
# `pids`. A tree of such folders is a *hierarchy*. There are two versions: with cgroup *v1* each controller may have a
# hierarchy of its own, with *v2* there is one for all.
#
# **Ask.** Docker knows two *cgroup drivers*. How do you read which one an engine uses, and what is the difference to
# a container?
#
# **Predict.** The same container starts on two engines: one with the driver `cgroupfs`, one with `systemd`. What is
# the path of its cgroup in each? Keep your prediction, if you like: put words between the quotes.

# %%
trial = lab.trial("two-drivers", settles=["cg-01", "cg-03"])
trial.predict("")

# %% [markdown]
# **Do.** Ask both engines, through the command line and through the API.

# %%
here = trial.run("docker info --format '{{.CgroupDriver}}'")
there = trial.run("docker info --format '{{.CgroupDriver}}'", on="systemd")
api = cgroups.ask_apis(trial, lab)
api

# %% [markdown]
# Start the same container on both. `--cgroupns host` lets it see its path from the machine's root; without it, on
# cgroup v2, every container would say `/`.

# %%
start = "docker run --detach --cgroupns host --name sleeper lab/toolbox sleep 300"
on_cgroupfs, on_systemd = trial.run(start), trial.run(start, on="systemd")
cgroup_here = trial.run("docker exec sleeper cat /proc/1/cgroup")
cgroup_there = trial.run("docker exec sleeper cat /proc/1/cgroup", on="systemd")
cgroup_there

# %% [markdown]
# That is what the kernel says of the container's first process. A cgroup is also a folder, one in each hierarchy:

# %%
find = "find /sys/fs/cgroup -type d -name '*{}*'"
folders_here = trial.run(find.format(on_cgroupfs.output), on="machine")
folders_there = trial.run(find.format(on_systemd.output), on="systemd-machine")
folders_here

# %% [markdown]
# **See.** First side by side. Then the verdicts: each is about one sentence that people say, such as `cg-01`. Below it
# stand all alternatives as they were written down before the look, and ✓ marks the one that held. So a ✓ before
# “refuted if” means that the sentence is wrong. *Conditional* means true in some cases only, *outdated* true once.

# %%
cgroupfs = cgroups.read_membership(cgroup_here, folders_here)
systemd = cgroups.read_membership(cgroup_there, folders_there)
cgroups.side_by_side({"cgroupfs": cgroupfs, "systemd": systemd})

# %%
said = [here.output, there.output]
trial.expect(
    "cg-01",
    confirmed=checks.all_of(
        checks.equals(said, ["cgroupfs", "systemd"], "what docker info says on the two engines"),
        checks.equals(api.value, said, "what the API says"),
    ),
    refuted=checks.equals(said, ["", ""], "what docker info says on the two engines"),
    given=checks.equals(
        [cgroupfs.kinds, systemd.kinds].count([]), 0, "engines whose container has no cgroup"
    ),
)

# %%
paths = [cgroupfs.kinds, systemd.kinds]
what = "the paths of the container's cgroup on the two engines"
trial.expect(
    "cg-03",
    confirmed=checks.equals(paths, [["/docker/ID"], ["/system.slice/docker-ID.scope"]], what),
    refuted=checks.equals(paths, [["/docker/ID"], ["/docker/ID"]], what),
)

# %% [markdown]
# **Explain.** The kernel has no drivers: it has folders, and files in them. The *driver* is how the engine has them
# made. `cgroupfs` makes a folder `/docker/ID` itself. `systemd` asks systemd for a *unit*, which is what systemd
# calls each thing it manages: here `docker-ID.scope` (a *scope* is a unit for processes that somebody else started).
# systemd makes the folder, below `system.slice` (a *slice* is a branch of its tree), among its own. The files inside
# are the same, and so is what the kernel does with them. (Docker manual: *dockerd*, *Options for the runtime*;
# systemd: *Control Group APIs and Delegation*.)

# %% [markdown]
# ## 2. What does systemd know of your containers?
#
# **Ask.** It is said that the systemd driver is better integrated on a systemd host. In which sense?
#
# **Predict.** On one systemd machine run two engines, one with each driver, and on each a container with 64 MB. For
# which does `systemctl status` know a unit? On which is the limit in force?

# %%
trial = lab.trial("what-systemd-knows", settles="cg-11")
trial.predict("")

# %% [markdown]
# **Do.** `beside.sh` starts the second engine on that machine, and the second container. `systemd-cgls` prints the
# machine's cgroups as systemd sees them: the container of the systemd driver is the one with a `scope`, that of
# cgroupfs the one below `docker`. The second command asks for the unit of the latter.

# %%
trial.run(
    "docker run --detach --cgroupns host --name watched --memory 64m lab/toolbox sleep 300",
    on="systemd",
)
trial.run("sh -s", stdin=cgroups.script("beside.sh"), on="systemd-machine")
tree = trial.run("systemd-cgls --no-pager --xattr no --cgroup-id no", on="systemd-machine")
tree

# %%
status = (
    "systemctl status --no-pager --lines 0 $(docker {}inspect --format {{{{.State.Pid}}}} watched)"
)
with_unit = trial.run(["sh", "-c", status.format("")], on="systemd-machine")
second_engine = "--host unix:///run/beside.sock "
without_unit = trial.run(["sh", "-c", status.format(second_engine)], on="systemd-machine")
without_unit

# %% [markdown]
# And the limit, as the kernel has it? The file has one name with cgroup v2, and another with v1. 64 MB are 67108864
# bytes.

# %%
limit = (
    "exec watched sh -c 'cat /sys/fs/cgroup/memory.max 2>/dev/null || "
    "cat /sys/fs/cgroup/memory/memory.limit_in_bytes'"
)
with_limit = trial.run(f"docker {limit}", on="systemd")
without_limit = trial.run(f"docker {second_engine}{limit}", on="systemd-machine")
without_limit

# %% [markdown]
# **See.**

# %%
units = [with_unit.exit_code, without_unit.exit_code]
what = "exit codes of systemctl status, systemd driver and cgroupfs"
known_to_one = checks.equals(units, [0, 1], what)
limits = [with_limit.output, without_limit.output]
limit_what = "the limits that the kernel has, systemd driver and cgroupfs"
in_force_in_both = checks.equals(limits, ["67108864"] * 2, limit_what)
in_force_in_one = checks.equals(limits, ["67108864", "max"], limit_what)

# %%
trial.expect(
    "cg-11",
    confirmed=checks.all_of(known_to_one, in_force_in_one),
    conditional=checks.all_of(known_to_one, in_force_in_both),
    refuted=checks.equals(units, [0, 0], what),
)

# %% [markdown]
# With the systemd driver, systemd is not only told: it is in charge. Change the limit behind the engine's back:

# %%
scope = trial.run("docker inspect --format 'docker-{{.Id}}.scope' watched", on="systemd").output
trial.run(f"systemctl set-property --runtime {scope} MemoryMax=32M", on="systemd-machine")
kernel_has = trial.run(f"docker {limit}", on="systemd")
docker_says = trial.run("docker inspect --format '{{.HostConfig.Memory}}' watched", on="systemd")
trial.check(
    checks.all_of(
        checks.output_is(kernel_has, str(32 * 2**20)),
        checks.output_is(docker_says, str(64 * 2**20)),
    )
)

# %%
trial.run("sh -s", stdin=cgroups.script("end-beside.sh"), on="systemd-machine")

# %% [markdown]
# **Explain.** Better integrated means: *in sight and in hand*. Under the systemd driver each container is a unit with
# a name, a status, an accounting and properties; under cgroupfs it is a folder that systemd finds in its tree and has
# no unit for. It does not mean that limits work better: the kernel enforces both alike. Two masters of one tree is the
# reason for the usual advice: on a systemd host, leave the tree to systemd, for every program that makes cgroups.

# %% [markdown]
# ## 3. The default
#
# **Ask.** Nobody set a driver. Which one is it? Much is said: cgroupfs was the default before Docker 1.13, systemd
# is today.
#
# **Predict.** Four engines without any setting, of today's Docker: on a machine with systemd and on one without, with
# cgroup v1 and with v2. Which of them choose `systemd`?

# %%
trial = lab.trial("default", settles="cg-04-b")
trial.predict("")

# %% [markdown]
# **Do.** `default-driver.sh` starts an engine with an empty `daemon.json`, asks it, and ends it.

# %%
# !cat assets/01-cgroup-drivers/default-driver.sh

# %% [markdown]
# Where the kernel has its controllers in v1, as here, v2 is mounted for that one engine: it looks at what is mounted
# at `/sys/fs/cgroup`, and at `/run/systemd/system`. The last of the five lines below is no answer to our question: it
# shows the engine `old`, and that one was told `cgroupfs`.

# %%
script = cgroups.script("default-driver.sh")
v2 = "unshare --mount sh -c 'mount -t cgroup2 cgroup2 /sys/fs/cgroup && sh -s'"
lab.start_machine(trial, "plain")
both = ["plain-machine", "systemd-machine"]
answers = trial.run_at_once("sh -s", stdin=script, on=both)
answers += trial.run_at_once(v2, stdin=script, on=both)

# %%
old = trial.run("docker info --format '{{.ServerVersion}}: {{.CgroupDriver}}'", on="old")
[answer.output for answer in [*answers, old]]

# %% [markdown]
# **See.**

# %%
with_systemd = cgroups.where_chosen("systemd", answers)
with_cgroupfs = cgroups.where_chosen("cgroupfs", answers)
what = "machines where an engine without settings chooses"
trial.expect(
    "cg-04-b",
    confirmed=checks.equals(with_cgroupfs, [], f"{what} cgroupfs"),
    conditional=checks.equals(with_systemd, ["systemd: yes, cgroup v2"], f"{what} systemd"),
    refuted=checks.equals(with_systemd, [], f"{what} systemd"),
)

# %% [markdown]
# **Explain.** Today's Docker chooses `systemd` when systemd runs **and** the machine has cgroup v2 only; otherwise it
# is still `cgroupfs`. Both can be looked up on any machine:
#
# | is there a folder `/run/systemd/system`? | `Cgroup Version` in `docker info` | driver, if nobody sets one |
# |---|---|---|
# | yes | 2 | `systemd` |
# | yes | 1 | `cgroupfs` |
# | no | 1 or 2 | `cgroupfs` |
#
# So, of your own engine: if `docker info` shows another `Cgroup Driver` than this table, somebody has set it. Look
# for `native.cgroupdriver` in `/etc/docker/daemon.json` and in the flags of dockerd.
#
# Most distributions of today have systemd and v2, which is why people say the default has changed. As for the past:
# the engines in question (1.9 to 1.13) cannot be had here, so that half stays open in the ledger. By their source,
# systemd was the default where available up to 1.9, and cgroupfs from 1.10 on, not from 1.13. (Docker manual:
# *dockerd*, *Options for the runtime*.)

# %% [markdown]
# ## 4. A third driver called unified?
#
# **Ask.** It is said that Docker has a third driver, `unified`, and that it is the default since 20.10.
#
# **Predict.** What does an engine say to `native.cgroupdriver=unified`: today's, and 20.10?

# %%
trial = lab.trial("unified", settles="cg-05")
trial.predict("")

# %% [markdown]
# **Do.**

# %%
# !cat assets/01-cgroup-drivers/wrong/unified.json

# %%
file = "assets/01-cgroup-drivers/wrong/unified.json"
today = lab.start_engine(trial, "today", file)
twenty = lab.start_engine(trial, "twenty", file, release="old")
cgroups.refusals({"today's": today, "20.10": twenty})

# %% [markdown]
# **See.**

# %%
words = "native.cgroupdriver option unified not supported"
trial.expect(
    "cg-05",
    confirmed=checks.equals(
        [today["started"], twenty["started"]], [True, True], "the engines start"
    ),
    refuted=checks.all_of(
        checks.contains(today["says"], words, "what today's says"),
        checks.contains(twenty["says"], words, "what 20.10 says"),
    ),
)

# %% [markdown]
# **Explain.** There are two drivers. *Unified* is the kernel's word for the hierarchy of cgroup version 2, and
# `docker info` tells it apart from the driver: `Cgroup Driver` and `Cgroup Version` are two lines. Since 20.10 Docker
# can work with cgroup v2, with either driver. (Kernel documentation: *Control Group v2*.)

# %% [markdown]
# ## 5. One hierarchy or many
#
# **Ask.** It is also said that since kernel 4.5 version 1 and 2 are merged into one hierarchy.
#
# **Predict.** How many hierarchies has the machine that your engine runs on? In how many does the controller
# `memory` live? When a directory is made in one of them, where does it appear?

# %%
trial = lab.trial("hierarchies", settles="cg-06")
trial.predict("")

# %% [markdown]
# **Do.** Read the mounts; the controllers that version 2 has; and which file systems the kernel knows.

# %%
mounts = trial.run("grep cgroup /proc/mounts", on="machine")
controllers = "cat cgroup.controllers unified/cgroup.controllers 2>/dev/null"
in_v2 = trial.run(["sh", "-c", f"cd /sys/fs/cgroup; {controllers}"], on="machine")
kinds = trial.run("grep cgroup /proc/filesystems", on="machine")
hierarchies = cgroups.read_hierarchies(mounts, in_v2, kinds)
hierarchies.table()

# %% [markdown]
# `one-or-many.sh` makes a directory in each of them in turn, and looks for it in all. Making a directory is how one
# makes a cgroup.

# %%
tried = trial.run("sh -s", stdin=cgroups.script("one-or-many.sh"), on="machine")
tried

# %% [markdown]
# **See.**

# %%
kinds_of = list(hierarchies.kinds)
what = "cgroup file systems that the kernel knows"
in_both = "controllers that live in a hierarchy of each version"
elsewhere = "hierarchies whose new cgroup appeared in another"
apart = [
    checks.equals(kinds_of, ["cgroup", "cgroup2"], what),
    checks.equals(hierarchies.in_both, [], in_both),
    checks.equals(cgroups.spread(tried), [], elsewhere),
]

# %%
trial.expect(
    "cg-06",
    confirmed=checks.equals(kinds_of, ["cgroup"], what),
    refuted=checks.all_of(*apart),
    given=checks.exit_code_is(tried, 0),
)

# %% [markdown]
# **Explain.** Version 2 is a hierarchy of its own, and a file system of its own. A controller lives in one hierarchy
# at a time: in one of version 1 or in that of version 2. So there are three ways to run a machine: *v1*, where each
# controller has its hierarchy; *v2*, where one has all of them; and *hybrid*, where both are mounted, and version 2
# has those controllers that version 1 does not use, often none. The table above says which one you have. Docker calls
# a hybrid machine version 1: it goes by what is mounted at `/sys/fs/cgroup` itself. (Kernel documentation: *Control
# Group v2*, *Mounting*.)

# %% [markdown]
# ## 6. Limits bite
#
# **Ask.** What happens when a container wants more memory than it may have, more processor time, more processes? Who
# notices? And does exit code 137 prove that memory ran out?
#
# **Predict.** Four containers with 64 MB: `hungry` takes memory without end. `stopped` sleeps, and somebody says
# `docker kill`. In `child-starved` a child process takes memory without end, in `child-killed` a child is killed by
# `kill -9`; both containers go on and end with 0. For each: the exit code, and whether the engine says *OOMKilled*.

# %%
trial = lab.trial("limits", settles=["cg-02-a", "cg-02-b"])
trial.predict("")

# %% [markdown]
# **Do.** `--memory-swap` with the same number means: no swap beside it.

# %%
trial.run("docker run --name hungry --memory 64m --memory-swap 64m lab/toolbox tail /dev/zero")
trial.run("docker run --detach --name stopped --memory 64m lab/toolbox sleep 300")
trial.run("docker kill stopped")

# %% [markdown]
# `last-words.sh` runs a command in a child, and then prints the kernel's own count of memory kills in its cgroup.

# %%
last_words = cgroups.script("last-words.sh")
starved = trial.run(
    "docker run --interactive --name child-starved --memory 64m --memory-swap 64m lab/toolbox "
    "sh -s 'tail /dev/zero'",
    stdin=last_words,
)
killed = trial.run(
    "docker run --interactive --name child-killed --memory 64m lab/toolbox sh -s 'kill -9 $$'",
    stdin=last_words,
)
starved

# %%
inspected = trial.run(
    "docker inspect --format '{{json .}}' hungry stopped child-starved child-killed"
)
ends = cgroups.read_endings(inspected, starved, killed)
ends.table()

# %% [markdown]
# The code 137 is 128 + 9: something sent the signal KILL. Who did, it does not say. The counter does.
#
# ### Processor time
#
# Three containers run the same endless loop, with 5, 10 and 20 percent of a core. `sample-cpu.sh` reads, ten times a
# second, the file `cpu.stat` of their cgroups.

# %%
loop = "docker run --detach --cpus {} lab/toolbox sh -c 'while :; do :; done'"
quotas = ["0.05", "0.1", "0.2"]
ids = [trial.run(loop.format(quota)).output for quota in quotas]
sample = cgroups.sampling(dict(zip(quotas, ids, strict=True)), samples=30)
usage = cgroups.read_usage(trial.run(sample, stdin=cgroups.script("sample-cpu.sh")))
usage.figure()

# %%
usage.table()

# %% [markdown]
# ### Processes
#
# `fork.sh` wants twelve processes; its container may have eight.

# %%
forked = trial.run(
    "docker run --rm --interactive --pids-limit 8 lab/toolbox sh -s",
    stdin=cgroups.script("fork.sh"),
)
forked

# %% [markdown]
# **See.** Each limit is in force, and the kernel has counted each time it was met.

# %%
kills = [ends["child-starved"].kernel_kills, ends["child-killed"].kernel_kills]
throttled = usage.throttled_periods("0.05")
what = "the kernel's memory kills, for child-starved and child-killed"
counted = [
    checks.equals(kills, [1, 0], what),
    checks.more_than(throttled, 5, "throttled periods of the smallest quota"),
    checks.output_contains(forked, "pids.events: max 1"),
]
in_force = [
    checks.less_than(usage.cores("0.05"), 0.1, "what the smallest quota used", "cores"),
    checks.error_contains(forked, "can't fork"),
]

# %%
trial.expect(
    "cg-02-a",
    confirmed=checks.all_of(*counted, *in_force),
    refuted=checks.any_of(
        checks.equals(kills, [0, 0], what),
        checks.equals(throttled, 0, "throttled periods of the smallest quota"),
        checks.output_contains(forked, "started 12"),
    ),
)

# %%
names = ["hungry", "stopped", "child-starved", "child-killed"]
codes = [ends[name].exit_code for name in names]
trial.check(checks.equals(codes, [137, 137, 0, 0], "the exit codes of the four"))

# %% [markdown]
# Does a cgroup also *isolate*? Each container has one of its own. The container `open` has no PID namespace: it shares
# the machine's process numbers. In it, and in its cgroup, `unshare` gives one more command such a namespace.

# %%
alone = trial.run("docker run --rm --memory 64m lab/toolbox ps -o pid,comm")
trial.run(
    "docker run --detach --name open --memory 64m --cgroupns host --pid host --privileged "
    "lab/toolbox sleep 600"
)
within, unshare = "docker exec open ", "unshare --pid --fork --mount-proc "
shared = trial.run(within + "ps -o pid,comm")
hidden = trial.run(within + unshare + "ps -o pid,comm")
hidden

# %%
membership = "cat /proc/self/cgroup"
cgroup_of = [trial.run(within + membership), trial.run(within + unshare + membership)]
seen = [cgroups.sees_others(alone), cgroups.sees_others(shared), cgroups.sees_others(hidden)]
what = "whether others are seen: with a PID namespace; without; with one, from the same cgroup"
trial.expect(
    "cg-02-b",
    confirmed=checks.equals(seen, [False, False, True], what),
    conditional=checks.equals(seen, [False, True, True], what),
    refuted=checks.equals(seen, [False, True, False], what),
    given=checks.equals(cgroup_of[1].output, cgroup_of[0].output, "the cgroups of the last two"),
)

# %% [markdown]
# **Explain.** The three limits differ in what they do. Memory cannot be taken back, so the kernel *kills*: the largest
# process of the cgroup, which need not be process 1. Processor time can be late, so the kernel *throttles*: when the
# quota of a period of 0.1 s is used up, all threads of the cgroup wait for the next. A process too many is *refused*.
# Exit code 137 alone proves nothing, and neither does 0: read the kernel's counter, `memory.events` or
# `memory.oom_control`. *OOMKilled* is what the engine heard of it, and with cgroup v1 it may hear too late: when
# process 1 itself was killed, now and then it says no.
#
# A cgroup says how much a group of processes may use, and counts it. What a process can *see* is the work of
# namespaces: `open` has a cgroup of its own and sees everything; with a PID namespace, a command in that same cgroup
# does not even see the `sleep` beside it. (Kernel documentation: *Control Group v2*; *CFS Bandwidth Control*; Linux
# manual: *pid_namespaces(7)*.)

# %% [markdown]
# ## 7. Do shares cap?
#
# **Ask.** `--cpu-shares 100` beside another container's 900: is that ten percent?
#
# **Predict.** How much of one core does the container with 100 shares use when it is alone there? And when the other
# one runs on the same core?

# %%
trial = lab.trial("shares", settles="cg-14")
trial.predict("")

# %% [markdown]
# **Do.** `--cpuset-cpus 0` keeps both on one core.

# %%
loop = (
    "docker run --detach --cpuset-cpus 0 --cpu-shares {} lab/toolbox sh -c 'while :; do :; done'"
)
light = trial.run(loop.format(100)).output
sample_cpu = cgroups.script("sample-cpu.sh")
alone = trial.run(cgroups.sampling({"100": light}, samples=20), stdin=sample_cpu)
heavy = trial.run(loop.format(900)).output
both = trial.run(cgroups.sampling({"100": light, "900": heavy}, samples=20), stdin=sample_cpu)

# %% [markdown]
# **See.**

# %%
alone, both = cgroups.read_usage(alone), cgroups.read_usage(both)
cgroups.shares_table(alone, both)

# %%
ratio = both.cores("100") / both.cores("900")
times = alone.cores("100") / both.cores("100")
what = "use of the 100 shares alone, as a multiple of their use beside the 900"
trial.expect(
    "cg-14",
    confirmed=checks.less_than(times, 1.5, what),
    refuted=checks.more_than(times, 2, what),
    given=checks.less_than(ratio, 0.3, "use of the 100 shares, divided by that of the 900"),
)

# %% [markdown]
# **Explain.** Shares are weights, and only those who compete are weighed. Alone, a container with few shares gets all
# that is free; a cap is `--cpus`. (Docker manual: *Resource constraints*, *CPU*.)

# %% [markdown]
# ## 8. What does a container see of its limits?
#
# **Ask.** A program asks how much memory and how many processors there are, to size its heap and its threads. Does
# it learn of its limits?
#
# **Predict.** Under `--memory 64m --cpus 0.5`: what do `free` and `nproc` print?

# %%
trial = lab.trial("inside", settles="cg-13")
trial.predict("")

# %% [markdown]
# **Do.** Ask on the machine, and in the container.

# %%
outside = trial.run("docker run --rm lab/toolbox sh -c 'free -m; nproc'")
inside = trial.run("docker run --rm --memory 64m --cpus 0.5 lab/toolbox sh -c 'free -m; nproc'")
pinned = trial.run("docker run --rm --cpuset-cpus 0 lab/toolbox nproc")
inside

# %% [markdown]
# **See.**

# %%
totals = cgroups.sizes(outside), cgroups.sizes(inside)
what = "total memory in MB and processors, without limits and with"
trial.expect(
    "cg-13",
    confirmed=checks.less_than(
        totals[1][0], 65, "total memory that free shows with 64 MB allowed", "MB"
    ),
    refuted=checks.equals(totals[1], totals[0], "total memory and processors seen with limits"),
)

# %%
trial.check(checks.output_is(pinned, "1"))

# %% [markdown]
# **Explain.** `free` reads `/proc/meminfo`, `nproc` asks which processors the process may run on. Both are of the
# machine: a limit of memory or of processor time changes neither. Only `--cpuset-cpus` shows, for it changes where the
# process may run. Some runtimes read the cgroup's files instead: Java those of both limits (since 10), Go that of
# processor time only (since 1.25), so of its memory one has to tell it (`GOMEMLIMIT`). Programs that do not know their
# limits are killed, or have many more threads than their quota feeds. (Release notes of both.)

# %% [markdown]
# ## 9. A daemon goes away
#
# **Ask.** With `live-restore`, containers go on while the daemon is down. All of them? And what of their output?
#
# **Predict.** Two engines, one with `live-restore` and one without; on each a container that is `quiet` and one that
# is `loud`: it prints 8 kilobytes many times a second. The daemons end for some seconds. Who still makes progress after
# the first moments?

# %%
trial = lab.trial("live-restore", settles=["cg-09", "cg-08-g", "cg-12"])
trial.predict("")

# %%
# !cat assets/01-cgroup-drivers/tick.sh

# %% [markdown]
# **Do.** Start everything, and end both daemons by the signal TERM, as `systemctl stop docker` does. (After a kill by
# signal 9 containers go on in both cases, until the daemon is back: that would not tell the two apart.)

# %%
toolbox = ["lab/toolbox"]
lab.start_engines(trial, {"kept": {"live-restore": True}, "plain": {}}, images=toolbox)
trial.run_at_once("sh assets/01-cgroup-drivers/start-ticking.sh", on=["kept", "plain"])
state = "docker inspect --format '{{.Name}} {{.State.Status}} {{.State.Pid}}' quiet loud"
kept_before, plain_before = trial.run(state, on="kept"), trial.run(state, on="plain")

# %%
end = cgroups.script("end-daemon.sh")
gone, _ = trial.run_at_once("sh -s", stdin=end, on=["kept-machine", "plain-machine"])
asleep = trial.run("docker ps", on="kept")
asleep

# %% [markdown]
# The daemon stays away until `quiet` has noted the time 60 times more. `loud` would have filled its pipe long before.

# %%
until_noted = cgroups.script("until-noted.sh")
trial.run("sh -s quiet 60", stdin=until_noted, on="kept-machine")

# %% [markdown]
# Then start both anew, with the same settings and data. The kernel keeps when a process began, in hundredths of a
# second, in field 22 of its `stat`.

# %%
lab.start_engines(trial, {"kept": {"live-restore": True}, "plain": {}})
back = trial.run("sh -c 'cut -d \" \" -f 22 /proc/$(pidof dockerd)/stat'", on="kept-machine")
kept_after, plain_after = trial.run(state, on="kept"), trial.run(state, on="plain")
kept_after

# %% [markdown]
# What did the containers note meanwhile? (`loud` may go on for ten notes first.)

# %%
trial.run("sh -s loud 10", stdin=until_noted, on="kept-machine")
notes = {
    "quiet": trial.run("cat /tmp/ticks/quiet", on="kept-machine"),
    "loud": trial.run("cat /tmp/ticks/loud", on="kept-machine"),
}
absence = cgroups.read_absence(gone, back, notes)
absence.figure()

# %% [markdown]
# **See.** Did they go on, and are they the same processes?

# %%
what = "notes of quiet while there was no daemon"
noted = absence.while_away("quiet")
same = kept_after.output == kept_before.output
same = checks.equals(same, True, "whether state and PID are as before, with live-restore")
ended = plain_after.output.count("exited")
ended = checks.equals(ended, 2, "containers that ended without live-restore")

# %%
trial.expect(
    "cg-09",
    confirmed=checks.all_of(same, checks.more_than(noted, 5, what), ended),
    refuted=checks.equals(noted, 0, what),
    given=checks.error_contains(asleep, "docker API"),
)

# %%
going_on = [step.output.count("running") for step in (kept_after, plain_after)]
what = "containers that went on: with the key, without"
trial.expect(
    "cg-08-g",
    confirmed=checks.equals(going_on, [2, 0], what),
    refuted=checks.equals(going_on, [0, 0], what),
)

# %% [markdown]
# And the output?

# %%
printed = trial.run("sh -c 'docker logs loud | cut -d \" \" -f 1'", on="kept")
lost = checks.equals(cgroups.numbers_lost(printed), [], "numbers of loud that were lost")
noted, what = absence.while_away("loud"), "notes of loud in the second half of the absence"
trial.expect(
    "cg-12",
    confirmed=checks.all_of(lost, checks.more_than(noted, 5, what)),
    refuted=checks.equals(noted, 0, what),
    given=checks.more_than(absence.afterwards("loud"), 2, "notes of loud afterwards"),
)

# %%
trial.check(lost)

# %%
swarm = trial.run("docker swarm init --advertise-addr 127.0.0.1", on="kept")
trial.check(checks.error_contains(swarm, "incompatible with swarm mode"))

# %% [markdown]
# **Explain.** The processes are not the daemon's children but of *shims*, one a container, which outlive it. A daemon
# that ends stops its containers first, unless `live-restore` tells it not to; when it returns it finds the shims, and
# adopts what they hold: same process, same PID.
#
# Output is another matter. It goes through a pipe that the daemon reads. A pipe holds 64 kilobytes; when it is full,
# the next `write` of the container waits. `quiet` never notices that the daemon was away. `loud` stands still until
# it is back, in the middle of whatever it was doing. Nothing is lost: it is held up. And a manager node of a swarm
# cannot have the setting. (Docker manual: *Live restore*.)

# %% [markdown]
# ## 10. A kubelet and a runtime that disagree
#
# On a node of Kubernetes two programs make cgroups. *kubelet*, the agent of the node, makes one for each pod. The
# *runtime*, here containerd, which Docker's engine uses too, makes one for each container, and should put it inside
# that of its pod: kubelet tells it where. Each has a cgroup driver, set in a file of its own.
#
# **Ask.** It is said: when a node does not come back after a restart, look at the cgroup drivers; kubelet and runtime
# must use the same one. What really happens when they differ?
#
# Three nodes answer, each a machine of its own with a real systemd as PID 1. Every one gets this pod, which breaks
# its own memory limit:

# %%
# !cat assets/01-cgroup-drivers/greedy.yaml

# %% [markdown]
# On the first node containerd, release 1.6, is told `cgroupfs`, and kubelet `systemd`.
#
# **Predict.** Does the node turn Ready? Do the containers run? Is one of them killed?

# %%
trial = lab.trial("kubelet-systemd-runtime-cgroupfs", settles="cg-07-a")
trial.predict("")

# %% [markdown]
# **Do.** Let it join, look at the two settings, and give it the pod. containerd's line is `SystemdCgroup`, where
# `false` means `cgroupfs`.

# %%
joined = lab.join_node(trial, "worker", containerd="1.6", runtime="cgroupfs", kubelet="systemd")
trial.run(
    "grep -E 'SystemdCgroup|cgroupDriver'"
    " /etc/containerd/config.toml /var/lib/kubelet/config.yaml",
    on="worker-machine",
)

# %%
trial.run("kubectl apply -f assets/01-cgroup-drivers/greedy.yaml")
running = trial.run(
    "kubectl wait --for=jsonpath={.status.phase}=Running pod/greedy --timeout=140s",
    within_seconds=150,
)
running

# %% [markdown]
# Which groups have a limit of 64 MiB (67108864 bytes)? Do both containers get to hold their memory (each is one `dd`)?
# And in which group is the large one?

# %%
limited = trial.run(
    "grep -r -l -x 67108864 /sys/fs/cgroup --include=memory.limit_in_bytes --include=memory.max",
    on="worker-machine",
)
limited

# %%
both = trial.run(
    "timeout 60 sh -c 'until pgrep -x -c dd | grep -x 2; do sleep 0.2; done'", on="worker-machine"
)
both

# %%
outside = trial.run(
    "sh -c 'grep -E \"memory|^0\" /proc/$(pgrep -o -x dd)/cgroup'", on="worker-machine"
)
outside

# %% [markdown]
# **See.**

# %%
trial.expect(
    "cg-07-a",
    confirmed=checks.equals(joined["ready"], False, "whether the node is Ready"),
    refuted=checks.all_of(
        checks.equals(joined["ready"], True, "whether the node is Ready"),
        checks.exit_code_is(running, 0),
    ),
)

# %% [markdown]
# The pod's group has the limit, the large container is not in it, and both containers run on:

# %%
trial.check(checks.output_contains(limited, "/kubepods.slice/kubepods-burstable.slice/kubepods-"))

# %%
trial.check(checks.output_lacks(outside, ":/kubepods.slice/"))

# %%
trial.check(checks.output_is(both, "2"))

# %% [markdown]
# **Explain.** Nothing failed, and that is the trouble. kubelet made the pod's group, `kubepods.slice/…`, and put the
# limit on it. Then it told the runtime the group in systemd's way of writing, `slice:prefix:name`. A runtime on
# cgroupfs takes that for a path: a folder with colons in its name, below its own service. The pod's group stays
# empty, and its limit limits nobody: both containers run on, with more memory than the pod may have. What still holds
# is the limit of each single container, for that is on the group which the runtime made: the two paths with colons
# have one each, and no container alone goes beyond it. (The refusal that people remember was in kubelet's own code
# for Docker, *dockershim*, gone since Kubernetes 1.24.)
#
# As nothing complains, you have to look: at the two settings, or at the cgroup of any process in a pod, as above.
# With colons in it, and outside `kubepods`, it is this fault.
#
# The repair: both to `systemd`, as systemd owns the tree of this machine (experiment 2). Here that is one line of the
# runtime's; then both start again. The pod is made anew, for a container stays in the group it was made in. The same
# pod, once more:

# %%
trial.run("kubectl delete pod greedy --now")
trial.run(
    "sed -i 's/SystemdCgroup = false/SystemdCgroup = true/' /etc/containerd/config.toml",
    on="worker-machine",
)
trial.run("systemctl restart containerd kubelet", on="worker-machine")
trial.run("kubectl apply -f assets/01-cgroup-drivers/greedy.yaml")

# %%
killed = trial.run(
    "kubectl wait --for=jsonpath={.status.containerStatuses[0].state.terminated.exitCode}=137"
    " pod/greedy --timeout=140s",
    within_seconds=150,
)

# %%
trial.run("timeout 60 sh -c 'until pgrep -x dd; do sleep 0.2; done'", on="worker-machine")
inside = trial.run(
    "sh -c 'grep -E \"memory|^0\" /proc/$(pgrep -o -x dd)/cgroup'", on="worker-machine"
)
trial.check(
    checks.all_of(
        checks.exit_code_is(killed, 0), checks.output_contains(inside, ":/kubepods.slice/")
    )
)

# %% [markdown]
# The kernel killed the large container (137 is 128 + 9, SIGKILL), and what is left is in the pod's group.

# %% [markdown]
# ## 11. The other way round
#
# **Ask.** Now containerd 1.6 is told `systemd`, and kubelet `cgroupfs`.
#
# **Predict.** Is that as silent?

# %%
trial = lab.trial("kubelet-cgroupfs-runtime-systemd", settles="cg-07-b")
trial.predict("")

# %% [markdown]
# **Do.**

# %%
joined = lab.join_node(trial, "worker", containerd="1.6", runtime="systemd", kubelet="cgroupfs")
trial.run("kubectl apply -f assets/01-cgroup-drivers/greedy.yaml")
words = trial.run(
    'sh -c "tail -n +1 -f /var/log/kubelet.log'
    " | grep -m 1 -o 'expected cgroupsPath .* for systemd cgroups'\"",
    on="worker-machine",
)
words

# %% [markdown]
# That waited for the line in kubelet's log. Who may not read it finds the same in the pod's events, with
# `kubectl describe pod greedy`, or:

# %%
trial.run(
    "kubectl get events --output custom-columns=REASON:.reason,MESSAGE:.message"
    " --field-selector involvedObject.name=greedy,reason=FailedCreatePodSandBox"
)

# %%
waiting = trial.run(
    "kubectl get pod greedy"
    " --output jsonpath='{.status.phase} {.status.containerStatuses[*].state.waiting.reason}'"
)
waiting

# %% [markdown]
# **See.**

# %%
trial.expect(
    "cg-07-b",
    confirmed=checks.all_of(
        checks.output_contains(words, "slice:prefix:name"),
        checks.output_contains(waiting, "Pending"),
    ),
    refuted=checks.output_contains(waiting, "Running"),
    given=checks.equals(joined["ready"], True, "whether the node is Ready"),
)

# %% [markdown]
# **Explain.** The node is Ready, and no pod starts on it. kubelet names the group as a path; a runtime on systemd
# wants to ask systemd for a scope in a slice, and cannot make one out of a path. The message is from `runc`, the
# program that starts containers for containerd, and stands in the pod's events: that is where to look when pods hang
# in `ContainerCreating` on one node only.
#
# The repair is again both to `systemd`, and so on the other side this time. kubelet tries again by itself, and the
# pod gets where it should: to its limit.

# %%
trial.run(
    "sed -i 's/cgroupDriver: cgroupfs/cgroupDriver: systemd/' /var/lib/kubelet/config.yaml",
    on="worker-machine",
)
trial.run("systemctl restart kubelet", on="worker-machine")
killed = trial.run(
    "kubectl wait --for=jsonpath={.status.containerStatuses[0].state.terminated.exitCode}=137"
    " pod/greedy --timeout=140s",
    within_seconds=150,
)
trial.check(checks.exit_code_is(killed, 0))

# %% [markdown]
# ## 12. Where it cannot happen
#
# **Ask.** Must kubelet be told its runtime's driver at all?
#
# **Predict.** The same wrong setting as just now, `cgroupfs` for kubelet and `systemd` for the runtime, but with
# containerd 2. What will kubelet do?

# %%
trial = lab.trial("runtime-tells-kubelet", settles="cg-07-c")
trial.predict("")

# %% [markdown]
# **Do.**

# %%
joined = lab.join_node(trial, "worker", containerd="2", runtime="systemd", kubelet="cgroupfs")
told = trial.run("grep cgroupDriver /var/lib/kubelet/config.yaml", on="worker-machine")
used = trial.run("grep -o 'Using cgroup driver .*' /var/log/kubelet.log", on="worker-machine")
used

# %%
trial.run("kubectl apply -f assets/01-cgroup-drivers/greedy.yaml")
killed = trial.run(
    "kubectl wait --for=jsonpath={.status.containerStatuses[0].state.terminated.exitCode}=137"
    " pod/greedy --timeout=140s",
    within_seconds=150,
)
inside = trial.run(
    "sh -c 'grep -E \"memory|^0\" /proc/$(pgrep -o -x dd)/cgroup'", on="worker-machine"
)
inside

# %% [markdown]
# **See.**

# %%
trial.expect(
    "cg-07-c",
    confirmed=checks.exit_code_is(killed, 1),
    outdated=checks.all_of(
        checks.output_contains(used, 'received from the CRI runtime" cgroupDriver="systemd"'),
        checks.exit_code_is(killed, 0),
        checks.output_contains(inside, ":/kubepods.slice/"),
    ),
    given=checks.output_is(told, "cgroupDriver: cgroupfs"),
)

# %% [markdown]
# **Explain.** From containerd 2 on a runtime says which driver it uses. kubelet asks, and goes by the answer: always
# from Kubernetes 1.34 on, and as a beta feature from 1.31 on. The wrong line in its file counts for nothing. With
# containerd 1.6 the same kubelet found nobody to ask, and fell back to its file. So what is said of the mismatch is
# true of nodes with an older runtime. (KEP-4033, *Discover cgroup driver from CRI*; the CRI is the interface through
# which kubelet talks to a runtime.)
#
# What breaks on a mismatch, then:
#
# | runtime | it uses | kubelet is told | what happens |
# |---|---|---|---|
# | containerd 1.6 | `cgroupfs` | `systemd` | pods run, and nothing enforces the limit of a pod as a whole |
# | containerd 1.6 | `systemd` | `cgroupfs` | pods stay in `ContainerCreating` |
# | containerd 2 | `systemd` | `cgroupfs` | nothing breaks: kubelet goes by what the runtime says |
#
# In all three the node is Ready: do not go by that. How to notice, and to repair:
#
# - The first: a process in a pod has a cgroup outside `kubepods`, with colons in its name. Set `SystemdCgroup =
#   true`, start containerd and kubelet again, and make the pods anew.
# - The second: `kubectl describe pod` says *expected cgroupsPath to be of format "slice:prefix:name"*. Set
#   `cgroupDriver: systemd`, and start kubelet again.
# - The third needs no repair. kubelet's log says which driver it uses, *received from the CRI runtime*.

# %% [markdown]
# ## 13. Three judges of a daemon.json
#
# `daemon.json` holds the settings of dockerd. It reads the file when it starts: `/etc/docker/daemon.json`, where
# `--config-file` names no other. So a change needs a restart; some keys are also read anew on the signal HUP.
#
# **Ask.** `dockerd --validate` says `configuration OK`. Will the engine start? Will containers?
#
# Eight files, each with one fault. Three judges: a model of the keys with their types (a short Python class,
# `labsupport/lessons/cgroups/daemon_json.py`), `dockerd --validate`, and a real start.

# %%
# !cd assets/01-cgroup-drivers/wrong && grep "" *.json

# %% [markdown]
# **Predict.** Which of them does `--validate` let pass?

# %%
trial = lab.trial("three-judges", settles=["cg-08-a", "cg-08-l"])
trial.predict("")

# %% [markdown]
# **Do.** First the sample that this notebook uses from here on.

# %%
cgroups.show_file("assets/01-cgroup-drivers/daemon.json")

# %%
sample = trial.run("dockerd --validate --config-file assets/01-cgroup-drivers/daemon.json")
sample

# %% [markdown]
# Then the eight, each with an engine of that name. The fault of `flag-and-file` is that its key is given as a flag too.

# %%
folder, flags = "assets/01-cgroup-drivers/wrong", {"flag-and-file": ["--log-level=info"]}
started = lab.start_engines(trial, folder, flags=flags, images=toolbox)
judged = []
for name in cgroups.WRONG_FILES:
    file = f"--config-file={folder}/{name}.json"
    validated = trial.run(["dockerd", "--validate", file, *flags.get(name, [])])
    start = started[name]
    ran = trial.run("docker run --rm lab/toolbox true", on=name) if start["started"] else None
    judged.append(cgroups.read_judged(name, validated, start, ran))
cgroups.judged_table(judged)

# %% [markdown]
# **See.**

# %%
trial.expect(
    "cg-08-a",
    confirmed=checks.all_of(
        checks.exit_code_is(sample, 0), checks.error_contains(sample, "configuration OK")
    ),
    refuted=checks.exit_code_is(sample, 1),
)

# %%
valid = [each.name for each in judged if each.is_valid]
valid_and_refused = sorted(each.name for each in judged if each.is_valid and not each.starts)
what = "files that --validate accepts and no engine starts with"
trial.expect(
    "cg-08-l",
    confirmed=checks.equals(valid_and_refused, [], what),
    refuted=checks.equals(valid_and_refused, ["gone-driver", "unified"], what),
    given=checks.contains(valid, "unified", "files that --validate accepts"),
)

# %%
useless = [each.name for each in judged if each.starts and not each.runs]
otherwise = [each.name for each in judged if not each.agrees]
as_found = ["bad-max-size", "no-systemd"]
trial.check(checks.equals(otherwise, [], "files our model judges otherwise"))

# %%
trial.check(checks.equals(useless, as_found, "files whose engine runs nothing"))

# %% [markdown]
# **Explain.** `--validate` reads the *form*: it knows the keys, the type of each value, what a mirror looks like, and
# that a key must not be given twice. (It also lets a name pass that is no key and does nothing: see the widget at the
# end.) It does not try what a value means. Some values are tried when the engine starts, and some only when a container
# does: a bad `max-size`, or a cgroup driver that nobody answers to. So a file is good when an engine has started with
# it **and** run a container.

# %% [markdown]
# ## 14. The effect of every key
#
# **Ask.** What does each key of the sample do? The engine `sample` has the file; `control` has none of its settings,
# only a registry that it may pull from.
#
# For pulls we need a registry: the real one of the *distribution* project, as a container on your engine, in plain
# HTTP at `10.200.0.1:5000`. In front of it, at port 5001, is a link that holds every layer for 0.3 s and writes down
# who asked for what. The sample names it as its *mirror*: a registry to ask before Docker Hub.
#
# **Predict.** Which keys could you *not* tell from `docker info`? Where does the content of images lie under
# `data-root`: always below it?

# %%
trial = lab.trial(
    "keys",
    settles=[f"cg-08-{key}" for key in "bcdefhijk"],
)
trial.predict("")

# %% [markdown]
# **Do.** Start the registry and the link, and wait until they answer.

# %%
trial.run(
    "docker run --detach --name registry --publish 5000:5000 --publish 5001:5001 lab/registry"
)
trial.run(
    "docker run --detach --name link --network container:registry lab/registry "
    "slow-link -to http://127.0.0.1:5000"
)
answers = "wget -q -O /dev/null http://127.0.0.1:5001/v2/"
trial.run(f"docker exec link timeout 50 sh -c 'until {answers}; do sleep 0.1; done'")

# %% [markdown]
# Fill the registry. To the engine it runs on it is `127.0.0.1`, to which plain HTTP is always allowed.

# %%
trial.run(
    "docker build --quiet --tag 127.0.0.1:5000/library/layers assets/01-cgroup-drivers/layers"
)
trial.run("docker push --quiet 127.0.0.1:5000/library/layers")

# %%
sample, control = (
    "assets/01-cgroup-drivers/daemon.json",
    {"insecure-registries": ["10.200.0.1:5001"]},
)
lab.start_engines(trial, {"sample": sample, "control": control})
info = "docker info --format '{{.CgroupDriver}} {{.Driver}} {{.LoggingDriver}} {{.DockerRootDir}}'"
sample, control = trial.run(info, on="sample"), trial.run(info, on="control")
sample

# %% [markdown]
# ### registry-mirrors, insecure-registries
#
# `layers` alone means `docker.io/library/layers`. No machine of the lab reaches Docker Hub.

# %%
by_mirror = trial.run("docker pull --quiet layers", on="sample")
no_mirror = trial.run("docker pull --quiet layers", on="control")
by_http = trial.run("docker pull --quiet 10.200.0.1:5000/library/layers", on="sample")
no_http = trial.run("docker pull --quiet 10.200.0.1:5000/library/layers", on="control")
no_http

# %%
hub = "registry-1.docker.io"
trial.expect(
    "cg-08-d",
    confirmed=checks.all_of(
        checks.equals(by_mirror.exit_code, 0, "exit code of the pull with a mirror"),
        checks.contains(no_mirror.stderr, hub, "what the engine without one says"),
    ),
    refuted=checks.contains(by_mirror.stderr, hub, "what the engine with a mirror says"),
)

# %%
no_tls = "server gave HTTP response to HTTPS client"
trial.expect(
    "cg-08-e",
    confirmed=checks.all_of(
        checks.equals(by_http.exit_code, 0, "exit code of the pull with the key"),
        checks.contains(no_http.stderr, no_tls, "what the engine without it says"),
    ),
    refuted=checks.contains(by_http.stderr, no_tls, "what the engine with the key says"),
)

# %% [markdown]
# ### max-concurrent-downloads
#
# The image has seven layers. The sample says 2; the control says nothing, and pulls the same image through the link.
# But the sample has another `storage-driver` too, and with it another program that pulls. The engine `two` differs
# from the control in this one key. (Both keep images in containerd's store, which also fetches an eighth part: a note
# of the builder on how the image was made.)

# %%
only_the_key = {"insecure-registries": ["10.200.0.1:5001"], "max-concurrent-downloads": 2}
lab.start_engine(trial, "two", only_the_key)
stores = [trial.run("docker info --format '{{.Driver}}'", on=each) for each in ("two", "control")]
for each in ("control", "two"):
    trial.run("docker pull --quiet 10.200.0.1:5001/library/layers", on=each)

# %%
image = trial.run("docker image inspect --format '{{.Id}}' layers", on="sample")
asked = trial.run("docker logs link")
of_sample, by_default, of_two = cgroups.read_downloads(asked, image)
cgroups.downloads_figure(
    {"sample, 2": of_sample, "two, 2": of_two, "control, default": by_default}
)

# %%
at_once = [pull.most_at_once for pull in (of_sample, of_two, by_default)]
what = "most layers at once: sample with 2, the same in the store of the control, by default"
trial.expect(
    "cg-08-f",
    confirmed=checks.equals(at_once, [2, 2, 3], what),
    conditional=checks.equals(at_once, [2, 3, 3], what),
    refuted=checks.equals(at_once, [3, 3, 3], what),
    given=checks.equals(
        [each.output for each in stores], ["overlayfs"] * 2, "storage drivers of two and control"
    ),
)

# %% [markdown]
# ### log-driver, log-opts, log-level
#
# Two new containers: one as it comes, one that asks for the driver `json-file` itself.

# %%
log_config = "docker inspect --format '{{json .HostConfig.LogConfig}}' "
trial.run("docker run --detach --name as-it-comes layers seq 20000", on="sample")
trial.run("docker wait as-it-comes", on="sample")
trial.run("docker create --name own-driver --log-driver json-file layers", on="sample")
as_it_comes = trial.run(log_config + "as-it-comes", on="sample").json()
own_driver = trial.run(log_config + "own-driver", on="sample").json()
as_it_comes

# %%
trial.expect(
    "cg-08-h",
    confirmed=checks.equals(as_it_comes["Type"], "local", "log driver of a new container"),
    refuted=checks.equals(as_it_comes["Type"], "json-file", "log driver of a new container"),
)

# %%
options = [as_it_comes["Config"], own_driver["Config"]]
bounded = {"max-file": "2", "max-size": "16k"}
trial.expect(
    "cg-08-j",
    confirmed=checks.equals(
        options, [bounded, {}], "options: of the default driver, of another one"
    ),
    refuted=checks.equals(options, [{}, {}], "options: of the default driver, of another one"),
)

# %% [markdown]
# The bound is on disk, not only in the settings: 20,000 numbers were printed, and the files hold the last of them.

# %%
files = trial.run(
    "find /var/lib/elsewhere/containers -path '*local-logs*' -type f -size -17k",
    on="sample-machine",
)
trial.check(checks.equals(len(files.lines), 2, "files of the log, each below 17 kB"))

# %% [markdown]
# The daemon's own log is what it writes to its standard error. Which levels are in it?

# %%
count = "sh -c 'grep -o level=[a-z]* /proc/$(pidof dockerd)/fd/2 | sort | uniq -c'"
sample_levels = cgroups.levels(trial.run(count, on="sample-machine"))
control_levels = cgroups.levels(trial.run(count, on="control-machine"))
what = "lines of level info in the daemon's log"
trial.expect(
    "cg-08-i",
    confirmed=checks.equals(sample_levels.get("info", 0), 0, f"{what} with the key at warn"),
    refuted=checks.more_than(sample_levels.get("info", 0), 0, f"{what} with the key at warn"),
    given=checks.more_than(control_levels.get("info", 0), 10, f"{what} without the key"),
)

# %% [markdown]
# ### exec-opts, storage-driver
#
# The sample says `cgroupfs`, which an engine on this machine, without systemd, chooses anyway: it would show nothing.
# The engine `driver` says `systemd`.

# %%
lab.start_engine(trial, "driver", "assets/01-cgroup-drivers/wrong/no-systemd.json")
asked_for = trial.run("docker info --format '{{.CgroupDriver}}'", on="driver")
drivers = [control.output.split()[0], asked_for.output]
trial.expect(
    "cg-08-c",
    confirmed=checks.equals(
        drivers, ["cgroupfs", "systemd"], "driver without the key, and with systemd"
    ),
    refuted=checks.equals(drivers, ["cgroupfs"] * 2, "driver without the key, and with systemd"),
)

# %%
storage = [control.output.split()[1], sample.output.split()[1]]
trial.expect(
    "cg-08-k",
    confirmed=checks.equals(
        storage, ["overlayfs", "overlay2"], "storage driver without the key, and with"
    ),
    refuted=checks.equals(storage, ["overlayfs"] * 2, "storage driver without the key, and with"),
)

# %% [markdown]
# ### data-root
#
# Two engines with the same `data-root`. One starts its own containerd, as the lab's engines do. The other uses a
# containerd that runs beside it, as the packages of Docker and of Debian set it up.

# %%
lab.start_machine(trial, "packaged")
trial.run("sh -s", stdin=cgroups.script("packaged-containerd.sh"), on="packaged-machine")
moved = {"data-root": "/var/lib/elsewhere"}
beside = ["--containerd=/run/containerd/containerd.sock"]
engines = {"packaged": moved, "whole": moved}
lab.start_engines(trial, engines, flags={"packaged": beside}, images=toolbox)

# %%
content = "find /var/lib -path /var/lib/labs -prune -o -type d -name blobs -print"
whole = trial.run(content, on="whole-machine")
packaged = trial.run(content, on="packaged-machine")
packaged

# %%
homes = ["/".join(step.output.split("/")[:4]) for step in (whole, packaged)]
what = "where the images' content lies: own containerd, packaged containerd"
trial.expect(
    "cg-08-b",
    confirmed=checks.equals(homes, ["/var/lib/elsewhere"] * 2, what),
    conditional=checks.equals(homes, ["/var/lib/elsewhere", "/var/lib/containerd"], what),
    refuted=checks.equals(homes, ["/var/lib/containerd"] * 2, what),
)

# %% [markdown]
# **See.** All of it in one table. Not every row is `sample` beside `control`: `exec-opts` is the engine `driver`,
# `max-concurrent-downloads` the engine `two`, and `live-restore` is from experiment 9.

# %%
effect = cgroups.Effect
of_the_lab = "a folder of the lab's; elsewhere /var/lib/docker"
told = [
    effect("data-root", sample.output.split()[3], control.output.split()[3], of_the_lab),
    effect("exec-opts", asked_for.output, control.output.split()[0]),
    effect("registry-mirrors", f"pulls {by_mirror.output}", cgroups.last_words(no_mirror)),
    effect("insecure-registries", f"pulls {by_http.output}", cgroups.last_words(no_http)),
    effect("max-concurrent-downloads", f"{at_once[1]} at once", f"{at_once[2]} at once"),
]

# %%
told += [
    effect("live-restore", f"{going_on[0]} of 2 containers go on", f"{going_on[1]} of 2 go on"),
    effect("log-driver", as_it_comes["Type"], control.output.split()[2]),
    effect(
        "log-opts", as_it_comes["Config"], own_driver["Config"], "container with its own driver"
    ),
    effect("log-level", sample_levels, control_levels),
    effect("storage-driver", storage[1], storage[0]),
]
cgroups.effects_table(told)

# %% [markdown]
# **Explain.** Every key does what its name says, with some small print:
#
# - `data-root` moves what the *engine* stores. Since Docker 29 new engines keep images in containerd's store; where
#   containerd runs on its own, that is containerd's folder, which only containerd's own settings move.
# - `exec-opts` with `native.cgroupdriver` chooses the cgroup driver, and does not ask whether it can work: experiment
#   13 has an engine that starts with `systemd` where there is none, and no container does.
# - `registry-mirrors` serve Docker Hub only: a name with another registry in it never goes there.
# - `insecure-registries` is not needed for 127.0.0.0/8, so do not test it there.
# - `max-concurrent-downloads` is how many layers are on their way at once; the table has the number without it. The
#   containerd store heeds it since Docker 29.7; before, by the source, it did not (moby pull request 53081).
# - `live-restore` keeps containers going, but one that writes much stands still until the daemon is back.
# - `log-driver` and `log-opts` are for *new* containers: those that exist keep what they had. The options are for the
#   default driver; a container that names its driver gets none of them. Notebook 02 has more.
# - `log-level` is about the daemon's own log, not about what containers write.
# - `storage-driver: overlay2` on a fresh Docker 29 also leaves the containerd image store (*overlayfs* above), and
#   with it all images that were there.
#
# `docker info` shows the cgroup driver, the storage driver, the default log driver, the folder, mirrors, insecure
# registries and whether live restore is on. It does not show `log-opts`, `log-level` and `max-concurrent-downloads`:
# for these one has to look at what they do, as here. (Docker manual: *dockerd*, *Daemon configuration file*.)

# %% [markdown]
# ## Try it yourself
#
# ### Limits
#
# A workload that wants a whole core, twelve processes and 80 MB, step by step. Set the limits, say how it will end,
# and run it. Where the engine is live, so is the container: its curves grow while it runs.

# %%
trial = lab.trial("limits-by-hand")
lab.explore(cgroups.limits_explorer(trial, lab))

# %% [markdown]
# ### A key of daemon.json
#
# Choose a key and one of three files: it is right, or its form is wrong, or it asks for what there is not. The file
# stands below the controls. Say how far it gets, and run it: `dockerd --validate` reads it, an engine of its own starts
# with it, and a container on that engine, as far as each can.

# %%
trial = lab.trial("keys-by-hand")
lab.explore(cgroups.keys_explorer(trial, lab))

# %% [markdown]
# ## Exercise: write a daemon.json
#
# `seed`, in the second cell, chooses what is asked for:

# %%
lab.exercise("daemon-json")

# %% [markdown]
# `check()` starts an engine with your file, looks at the engine, and tells you the next step. Stuck?
# `lab.exercise("daemon-json").hint()`

# %%
# %%writefile assets/01-cgroup-drivers/my-daemon.json
# ### BEGIN SOLUTION
# {
#   "data-root": "/var/lib/elsewhere",
#   "log-driver": "local",
#   "log-opts": { "max-size": "500k", "max-file": "2" },
#   "live-restore": true,
#   "insecure-registries": ["10.200.0.1:5000"],
#   "log-level": "warn"
# }
# ### END SOLUTION

# %%
lab.exercise("daemon-json").check()

# %% [markdown]
# ## What we settled
#
# First the lab ends. It says what it left behind: nothing.

# %%
lab.close()

# %% tags=["nbval-check-output"]
lab.settled()
