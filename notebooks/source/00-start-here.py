# %% [markdown]
# # Start here: what runs where, and how an experiment works
#
# This course runs on a computer of its own inside yours: the *lab*. It has a real Docker engine and a real Kubernetes
# cluster. You may break anything in it. Ten minutes here show you where everything is, how an experiment goes, and how
# to begin anew.

# %% tags=["parameters"]
engine = "auto"
cluster = "auto"
seed = 0

# %%
from labsupport import open_lab
from labsupport.experiments.checks import equals, output_is
from labsupport.keeping import doctor
from labsupport.lessons import start

lab = open_lab("00-start-here", engine=engine, cluster=cluster, seed=seed)

# %% [markdown]
# The card above says for each part whether it is *live* (it runs now), *recorded* (you see what a run saw on another
# day, with its date and versions) or missing, and why. Where a whole notebook is recorded, its commands answer from
# that recording, and every output says so.

# %% [markdown]
# ## 1. What runs where
#
# **Ask.** The lab has an engine and a cluster with one node. How many processes is that?
#
# **Predict.** Keep your guess, if you like: put words between the quotes.

# %%
trial = lab.trial("whereabouts")
trial.predict("")

# %% [markdown]
# **Do.** Start one container and one pod, and look at all that runs.

# %%
trial.run("docker run --detach --name hello lab/toolbox sleep 600")
trial.run("kubectl run hello --image=lab/toolbox --image-pull-policy=Never -- sleep 600")
trial.run("kubectl wait --for=condition=Ready pod/hello --timeout=60s")

# %% [markdown]
# **See.** This is read from the running system, not a fixed picture.

# %%
seen = lab.whereabouts(trial)
start.drawing(seen)

# %%
start.memory_table(seen)

# %% [markdown]
# **Explain.** A *machine* here is a group of Linux namespaces with a process number 1 of its own: processes, network
# and mounts inside are apart from yours, on the same kernel. The cluster's node is a machine within the machine. When
# process 1 ends, however it ends, the kernel ends all that is in its box. It ends with what started the lab: `./lab
# start`, else this notebook. So nothing can be left behind: not when you close that, not when you kill it.

# %% [markdown]
# ## 2. What works on this computer

# %%
start.doctor_table(doctor())

# %% [markdown]
# `./lab doctor` prints the same. A "no" has its reason, and what would change it.

# %% [markdown]
# ## 3. An experiment
#
# Every experiment of this course has the same five steps. Here is a small one.
#
# **Ask.** A container's shell prints its own process number: `echo $$`. Which number is it?
#
# **Predict.** Write it down before you look. Predicting is half of learning: you notice what surprises you.

# %%
trial = lab.trial("first-process")
trial.predict("")

# %% [markdown]
# **Do.** `trial.run` runs a command as you would type it, and keeps what it printed. You can type the same into a cell
# with `!` in front, or into a terminal of JupyterLab.

# %%
step = trial.run("docker run --rm lab/toolbox sh -c 'echo $$'")
step

# %% [markdown]
# **See.** A check says what was expected and what was seen.

# %%
trial.check(output_is(step, "1"))

# %% [markdown]
# **Explain.** A container has a process namespace of its own, and its first process has number 1 there. The kernel
# counts it a second time: the engine knows that number. `on="machine"` runs a command in the machine itself, where it
# counts.

# %%
trial.run("docker run --detach --name counted lab/toolbox sleep 600")
trial.run(
    "sh -c 'docker inspect --format {{.State.Pid}} counted | xargs -I+ cat /proc/+/comm'",
    on="machine",
)

# %% [markdown]
# Where an experiment settles a sentence that people repeat, it ends with a *verdict*: confirmed, refuted, outdated or
# conditional. All of them are in notebook 09.

# %% [markdown]
# ## 4. Break it, and begin anew
#
# Make a mess: containers, volumes, networks, pods. Then `lab.reset()` takes away everything but the lab's own images.

# %%
trial = lab.trial("reset")
trial.run("docker run --detach --name mess lab/toolbox sleep 600")
trial.run("docker volume create mess")
trial.run("kubectl create deployment mess --image=lab/toolbox")

# %%
lab.reset()

# %%
trial = lab.trial("after-reset")
left = trial.run("docker ps --all --quiet --filter name=mess")
volumes = trial.run("docker volume ls --quiet --filter name=mess")
pods = trial.run("kubectl get deployments --output name")
trial.check(equals([left.output, volumes.output, pods.output], ["", "", ""], "what is left"))

# %% [markdown]
# Is the engine itself broken? Run the cell with `open_lab` again: the lab it opens is a new one. With `./lab start` the
# lab is the server's: `./lab reset` in a terminal takes everything back, and a new start is a new lab. That lab is for
# one notebook at a time: the next that opens it takes it over, and what the one before had made goes.
#
# Where next? Any notebook from 01 on, in any order. Each says at its top what it is about and how long it takes: 25
# minutes to an hour. (09, the ledger, takes less.)
# `lab.progress()` says which predictions and exercises you did so far, in all of them; with your name between the
# parentheses, in quotes, it also writes a file to hand in to a class.

# %% [markdown]
# ## What we settled

# %%
lab.close()

# %% tags=["nbval-check-output"]
lab.settled()
