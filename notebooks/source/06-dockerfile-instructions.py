# %% [markdown]
# # Dockerfile instructions: what COPY, ADD, RUN, CMD and ENTRYPOINT really do
#
# You copy an archive, and a folder lands. You install a package, and get last month's. You write an image's start-up
# in two lines: which program then becomes process 1, with which words, and does it hear `docker stop`?
#
# Twelve short experiments on a real Docker engine answer that, about 40 minutes. Each one asks, lets you predict,
# runs, shows and explains. Run the cells from top to bottom. Nothing outside the lab is touched.

# %% tags=["parameters"]
engine = "auto"
cluster = "auto"
seed = 0

# %%
from labsupport import open_lab
from labsupport.experiments.checks import (
    all_of,
    any_of,
    contains,
    equals,
    error_contains,
    exit_code_is,
    output_is,
)
from labsupport.lessons import dockerfile

lab = open_lab("06-dockerfile-instructions", engine=engine, cluster=cluster, seed=seed)

# %% [markdown]
# The card above says what is live here. The commands below are the ones you would type. You can try your own in any
# cell: `!docker images`.

# %% [markdown]
# ## 1. COPY and ADD, side by side
#
# **Ask.** Both put files into an image. Where do they differ: with a file, a folder, a symbolic link, archives, URLs,
# a git repository? Which mode, owner and date does what lands have?

# %%
# !cat assets/06-dockerfile-instructions/sources/make.sh

# %% [markdown]
# The script makes one small folder in every form, all dated 3 February 2001; in the archives its owner is 1000. The
# Dockerfile has a stage for each source and instruction, and a last one that lists what the others have in `/out`.

# %%
# !head -30 assets/06-dockerfile-instructions/sources/Dockerfile

# %% [markdown]
# **Predict.** What does `ADD` make of `folder.tar`, of `folder.zip`, and of a tar archive that it fetches from a URL?
# Who owns the files? Keep your prediction, if you like: put words between the quotes.

# %%
trial = lab.trial("sources", settles=["df-01", "df-02-a", "df-02-b", "df-02-c", "df-03", "df-04"])
trial.predict("")

# %% [markdown]
# **Do.** A container serves the same files by HTTP at 10.77.0.2, and we wait until it does; the engine's own computer,
# 10.77.0.1 in that network, serves a git repository.

# %%
trial.run("sh assets/06-dockerfile-instructions/sources/make.sh")
trial.run("docker network create --subnet 10.77.0.0/24 sources")
trial.run(
    "docker build --quiet --tag sources:server --file "
    "assets/06-dockerfile-instructions/sources/server.Dockerfile "
    "assets/06-dockerfile-instructions/sources/context"
)

# %%
trial.run("docker run --detach --network sources --ip 10.77.0.2 sources:server")
trial.run(
    "docker run --rm --network sources lab/toolbox timeout 30 "
    "sh -c 'until wget -qO /dev/null http://10.77.0.2/notes.txt; do sleep 0.1; done'"
)
lab.serve_git(trial, "notes", at="10.77.0.1")

# %%
built = trial.run(
    "docker build --quiet --tag sources:report --file "
    "assets/06-dockerfile-instructions/sources/Dockerfile "
    "assets/06-dockerfile-instructions/sources/context"
)
landing = dockerfile.read_landing(trial.run("docker run --rm sources:report"))
landing.table()

# %% [markdown]
# `ADD` can also be told the checksum of what it fetches: once with the right one, once with a wrong one.

# %%
right = "da69f286f03c0d2131b3f95afe7c8d31b4f65cbf5ca49a12c41d8bf02d366a34"
checksum = (
    "docker build --quiet --build-arg SUM={} - "
    "<assets/06-dockerfile-instructions/sources/checksum.Dockerfile"
)
accepted = trial.run(["sh", "-c", checksum.format(right)])
rejected = trial.run(["sh", "-c", checksum.format("0" * 64)])
rejected

# %% [markdown]
# **See.** First what `COPY` can get from elsewhere than the build's own files.

# %%
stages = ["copy-from-image", "copy-from-stage"]
elsewhere = [stage for stage in stages if landing.names(stage)]
what = "stages whose COPY got a file that is not the build's own"
trial.expect(
    "df-01",
    confirmed=equals(elsewhere, [], what),
    conditional=equals(elsewhere, stages, what),
    given=equals(landing.names("copy-file"), ["notes.txt"], "what `COPY notes.txt` left"),
)

# %% [markdown]
# Then archives: from the build's own files, from a URL, and a zip.

# %%
unpacked = ["folder/a.txt", "folder/below/b.txt", "folder/link"]
what = "what `ADD folder.tar` left"
trial.expect(
    "df-02-a",
    confirmed=equals(landing.names("add-tar"), unpacked, what),
    refuted=equals(landing.names("add-tar"), ["folder.tar"], what),
)

# %%
from_url = [landing.names("add-url-tar"), landing.names("add-url-unpack")]
what = "what ADD left of a tar archive from a URL, plain and with --unpack=true"
trial.expect(
    "df-02-b",
    confirmed=equals(from_url, [unpacked, unpacked], what),
    conditional=equals(from_url, [["folder.tar.gz"], unpacked], what),
    refuted=equals(from_url, [["folder.tar.gz"], ["folder.tar.gz"]], what),
)

# %%
what = "what `ADD folder.zip` left"
trial.expect(
    "df-02-c",
    confirmed=equals(landing.names("add-zip"), unpacked, what),
    refuted=equals(landing.names("add-zip"), ["folder.zip"], what),
)

# %%
fetched = [landing.names("add-url"), landing.names("add-git")]
checked = [accepted.exit_code, rejected.exit_code]
what = "what ADD left of a file from a URL, and of a git repository"
trial.expect(
    "df-03",
    confirmed=equals(fetched, [["notes.txt"], ["notes.txt"]], what),
    refuted=equals(fetched, [[], []], what),
    given=equals(checked, [0, 1], "exit codes with the right checksum and a wrong one"),
)

# %% [markdown]
# And where does it matter which of the two you write?

# %%
differing = landing.differing()
what = "sources with which COPY and ADD leave something else"
trial.expect(
    "df-04",
    confirmed=equals(differing, ["tar", "targz"], what),
    refuted=equals(differing, [], what),
)

# %% [markdown]
# **Explain.** With plain files both do the same: mode and date are the source's, the owner is root, a link that you
# name is followed, links inside a folder stay links, and of a folder its *content* lands.
#
# `ADD` adds three things. It **unpacks** local tar archives, whatever they are called, with the owners that are
# written in them: a surprise if you wanted the archive, or trusted it. It does not unpack zip. It **fetches** URLs
# (mode 600, not unpacked unless you say `--unpack=true`) and **git** repositories. So write `COPY` and be sure; write
# `ADD` where you mean one of these, with `--checksum`. `COPY` too does more than copy: `--from` takes files from
# other stages and images, with their owners; `--chown` and `--chmod` set owner and mode; `--link` makes a layer that
# does not depend on the ones below. (Dockerfile reference: *ADD*; *COPY*.)

# %% [markdown]
# ## 2. When is a file copied anew?
#
# **Ask.** You build again. What makes `COPY` and `ADD` run again instead of taking the layer from the cache: a new
# date, a new owner, a new mode, new content, something new on the server?

# %%
# !cat assets/06-dockerfile-instructions/sources/cache.Dockerfile

# %% [markdown]
# **Predict.** Six builds: the first, another at once, one after `touch`, one after `chown`, one after `chmod`, and one
# after the file on the server has changed.

# %%
trial.predict("")

# %% [markdown]
# **Do.**

# %%
build = (
    "docker build --progress plain --file "
    "assets/06-dockerfile-instructions/sources/cache.Dockerfile "
    "assets/06-dockerfile-instructions/sources/context"
)
file = "assets/06-dockerfile-instructions/sources/context/notes.txt"
builds = {"nothing yet": dockerfile.read_cached(trial.run(build))}
builds["nothing"] = dockerfile.read_cached(trial.run(build))
trial.run(f"touch {file}")
builds["touch notes.txt"] = dockerfile.read_cached(trial.run(build))

# %% [markdown]
# Only root may give a file away. If you are not root, `chown` says so, and its row in the table below tells nothing.

# %%
given_away = trial.run(f"chown 4242:4242 {file}")
owner = trial.run(f"stat --format %u:%g {file}")
builds["chown 4242:4242 notes.txt"] = dockerfile.read_cached(trial.run(build))
given_away

# %%
trial.run(f"chmod 600 {file}")
builds["chmod 600 notes.txt"] = dockerfile.read_cached(trial.run(build))
server = trial.run("docker ps --quiet --filter ancestor=sources:server").output
trial.run(f"docker exec {server} sh -c 'echo news >/www/notes.txt'")
builds["other content on the server"] = dockerfile.read_cached(trial.run(build))
dockerfile.caching_table(builds)

# %%
cached = [sum(build.values()) for build in builds.values()]
trial.check(equals(cached, [0, 3, 3, 3, 0, 1], "how many of the three steps came from the cache"))

# %%
trial.check(any_of(output_is(owner, "4242:4242"), error_contains(given_away, "not permitted")))

# %% [markdown]
# **Explain.** The builder compares content and mode of the files, not their dates: `touch` changes nothing. Nor does
# `chown`: `docker build` sends the files of a folder as root's, and the builder never learns whose they were. For a
# URL it asks the server, and for a repository which commit its branch is at, at every build. A step that is done anew
# has all steps after it done anew too, so put what changes often last. (Docker manual: *Build cache invalidation*.)

# %% [markdown]
# ## 3. Into the image, not into the container
#
# **Ask.** It is said that `COPY` copies files into the container. Change the file after the build: who sees it?
#
# **Predict.** Two containers of one image; the file changes after the first was started. What does each read? And
# after a new build?

# %%
trial = lab.trial("when-it-is-copied", settles="df-12")
trial.predict("")

# %% [markdown]
# **Do.**

# %%
copying = (
    "docker build --quiet --tag copied --target copy-file --file "
    "assets/06-dockerfile-instructions/sources/Dockerfile "
    "assets/06-dockerfile-instructions/sources/context"
)
trial.run("sh assets/06-dockerfile-instructions/sources/make.sh")
trial.run(copying)
first = trial.run("docker run --detach copied sleep 600").output
trial.run(["sh", "-c", f"echo changed >{file}"])
second = trial.run("docker run --rm copied cat /out/notes.txt")

# %%
trial.run(copying)
old = trial.run(f"docker exec {first} cat /out/notes.txt")
new = trial.run("docker run --rm copied cat /out/notes.txt")
trial.run(f"docker diff {first}")

# %% [markdown]
# **See.**

# %%
read = [second.output, old.output, new.output]
what = "what the second container read, and after a new build the first and a third"
trial.expect(
    "df-12",
    confirmed=equals(read, ["changed", "changed", "changed"], what),
    refuted=equals(read, ["a file", "a file", "changed"], what),
)

# %% [markdown]
# **Explain.** `COPY` and `ADD` write into a layer while the image is built. Every container of that image starts from
# the same layers, and none has a line of its own in `docker diff`. To have a container see changes, mount the folder
# (`--volume`); to ship them, build. (Dockerfile reference: *COPY*.)

# %% [markdown]
# ## 4. Update and install
#
# **Ask.** `apt-get update` in one `RUN`, `apt-get install` in the next: what is wrong with that?
#
# A small package archive of our own serves `hello` and `bye`, at first in version 1.0.

# %%
# !cat assets/06-dockerfile-instructions/stale/Dockerfile

# %% [markdown]
# **Predict.** Both stages are built. Then the archive goes on to version 1.1 and drops 1.0, and you want `bye` too.
# What does each stage install?

# %%
trial = lab.trial("stale-index", settles="df-14")
trial.predict("")

# %% [markdown]
# **Do.**

# %%
trial.run("docker network create --subnet 10.77.0.0/24 archive")
trial.run(
    "docker build --quiet --tag archive --file "
    "assets/06-dockerfile-instructions/stale/archive.Dockerfile "
    "assets/06-dockerfile-instructions/stale"
)
archive = "docker run --detach --network archive --ip 10.77.0.3 --name archive archive"
trial.run(archive)
trial.run(
    "docker run --rm --network archive lab/toolbox timeout 30 "
    "sh -c 'until wget -qO /dev/null http://10.77.0.3/now/Packages; do sleep 0.1; done'"
)

# %%
build = (
    "docker build --network host --progress plain --target {} --tag stale:{} {} "
    "assets/06-dockerfile-instructions/stale"
)
for stage in ["two-runs", "one-run"]:
    trial.run(build.format(stage, stage, ""))

# %%
trial.run("docker exec archive ln -sfn second /www/now")
more = "--build-arg 'WANTED=hello bye'"
two_runs = trial.run(build.format("two-runs", "two-runs", more))
one_run = trial.run(build.format("one-run", "one-run", more))
installed = trial.run("docker run --rm stale:one-run sh -c 'hello; bye'")
two_runs

# %% [markdown]
# **See.**

# %%
stale = contains(two_runs.stderr, "404", "what apt-get said in two-runs")
updated = dockerfile.read_cached(two_runs)["RUN apt-get update"]
fresh = equals(installed.lines, ["hello 1.1", "bye 1.1"], "what one-run has installed")
trial.expect(
    "df-14",
    confirmed=all_of(exit_code_is(two_runs, 1), stale, fresh),
    refuted=exit_code_is(two_runs, 0),
    given=equals(updated, True, "that `apt-get update` of two-runs came from the cache"),
)

# %% [markdown]
# **Explain.** The line `RUN apt-get update` has not changed, so its layer comes from the cache, with the index of the
# day it was made. `install` then asks for files that the archive has dropped, or, worse, gets old ones without a
# word. In one `RUN` a change of the packages renews the index too. (Docker manual, *Building best practices*:
# *apt-get*.)

# %% [markdown]
# ## 5. BuildKit and the classic builder
#
# **Ask.** `DOCKER_BUILDKIT=0` chooses the builder of before. Does it do the same with the same Dockerfile?
#
# **Predict.** A stage that fails and that nobody needs; `RUN --mount`; `ADD --checksum` with a wrong checksum;
# `ADD --unpack=true`.

# %%
trial = lab.trial("classic")
trial.predict("")

# %% [markdown]
# **Do.**

# %%
unneeded = "docker build --quiet assets/06-dockerfile-instructions/classic"
skipped = trial.run(unneeded)
not_skipped = trial.run(f"env DOCKER_BUILDKIT=0 {unneeded}")
mount = (
    "env DOCKER_BUILDKIT=0 docker build --quiet --file "
    "assets/06-dockerfile-instructions/classic/mount.Dockerfile "
    "assets/06-dockerfile-instructions/classic"
)
refused = trial.run(mount)
refused

# %% [markdown]
# It needs the web server of section 1 for the other two.

# %%
trial.run("sh assets/06-dockerfile-instructions/sources/make.sh")
trial.run("docker network create --subnet 10.77.0.0/24 sources")
trial.run(
    "docker build --quiet --tag sources:server --file "
    "assets/06-dockerfile-instructions/sources/server.Dockerfile "
    "assets/06-dockerfile-instructions/sources/context"
)

# %%
trial.run("docker run --detach --network sources --ip 10.77.0.2 sources:server")
trial.run(
    "docker run --rm --network sources lab/toolbox timeout 30 "
    "sh -c 'until wget -qO /dev/null http://10.77.0.2/notes.txt; do sleep 0.1; done'"
)

# %%
wrong = f"DOCKER_BUILDKIT=0 {checksum.format('0' * 64)}"
unchecked = trial.run(["sh", "-c", wrong])
trial.run(
    "env DOCKER_BUILDKIT=0 docker build --quiet --tag classic:unpack --file "
    "assets/06-dockerfile-instructions/classic/unpack.Dockerfile "
    "assets/06-dockerfile-instructions/classic"
)
not_unpacked = trial.run("docker run --rm classic:unpack")
unchecked

# %% [markdown]
# **See.**

# %%
trial.check(all_of(exit_code_is(skipped, 0), exit_code_is(not_skipped, 1)))

# %%
trial.check(contains(refused.stderr, "requires BuildKit", "what it says of --mount"))

# %%
trial.check(all_of(exit_code_is(unchecked, 0), output_is(not_unpacked, "folder.tar.gz")))

# %% [markdown]
# **Explain.** BuildKit builds what the last stage needs, side by side; the classic builder builds every stage, line by
# line. What it does not know it mostly refuses. But look at the last two: it takes `--checksum` and `--unpack`, and
# **ignores** them. A build that relies on a checksum is not protected there, and nothing says so. (Docker manual:
# *BuildKit*; *Legacy builder*, deprecated.)

# %% [markdown]
# ## 6. A RUN that deletes a secret
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
# ## 7. The right ways
#
# **Ask.** Which of the other stages keep the credential out of the image?
#
# **Predict.** Look at the Dockerfile again: `one-run`, `multi-stage`, `mount`, `argument`. One of the four still
# leaks.

# %%
trial.predict("")

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
# ## 8. Two CMD lines
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
# ## 9. Can ENTRYPOINT be overridden?
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
# ## 10. The whole matrix
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
ran = trial.run("sh assets/06-dockerfile-instructions/matrix/run-all.sh", within_seconds=180)
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
# ## 11. What a child image inherits
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
# ## 12. Shell form, exec form, and `docker stop`
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
# grace is 10 seconds; ours is 5, so that nobody waits for long.

# %%
trial.run(
    "docker buildx bake --progress quiet --file "
    "assets/06-dockerfile-instructions/stop/docker-bake.hcl"
)
started = trial.run("sh assets/06-dockerfile-instructions/stop/start-all.sh", within_seconds=180)
stopped = trial.run("sh -c 'docker stop --timeout 5 $(docker ps --quiet --filter name=stop-)'")
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
# stop. (`seed`, in the second cell, chooses which of three you get.)

# %%
# !cat assets/06-dockerfile-instructions/exercise/bad-{seed % 3}.Dockerfile

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
