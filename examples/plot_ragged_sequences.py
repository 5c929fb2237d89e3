"""
=====================================================
Codes of sequences of different lengths, in clusters
=====================================================

How a valve settles after it was opened: curves of pressure, recorded for 25 to 60
steps. They go into the estimator as a list. Each becomes a code of the same size, which
any clustering takes, and comes back with its own length.
"""

# %%
# The curves
# ----------
#
# Four kinds of valves, which differ from one recording to the next. Recording stops at
# some step, whatever the kind.

import matplotlib.pyplot as plt
import numpy as np
from sklearn.cluster import KMeans
from sklearn.decomposition import PCA
from sklearn.metrics import adjusted_rand_score

from skautoencoder import AutoencoderTransformer

random = np.random.RandomState(0)

KINDS = {
    "slow": lambda t, a: a * (1 - np.exp(-t / 18)),
    "overshoots": lambda t, a: a * (1 - np.exp(-t / 8) * np.cos(t / 4)),
    "sticks": lambda t, a: a * (1 - np.exp(-np.maximum(t - 14, 0) / 4)),
    "leaks": lambda t, a: a * np.exp(-t / 40) * (1 - np.exp(-t / 3)),
}


def record(kind):
    steps = np.arange(random.randint(25, 61)) * random.uniform(0.9, 1.1)
    pressure = KINDS[kind](steps, random.uniform(0.8, 1.2))
    return pressure + random.normal(0, 0.03, len(steps))


kinds = random.choice(list(KINDS), 400)
curves = [record(kind) for kind in kinds]
print([len(curve) for curve in curves[:8]])

# %%
# Codes
# -----
#
# The last number of a code is the length, as a share of the longest, so that
# ``inverse_transform`` can give it back. How a valve behaves is in the others, and
# these are clustered.

autoencoder = AutoencoderTransformer(
    code_size=5, architecture="conv1d", max_epochs=40, random_state=0
)
codes = autoencoder.fit_transform(curves)
learnt, lengths = codes[:, :-1], codes[:, -1] * autoencoder.sample_shape_[0]
clusters = KMeans(4, n_init=10, random_state=0).fit_predict(learnt)
print(f"variance explained: {autoencoder.score(curves):.2f}")
agreement = adjusted_rand_score(kinds, clusters)
print(f"clusters and kinds, adjusted Rand index: {agreement:.2f}")

# %%
# On the left the codes, by their two main directions: colours are clusters, markers
# kinds. On the right the lengths of the curves of each cluster: the clusters are of
# what the valves do, not of how long they were recorded.

markers = dict(zip(KINDS, "o^sv", strict=True))
fig, (left, right) = plt.subplots(1, 2, figsize=(9, 4), layout="constrained")
flat = PCA(2).fit_transform(learnt)
for kind, marker in markers.items():
    chosen = kinds == kind
    colors = [f"C{cluster}" for cluster in clusters[chosen]]
    left.scatter(*flat[chosen].T, c=colors, s=16, marker=marker)
    left.scatter([], [], c="0.5", marker=marker, label=kind)
left.legend()
left.set(title="codes", xticks=[], yticks=[])
for cluster in range(4):
    right.hist(
        lengths[clusters == cluster],
        bins=np.arange(24.5, 62, 4),
        histtype="step",
        color=f"C{cluster}",
    )
right.set(title="lengths of each cluster", xlabel="steps", ylabel="curves")
plt.show()

# %%
# Back to curves
# --------------
#
# Decoded, each curve has its length again. Dots are what was recorded, lines what four
# numbers and the length keep of it.

decoded = autoencoder.inverse_transform(codes)
fig, axes = plt.subplots(
    2, 4, figsize=(9, 4), sharex=True, sharey=True, layout="constrained"
)
for cluster, column in enumerate(axes.T):
    of_cluster = np.flatnonzero(clusters == cluster)
    for ax, i in zip(column, of_cluster, strict=False):
        ax.plot(curves[i], ".", color="0.7", markersize=4)
        ax.plot(decoded[i], color=f"C{cluster}")
        ax.set_title(f"{kinds[i]}, {len(decoded[i])} steps", fontsize=9)
fig.supxlabel("step")
fig.supylabel("pressure")
plt.show()
