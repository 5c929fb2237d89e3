"""
=================
A synthetic table
=================

Synthetic data: a second table with the same columns, types and levels as a real one,
and with the relations between them, but with rows of its own. Here it is compared with
the real one: column by column, in pairs of columns, and by a classifier that learns
from it.
"""

# sphinx_gallery_thumbnail_number = 1

# %%
# A table with columns of every kind
# ----------------------------------
#
# Flats to let: strings, categories, booleans, and numbers of several kinds. The year
# in which a house was built has two modes, floor area and rent have long tails, and
# the number of rooms is a small whole number.

import matplotlib.pyplot as plt
import numpy as np
import pandas as pd
from sklearn.compose import make_column_transformer
from sklearn.metrics import roc_auc_score
from sklearn.model_selection import train_test_split
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import OneHotEncoder, StandardScaler
from sklearn.svm import SVC

from skautoencoder import VAESampler
from skautoencoder.displays import DrawnRowsDisplay, OutlierScoresDisplay


def flats_to_let(n_flats, random):
    district = random.choice(["centre", "harbour", "hills"], n_flats, p=[0.5, 0.3, 0.2])
    old = random.uniform(size=n_flats) < np.where(district == "centre", 0.7, 0.2)
    year = np.where(
        old, random.normal(1908, 9, n_flats), random.normal(1985, 14, n_flats)
    )
    area = 62 * np.exp(0.35 * random.normal(size=n_flats) + 0.3 * (district == "hills"))
    rooms = np.clip(np.rint(area / 25 + 0.4 * random.normal(size=n_flats)), 1, None)
    heating = np.where(
        random.uniform(size=n_flats) < np.where(old, 0.75, 0.25), "gas", "district"
    )
    balcony = random.uniform(size=n_flats) < np.where(old, 0.2, 0.8)
    price = 9 + 4 * (district == "centre") + 2 * balcony + 0.02 * (year - 1950) * ~old
    rent = area * price * np.exp(0.08 * random.normal(size=n_flats))
    # Flats that are cheap for what they are go fast.
    haste = (12 - rent / area) + 1.5 * (district == "harbour") + 2 * balcony - 1
    fast = random.uniform(size=n_flats) < 1 / (1 + np.exp(-haste))
    return pd.DataFrame(
        {
            "district": district,
            "area": area.round(1),
            "rooms": rooms.astype(int),
            "year": year.round().astype(int),
            "heating": pd.Categorical(heating),
            "balcony": balcony,
            "rent": rent.round(),
            "let": np.where(fast, "fast", "slowly"),
        }
    )


flats = flats_to_let(3000, np.random.RandomState(0))
real, held_out = train_test_split(flats, train_size=800, random_state=0)
real.head()

# %%
# Drawn rows
# ----------
#
# The sampler is given the frame as it is. The drawn frame has the same columns and
# types.

sampler = VAESampler(random_state=0).fit(real)
synthetic = sampler.sample(len(real), random_state=0)
synthetic.head()

# %%

bool((synthetic.dtypes == real.dtypes).all())

# %%
# No row was copied from the real table:

len(real.merge(synthetic))

# %%
# Each column for itself
# ----------------------
#
# Both modes of the year are reproduced, and the tails of area and rent.

DrawnRowsDisplay.from_predictions(real, synthetic)
plt.show()

# %%
# And together
# ------------
#
# Larger flats cost more, and those in the centre more than others of their size. Flats
# in old houses seldom have a balcony. If each column were drawn on its own, the
# histograms above would be as good, but these relations would be lost: that is the
# table on the right.

random = np.random.RandomState(0)
unrelated = synthetic.apply(lambda column: random.permutation(column))
tables = {"real": real, "drawn": synthetic, "columns drawn one by one": unrelated}

fig, axes = plt.subplots(1, 3, figsize=(11, 4), layout="constrained", sharey=True)
for ax, (title, table) in zip(axes, tables.items(), strict=True):
    for district, part in table.groupby("district"):
        ax.scatter(part["area"], part["rent"], s=6, alpha=0.6, label=district)
    ax.set(title=title, xlabel="area")
axes[0].set_ylabel("rent")
axes[0].legend()
plt.show()

# %%
# The same for all pairs of columns: how strongly they depend on each other in the real
# table and in the drawn one.

DrawnRowsDisplay.from_predictions(real, synthetic, kind="pairs")
plt.show()

# %%
# To a classifier
# ---------------
#
# Whether a flat is let fast depends on rent and area together, on the district and on
# the balcony. Classifiers learn this from either table, and are asked about real flats
# that neither they nor the sampler have seen. Columns that were drawn one by one do not
# depend on each other, so nothing can be learned from them: the area under the ROC
# curve is then that of a guess, or worse.

areas_under_curve = {}
for name, table in tables.items():
    classifier = make_pipeline(
        make_column_transformer(
            (OneHotEncoder(), ["district", "heating"]), remainder=StandardScaler()
        ),
        SVC(random_state=0),
    ).fit(table.drop(columns="let"), table["let"])
    decision = classifier.decision_function(held_out.drop(columns="let"))
    areas_under_curve[name] = roc_auc_score(held_out["let"], decision)
{name: round(float(area), 3) for name, area in areas_under_curve.items()}

# %%
# How likely is a flat?
# ---------------------
#
# The sampler also says how likely a row is. If flats swap their rents, each column
# looks as before; but some rents are now unlikely for their flat.

odd = held_out.head(500).copy()
odd["rent"] = random.permutation(odd["rent"])

flats_and_odd = pd.concat([held_out.head(500), odd])
OutlierScoresDisplay.from_predictions(
    sampler.score_samples(flats_and_odd),
    np.repeat(["new flats", "with others' rents"], 500),
    score_label="log-likelihood, in nats",
)
plt.show()

# %%
# That no row is a copy does not make a table anonymous. Drawn rows may reveal what the
# sampler learned of rare rows; a guarantee of privacy takes other methods.
