# %% [markdown]
# # The ledger: what is said of Docker and Kubernetes, and what an experiment said
#
# Each sentence of this course that could be false is a row of one list. A row has a verdict only after an experiment
# gave one, on a real engine or cluster. This notebook is made from that list and from the recorded evidence. Nothing
# in its tables was typed here, and it needs neither engine nor cluster.

# %% tags=["parameters"]
engine = "auto"
cluster = "auto"
seed = 0

# %%
from labsupport import open_lab
from labsupport.experiments.checks import equals
from labsupport.lessons import ledger

lab = open_lab("09-claims", engine=engine, cluster=cluster, seed=seed)

# %% [markdown]
# ## 1. All of it at a glance
#
# **Ask.** How much of what is widely said of these topics is simply true?
#
# **Predict.** Of ten such sentences, how many does an experiment confirm?

# %%
trial = lab.trial("ledger")
trial.predict("")

# %% [markdown]
# **Do.** Read the ledger, and the evidence that its rows name.

# %%
book = ledger.read_book()
ledger.verdicts_figure(book)

# %% [markdown]
# **Explain.** The words mean:
#
# - *confirmed*: the experiment showed what the sentence says.
# - *refuted*: it showed something else.
# - *outdated*: it holds for an older release, which the experiment ran, and no longer for the one of today.
# - *conditional*: it holds under a condition that the sentence leaves out.
#
# A row without a verdict says why: it needs a kernel or a product that was not to be had, or no experiment on one
# computer could settle it, such as what most people use.

# %% [markdown]
# ## 2. Does the ledger say what the evidence says?
#
# **Ask.** A maintainer types a verdict after reading the evidence. Could the two differ?
#
# **Predict.** How many rows, would you say?

# %%
trial.predict("")

# %% [markdown]
# **See.** The check compares each verdict of the list with the one in the recorded evidence of the experiment that the
# row names.

# %%
trial.check(
    equals(book.disagreeing(), [], "claims whose evidence does not say what the ledger says")
)

# %% [markdown]
# **Explain.** Evidence has a digest over all it holds: a file that was edited by hand is refused when it is read. And
# every run in CI executes the experiments again: a verdict that differs from the ledger is an error there.

# %% [markdown]
# ## 3. Where we were wrong ourselves
#
# **Ask.** Before an experiment ran, its author wrote down what they expected. Where did it come out otherwise?

# %%
book.surprises().reading_table()

# %% [markdown]
# **Explain.** Reading documentation closely does not replace running the thing. Each of these rows was believed by
# somebody who works with these systems.

# %% [markdown]
# ## 4. Look for a sentence
#
# Choose a topic and a verdict; how many claims will it be? Each row links to the notebook with its experiment. The
# same without the widget: `book.where("storage-drivers", "outdated").table()`.

# %%
lab.explore(ledger.claims_explorer(book))

# %% [markdown]
# And here is the whole list.

# %%
book.table()

# %% [markdown]
# ## What we settled

# %%
lab.close()

# %% tags=["nbval-check-output"]
lab.settled()
