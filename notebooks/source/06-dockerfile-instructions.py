# %% [markdown]
# # Dockerfile instructions: what RUN, CMD and ENTRYPOINT really do
#
# You write an image's start-up in two lines. Which program then becomes process 1, with which words, and does it hear
# `docker stop`? And when a `RUN` deletes a secret, is it gone?
#
# Seven short experiments on a real Docker engine answer that, about 25 minutes. Each one asks, lets you predict,
# runs, shows and explains. Run the cells from top to bottom. Nothing outside the lab is touched.

# %% tags=["parameters"]
engine = "auto"
cluster = "auto"
seed = 0

# %%
from labsupport import open_lab
from labsupport.experiments.checks import all_of, any_of, equals, exit_code_is, output_is
from labsupport.lessons import dockerfile

lab = open_lab("06-dockerfile-instructions", engine=engine, cluster=cluster, seed=seed)

# %% [markdown]
# The card above says what is live here. The commands below are the ones you would type. You can try your own in any
# cell: `!docker images`.
#
# ## 1. A RUN that deletes a secret
#
# **Ask.** A build logs in, publishes with the credential, and removes the credential. When does each `RUN` execute,
# and what does it leave in the image?

# %%
# !cat assets/06-dockerfile-instructions/layers/Dockerfile

# %% [markdown]
# Each stage above does the same work in another way. `login` makes a new credential, `session=` and a random number,
# and writes it to `/root/session`. We begin with the stage `three-runs`.
#
# **Predict.** How many layers do its three `RUN` lines add? Where in the image is the credential, once `rm` has run?
# Keep your prediction, if you like: put words between the quotes.

# %%
trial = lab.trial("layers", settles="df-05")
trial.predict("")

# %% [markdown]
# **Do.** Build it. Read the receipt, which a `RUN` wrote, from two containers. Look for the credential in a
# container.

# %%
built = trial.run(
    "docker build --target three-runs --tag ways:three-runs "
    "assets/06-dockerfile-instructions/layers"
)
first = trial.run("docker run --rm ways:three-runs cat receipt")
second = trial.run("docker run --rm ways:three-runs cat receipt")
trial.run("docker run --rm ways:three-runs find /root")

# %% [markdown]
# Nothing in `/root`. Now search what the image is made of: `docker save` writes every layer, and `search_layers.py`
# (a short Python program among this notebook's files) looks into each file of each layer.

# %%
search = (
    "docker save ways:three-runs | python3 "
    "assets/06-dockerfile-instructions/search_layers.py 'session=[0-9a-f]'"
)
layers = dockerfile.read_layers(trial.run(["sh", "-c", search]))
layers.table()

# %% [markdown]
# **See.**

# %%
runs, receipts = layers.of_run, {first.output, second.output}
three_layers = equals(len(runs), 3, "number of layers made by the three RUN")
same_receipt = equals(len(receipts), 1, "number of different receipts in two containers")
one_layer = equals(len(runs), 1, "number of layers made by the three RUN")
new_receipt = equals(len(receipts), 2, "number of different receipts in two containers")
trial.expect(
    "df-05",
    confirmed=all_of(three_layers, same_receipt),
    refuted=any_of(one_layer, new_receipt),
    given=exit_code_is(built, 0),
)

# %%
where = ["/root/session, in the layer of RUN login"]
trial.check(equals(layers.found, where, "where the credential still is"))

# %% [markdown]
# **Explain.** `RUN` executes during the build, never in your containers: both show the receipt that was written then.
# After each `RUN` the builder compares the files before and after, and stores the difference as one layer. A layer
# never changes again. So `rm` can only add a layer with a *whiteout*, a mark that hides the file: containers do not
# see it, but whoever can pull the image can read the layer below.
#
# `ENV`, `CMD`, `ENTRYPOINT` and their like make no layer. They are lines of the image's configuration. (Dockerfile
# reference: *RUN*. OCI image specification: *Image Layer Filesystem Changeset*, *Whiteouts*.)

# %% [markdown]
# ## 2. The right ways
#
# **Ask.** Which of the other stages keep the credential out of the image?
#
# **Predict.** Look at the Dockerfile again: `one-run`, `multi-stage`, `mount`, `argument`. One of the four still
# leaks.

# %% [markdown]
# **Do.** Build them.

# %%
trial.run(
    "docker build --quiet --target one-run --tag ways:one-run "
    "assets/06-dockerfile-instructions/layers"
)
trial.run(
    "docker build --quiet --target multi-stage --tag ways:multi-stage "
    "assets/06-dockerfile-instructions/layers"
)

# %% [markdown]
# `mount` and `argument` get the credential from outside: one as a secret, one as a build argument.

# %%
trial.run(
    "docker build --quiet --target mount --secret "
    "id=session,src=assets/06-dockerfile-instructions/layers/session.txt "
    "--tag ways:mount assets/06-dockerfile-instructions/layers"
)
trial.run(
    "docker build --quiet --target argument --build-arg session=0b5c7e1d-2f64-4f0e-9a3b-6d1e8c9f7a25 "
    "--tag ways:argument assets/06-dockerfile-instructions/layers"
)

# %%
ways = {"three-runs": layers}
for way in ["one-run", "multi-stage", "mount", "argument"]:
    search = (
        f"docker save ways:{way} | python3 "
        "assets/06-dockerfile-instructions/search_layers.py 'session=[0-9a-f]'"
    )
    ways[way] = dockerfile.read_layers(trial.run(["sh", "-c", search]))
dockerfile.ways_table(ways)

# %%
leaking = [way for way, searched in ways.items() if searched.found]
trial.check(
    equals(leaking, ["three-runs", "argument"], "ways that leave the credential in the image")
)

# %% [markdown]
# **Explain.** A file that is gone before its `RUN` ends is in no layer. A stage that is only copied from is not part
# of the image (its layers stay in the builder's cache, on the machine that built it). A secret mount exists while
# that `RUN` runs, and is neither in a layer nor in the cache. A build argument is in no file, yet BuildKit writes the
# arguments a `RUN` could see into its line of the history, and `docker history --no-trunc` prints it. The linter
# knows: `docker build --check` warns *SecretsUsedInArgOrEnv* for names that look like secrets, such as `TOKEN`. Ours,
# `session`, does not.

# %% [markdown]
# ## 3. Two CMD lines
#
# **Ask.** May a Dockerfile have two `CMD`? Which one counts, and does anybody tell you?

# %%
# !cat assets/06-dockerfile-instructions/last-cmd/Dockerfile

# %% [markdown]
# **Predict.** An error, `first`, `second`, or both?

# %%
trial = lab.trial("last-cmd", settles="df-06")
trial.predict("")

# %% [markdown]
# **Do.** First ask the linter. `--check` builds nothing.

# %%
checked = trial.run("docker build --check assets/06-dockerfile-instructions/last-cmd")
checked

# %%
built = trial.run("docker build --quiet --tag last-cmd assets/06-dockerfile-instructions/last-cmd")
config = trial.run("docker image inspect --format '{{json .Config.Cmd}}' last-cmd")
ran = trial.run("docker run --rm last-cmd")
ran

# %% [markdown]
# **See.**

# %%
trial.expect(
    "df-06",
    confirmed=all_of(
        exit_code_is(built, 0), output_is(config, '["echo","second"]'), output_is(ran, "second")
    ),
    refuted=any_of(exit_code_is(built, 1), output_is(ran, "first")),
)

# %% [markdown]
# **Explain.** `CMD` does not run anything in the build: it sets one field, `Config.Cmd`. The second `CMD` sets it
# again. The build succeeds; the linter's rule *MultipleInstructionsDisallowed* warns, and `docker build --check` ends
# with an error code, so a pipeline can stop there. `ENTRYPOINT` behaves alike. (Dockerfile reference: *CMD*.)

# %% [markdown]
# ## 4. Can ENTRYPOINT be overridden?
#
# **Ask.** It is said that `CMD` can be overridden and `ENTRYPOINT` never.
#
# To see what a container really starts, we need a program that reports it. In the images below, `entry`, `cmd`, `arg`
# and `other` are four names of one program. Whatever its arguments are, it prints what the kernel has in
# `/proc/1/cmdline`, the argument vector of process 1, and its own if it is another process.

# %%
# !cat assets/06-dockerfile-instructions/matrix/Dockerfile

# %% [markdown]
# **Predict.** The image `matrix:exec-exec` has `ENTRYPOINT ["entry", "e1"]`. What does `--entrypoint other` start?

# %%
trial = lab.trial("override", settles="df-08")
trial.predict("")

# %% [markdown]
# **Do.** Build that one stage. Run it as it is, then with `--entrypoint`.

# %%
trial.run(
    "docker buildx bake --progress quiet --file "
    "assets/06-dockerfile-instructions/matrix/docker-bake.hcl exec-exec"
)
plain = trial.run("docker run --rm matrix:exec-exec")
overridden = trial.run("docker run --rm --entrypoint other matrix:exec-exec")
overridden

# %% [markdown]
# **See.**

# %%
trial.expect(
    "df-08",
    confirmed=output_is(overridden, 'PID 1 ["entry","e1","other"]'),
    refuted=output_is(overridden, 'PID 1 ["other"]'),
    given=output_is(plain, 'PID 1 ["entry","e1","cmd","c1"]'),
)

# %% [markdown]
# **Explain.** Words after the image's name never replace `ENTRYPOINT`; the option `--entrypoint` does. It takes one
# program; that program's arguments come after the image's name. Look closely: `cmd c1` is gone too. We come back to
# it. (Docker manual, *Running containers*: *Default entrypoint*.)

# %% [markdown]
# ## 5. The whole matrix
#
# **Ask.** `ENTRYPOINT` and `CMD` can each be absent, in shell form or in exec form: nine images. `docker run` can add
# arguments, `--entrypoint`, both or neither: 36 containers. What is process 1 in each?
#
# **Predict.** Before you run the cells, say it for three of them: both in exec form without arguments; `ENTRYPOINT`
# in shell form with the arguments `arg a1`; `ENTRYPOINT` in exec form and `CMD` in shell form.

# %%
trial = lab.trial("matrix", settles=["df-07", "df-09", "df-10-a", "df-10-b"])
trial.predict("")

# %% [markdown]
# **Do.** `docker buildx bake` builds all nine stages side by side. `run-all.sh` is a plain loop over `docker run`,
# four containers at a time.

# %%
trial.run(
    "docker buildx bake --progress quiet --file "
    "assets/06-dockerfile-instructions/matrix/docker-bake.hcl"
)
ran = trial.run("sh assets/06-dockerfile-instructions/matrix/run-all.sh")
matrix = dockerfile.read_matrix(ran)
matrix

# %% [markdown]
# **See.** First: do arguments replace `CMD`?

# %%
plain = matrix.outcome(cmd="exec").pid_1
with_arguments = matrix.outcome(cmd="exec", arguments=True).pid_1
what = "PID 1 of an image with CMD, run with arguments"
trial.expect(
    "df-07",
    confirmed=equals(with_arguments, ["arg", "a1"], what),
    refuted=equals(with_arguments, ["cmd", "c1", "arg", "a1"], what),
    given=equals(plain, ["cmd", "c1"], "PID 1 of the same image without arguments"),
)

# %% [markdown]
# Are they appended to `ENTRYPOINT`? We ask what the program `entry` itself was given.

# %%
exec_form = matrix.outcome("exec", arguments=True).program
shell_form = matrix.outcome("shell", arguments=True).program
appended, not_appended = ["entry", "e1", "arg", "a1"], ["entry", "e1"]
in_exec = equals(exec_form, appended, "what the program got in exec form")
trial.expect(
    "df-09",
    confirmed=all_of(in_exec, equals(shell_form, appended, "what it got in shell form")),
    conditional=all_of(in_exec, equals(shell_form, not_appended, "what it got in shell form")),
    refuted=equals(exec_form, not_appended, "what the program got in exec form"),
)

# %% [markdown]
# And is `CMD` the default arguments of `ENTRYPOINT`?

# %%
both_exec = matrix.outcome("exec", "exec").program
what = "what the program got, both in exec form"
trial.expect(
    "df-10-a",
    confirmed=equals(both_exec, ["entry", "e1", "cmd", "c1"], what),
    refuted=equals(both_exec, ["entry", "e1"], what),
)

# %%
handed_over = matrix.forms_that_hand_cmd_over()
what = "forms of ENTRYPOINT and CMD in which the program got CMD as its arguments"
trial.expect(
    "df-10-b",
    confirmed=equals(handed_over, ["shell-shell", "shell-exec", "exec-shell", "exec-exec"], what),
    conditional=equals(handed_over, ["exec-exec"], what),
    refuted=equals(handed_over, [], what),
)

# %% [markdown]
# Does the kernel agree with the written rules, everywhere?

# %%
trial.check(equals(matrix.against_the_rules(), [], "combinations in which it does not"))

# %% [markdown]
# **Explain.** There are only three rules, and no shell is involved in them:
#
# 1. **Shell form is an abbreviation.** `CMD cmd c1` stores `["/bin/sh", "-c", "cmd c1"]`; `ENTRYPOINT` likewise.
# 2. **The engine joins two lists:** first `ENTRYPOINT`, then the arguments of `docker run` or, without any, `CMD`.
# 3. **`--entrypoint` replaces the first list, and the image's `CMD` is then ignored.**
#
# The odd cells follow. With `ENTRYPOINT` in exec form and `CMD` in shell form the program gets the words `/bin/sh`,
# `-c` and `cmd c1` as arguments. With `ENTRYPOINT` in shell form everything after it goes to the *shell*: the kernel
# shows the words on process 1, while its child `entry` never gets them. With both lists empty the engine refuses.
# (Dockerfile reference: *Understand how CMD and ENTRYPOINT interact*; its table has no column for arguments.)
#
# ### Where did the arguments go?
#
# They are not lost. `sh -c 'COMMAND' one two` sets `$0` to `one` and `$1` to `two`. The command may use them.

# %%
# !cat assets/06-dockerfile-instructions/lost/Dockerfile

# %%
trial = lab.trial("lost-arguments")
trial.run(
    "docker build --quiet --target kept --tag lost:kept assets/06-dockerfile-instructions/lost"
)
trial.run(
    "docker build --quiet --target handed-on --tag lost:handed-on "
    "assets/06-dockerfile-instructions/lost"
)
kept = trial.run("docker run --rm lost:kept one two")
handed_on = trial.run("docker run --rm lost:handed-on one two")
kept

# %%
trial.check(
    all_of(
        output_is(kept, "the shell has: $0=one $1=two"),
        output_is(handed_on, "the command got: one two"),
    )
)

# %% [markdown]
# ## 6. What a child image inherits
#
# **Ask.** A base image sets `CMD`. An image made from it sets `ENTRYPOINT`. Does it keep the base's `CMD` as default
# arguments? And does `--entrypoint` keep it?

# %%
# !cat assets/06-dockerfile-instructions/child/Dockerfile

# %% [markdown]
# **Predict.** What does each of the three images print?

# %%
trial = lab.trial("inheritance", settles=["df-13-a", "df-13-b"])
trial.predict("")

# %% [markdown]
# **Do.** Build the three, run them, and read the field `Config.Cmd` of each.

# %%
trial.run(
    "docker build --quiet --target base --tag child:base assets/06-dockerfile-instructions/child"
)
trial.run(
    "docker build --quiet --target child --tag child:child assets/06-dockerfile-instructions/child"
)
trial.run(
    "docker build --quiet --target child-with-cmd --tag child:with-cmd "
    "assets/06-dockerfile-instructions/child"
)

# %%
base = trial.run("docker run --rm child:base")
child = trial.run("docker run --rm child:child")
with_cmd = trial.run("docker run --rm child:with-cmd")
config = trial.run(
    "docker image inspect --format '{{json .Config.Cmd}}' child:base child:child child:with-cmd"
)
config

# %%
overridden = trial.run("docker run --rm --entrypoint echo child:with-cmd")
overridden

# %% [markdown]
# **See.**

# %%
trial.expect(
    "df-13-a",
    confirmed=output_is(child, "ENTRYPOINT of the child, CMD of the base"),
    refuted=all_of(
        output_is(child, "ENTRYPOINT of the child,"),
        equals(config.lines[1], "null", "CMD of the child"),
    ),
    given=all_of(
        output_is(base, "CMD of the base"),
        output_is(with_cmd, "ENTRYPOINT of the child, CMD of the child"),
    ),
)

# %%
trial.expect(
    "df-13-b",
    confirmed=output_is(overridden, "CMD of the child"),
    refuted=equals(overridden.lines, [""], "what echo printed"),
    given=exit_code_is(overridden, 0),
)

# %% [markdown]
# **Explain.** A `CMD` that was written for another program makes no sense as arguments of a new one. So `ENTRYPOINT`
# empties an inherited `CMD`, unless the same stage sets `CMD` too, before or after it. `--entrypoint` follows the
# same thought: the engine takes the image's `CMD` only if neither an entrypoint nor arguments were given. (Dockerfile
# reference: the note in *Understand how CMD and ENTRYPOINT interact*; Docker manual, *Running containers*: *Default
# entrypoint*.)

# %% [markdown]
# ## 7. Shell form, exec form, and `docker stop`
#
# **Ask.** Is the form a matter of taste? `docker stop` sends the signal TERM to process 1 and, when the grace is
# over, KILL. Our service handles TERM: it says so, tidies up and ends with 0. Does it get the chance?

# %%
# !cat assets/06-dockerfile-instructions/stop/Dockerfile

# %% [markdown]
# **Predict.** For `exec`, `dash`, `dash-last`, `bash`, `bash-last`: is the service told, or killed? Debian and Ubuntu
# have dash as `/bin/sh`, Alpine has busybox, Fedora and its relatives have bash.

# %%
trial = lab.trial("stop", settles="df-11")
trial.predict("")

# %% [markdown]
# **Do.** Build all, start all. Two of the images run a second time with `--init`. Then stop all at once. The default
# grace is 10 seconds; ours is 2, so that nobody waits.

# %%
trial.run(
    "docker buildx bake --progress quiet --file "
    "assets/06-dockerfile-instructions/stop/docker-bake.hcl"
)
started = trial.run("sh assets/06-dockerfile-instructions/stop/start-all.sh")
stopped = trial.run("sh -c 'docker stop --timeout 2 $(docker ps --quiet --filter name=stop-)'")
events = trial.run(
    "docker events --since 60s --until=-1s --format json "
    "--filter label=experiment=stop --filter event=kill --filter event=die"
)
logs = trial.run("sh assets/06-dockerfile-instructions/stop/logs.sh")
logs

# %% [markdown]
# **See.** The times are the engine's own: from its first signal to the end of the container.

# %%
stops = dockerfile.read_stops(started, stopped, events, logs)
stops.figure()

# %%
stops.table()

# %%
exec_form, shell_form = stops["exec"], stops["dash"]
what = "exit codes in exec form, and in shell form under dash"
trial.expect(
    "df-11",
    confirmed=equals([exec_form.exit_code, shell_form.exit_code], [0, 0], what),
    refuted=equals([exec_form.exit_code, shell_form.exit_code], [0, 137], what),
    given=equals(exec_form.told, "TERM", "what the service was told in exec form"),
)

# %% [markdown]
# **Explain.** Three things come together.
#
# *Who is process 1.* In exec form the service is. In shell form the shell is, unless it **replaces itself** by the
# last command, as `exec` would. Whether it does is the shell's own business: here busybox and bash do when nothing is
# left to do after the command, and the dash of Debian 12 never does. So the same line of a Dockerfile stops at once
# on one base image and is killed on another. The Dockerfile reference (*ENTRYPOINT*, shell form) says that the
# program is not process 1 and gets no signal; for a single command that is so under dash only.
#
# *Process 1 is special.* The kernel gives the first process of a PID namespace no signal it has no handler for. A
# shell has none for TERM, and a shell hands no signal to its children. The engine waits, then sends KILL, which
# nothing can refuse: exit code 137, 128 + 9. `sleep` as process 1 (`deaf`) shows that the exec form alone is no cure:
# the program must handle the signal. (Linux manual: *pid_namespaces(7)*.)
#
# *Only process 1 is told.* The engine sends its signal to that process, not to the others.

# %%
told = "exec bash bash-last busybox busybox-last repair-exec repair-trap-wait stopsignal"
trial.check(equals(stops.told, told.split(), "containers whose service was told"))

# %%
killed = "dash dash-last dash-first bash-first busybox-first deaf repair-trap"
trial.check(equals(stops.killed, killed.split(), "containers killed when the grace was over"))

# %% [markdown]
# **Which repair?**
#
# - The exec form; or `exec service` as the last word of a shell line or script (`repair-exec`).
# - `trap` alone does not help (`repair-trap`): a shell runs its trap only after the command in the foreground has
#   ended. Put the service in the background, `wait`, and pass the signal on (`repair-trap-wait`).
# - `--init` puts a small init in front. It mends `deaf`, for there the signal reaches a process that is not process 1
#   and dies of it. Under the shell (`init-dash`) it only looks like a cure: the init tells the shell, the shell dies
#   of it, the container ends at once with 143. The service was never told. The kernel killed it with the rest of the
#   namespace.
# - `STOPSIGNAL` chooses the signal; it changes nothing about who gets it.
#
# The linter's rule *JSONArgsRecommended* warns of the shell form for this very reason. It says nothing here: a
# `SHELL` line tells it that you mean it.

# %% [markdown]
# ## Try it yourself
#
# Set the four controls, write what you think process 1 will be, run it. Where the engine is live, so is the
# container.

# %%
trial = lab.trial("matrix-by-hand")
trial.run(
    "docker buildx bake --progress quiet --file "
    "assets/06-dockerfile-instructions/matrix/docker-bake.hcl"
)
lab.explore(dockerfile.argv_explorer(trial))

# %% [markdown]
# ## Exercise: rewrite a bad Dockerfile
#
# This one builds and runs. It also leaks a credential, is far too large, has needless layers, and is killed at every
# stop.

# %%
# !cat assets/06-dockerfile-instructions/exercise/Dockerfile

# %% [markdown]
# Write a better one. It must still make the same `/app/receipt` while it is built and start the same service. Beyond
# lab/toolbox two layers are enough. `check()` builds it with `--secret id=session`, searches its layers, runs it,
# stops it, and tells you the next step. Stuck? `lab.exercise("rewrite").hint()`

# %%
# %%writefile assets/06-dockerfile-instructions/exercise/better.Dockerfile
# ### BEGIN SOLUTION
# FROM lab/toolbox
# COPY service download publish /app/
# RUN --mount=type=secret,id=session,target=/root/session \
#     /app/download && /app/publish >/app/receipt && rm -r /tmp/download
# CMD ["/app/service"]
# ### END SOLUTION

# %%
lab.exercise("rewrite").check()

# %% [markdown]
# ## What we settled
#
# First the lab ends. It says what it left behind: nothing.

# %%
lab.close()

# %% tags=["nbval-check-output"]
lab.settled()
