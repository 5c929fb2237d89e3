"""The detector of outliers in long series."""

from __future__ import annotations

import functools
import pickle
from typing import Any

import numpy as np
import pandas as pd
import polars as pl
import pytest
from helpers import noise
from sklearn.base import clone
from sklearn.exceptions import NotFittedError

from skautoencoder import SeriesOutlierDetector
from skautoencoder.architectures import Conv1d, Dense

PERIOD = 20
EVENT = slice(300, 310)


def waves(n_steps: int = 600, n_channels: int = 1, *, seed: int = 0) -> np.ndarray:
    """Return sines with noise, of shape (n_steps, n_channels)."""
    angles = np.arange(n_steps)[:, None] * 2 * np.pi / PERIOD + np.arange(n_channels)
    return np.sin(angles) + 0.1 * noise(n_steps, n_channels, seed=seed)


def with_event(n_channels: int = 1, channel: int = 0) -> np.ndarray:
    """Return waves, one of which stands still for half a period."""
    series = waves(n_channels=n_channels)
    series[EVENT, channel] = 1.5
    return series


def detector(**params: Any) -> SeriesOutlierDetector:
    defaults = {"window": PERIOD, "max_epochs": 5, "random_state": 0}
    return SeriesOutlierDetector(**{**defaults, **params})


@functools.cache
def fitted(**params: Any) -> SeriesOutlierDetector:
    series = waves() if params.get("novelty") else with_event()
    return detector(**params).fit(series[:, 0])


@functools.cache
def fitted_on_two(**params: Any) -> SeriesOutlierDetector:
    series = waves(n_channels=2)
    if not params.get("novelty"):
        series = with_event(n_channels=2, channel=1)
    return detector(**params).fit(series)


EACH_MODE = pytest.mark.parametrize(
    "params",
    [{}, {"causal": True}, {"stride": 7}, {"novelty": True}],
    ids=lambda params: "-".join(params) or "default",
)


class TestScores:
    @EACH_MODE
    def test_event_has_the_lowest_score(self, params: dict[str, Any]) -> None:
        series = with_event()[:, 0]
        scores = fitted(**params).score_samples(series)
        assert scores.shape == series.shape
        assert (scores <= 0).all()
        assert EVENT.start - PERIOD < scores.argmin() < EVENT.stop + PERIOD

    def test_flagged_steps_are_around_the_event(self) -> None:
        labels = fitted().predict(with_event()[:, 0])
        flagged = np.flatnonzero(labels == -1)
        inside = (flagged > EVENT.start - PERIOD) & (flagged < EVENT.stop + PERIOD)
        assert len(flagged) >= EVENT.stop - EVENT.start
        assert inside.mean() > 0.6

    def test_step_has_the_mean_distance_of_its_windows(self) -> None:
        series, found = with_event()[:, 0], fitted()
        of_windows = found.score_samples(series)
        windows = np.lib.stride_tricks.sliding_window_view(series, PERIOD)
        distances = found._references.distances(found.trained_network, windows)
        for step in (0, 5, 100, 305, 599):
            first, last = max(step - PERIOD + 1, 0), min(step, len(distances) - 1)
            expected = -distances[first : last + 1].mean()
            assert of_windows[step] == pytest.approx(expected, rel=1e-6)

    def test_distance_is_that_of_the_formula(self) -> None:
        found = fitted_on_two(novelty=True)
        trained = found.trained_network
        training = np.lib.stride_tricks.sliding_window_view(
            waves(n_channels=2)[:540], PERIOD, axis=0
        )

        def split(windows: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
            """Reconstructions, and what they leave."""
            rows = windows.swapaxes(1, 2).reshape(len(windows), -1)
            shown = trained.scaling.to_network(rows.copy()).double()
            made = (trained.reconstruct(rows.copy()).reshape(rows.shape)) - (
                trained.scaling.offset
            )
            made /= trained.scaling.scale
            return made, shown.numpy() - made

        # Axes along which residuals vary more than the largest variance of noise.
        residual = split(training)[1]
        size = residual.shape[1]
        _, values, axes = np.linalg.svd(residual, full_matrices=False)
        axes = axes[: size // 2]
        variances = values[: size // 2] ** 2 / len(residual)
        rest = residual - residual @ axes.T @ axes
        noise = 2 * np.square(rest).reshape(-1, PERIOD, 2).mean(axis=(0, 1))
        of_axes = np.square(axes).reshape(-1, PERIOD, 2).sum(axis=1) @ noise
        largest = of_axes * (1 + np.sqrt(size / len(residual))) ** 2
        axes = axes[variances > 1.25 * largest]
        assert 0 < len(axes) < size // 2

        def place(windows: np.ndarray) -> np.ndarray:
            made, left = split(windows)
            structure = left @ axes.T
            rest = (left - structure @ axes).reshape(-1, PERIOD, 2)
            return np.hstack([made, structure, 3 * np.linalg.norm(rest, axis=1)])

        windows = np.lib.stride_tricks.sliding_window_view(
            with_event(n_channels=2), PERIOD, axis=0
        )[280:320]
        differences = place(windows)[:, None] - place(training)
        # The training windows have a standard deviation of 1 in each channel.
        expected = np.sqrt(np.square(differences).sum(axis=2) / (2 * PERIOD)).min(
            axis=1
        )
        rows = windows.swapaxes(1, 2).reshape(len(windows), -1)
        distances = found._references.distances(trained, rows.copy())
        np.testing.assert_allclose(distances, expected, rtol=1e-2, atol=1e-3)

    def test_what_the_network_has_not_learnt_is_compared(self) -> None:
        seed = 1
        # Beats of changing length and height, with little noise: a ripple on one of
        # them is in the residual, and below the usual distances of reconstructions.
        rng = np.random.RandomState(seed)
        beats = []
        for n_steps in rng.randint(36, 45, size=60):
            t = np.arange(n_steps) / n_steps
            peaks = np.exp(-(((t - [[0.3], [0.6]]) / [[0.03], [0.08]]) ** 2))
            beats.append(rng.uniform(0.9, 1.1) * (peaks[0] + 0.4 * peaks[1]))
        series = np.concatenate(beats)
        series += 0.01 * rng.normal(size=len(series))
        training = sum(map(len, beats[:40]))
        event = training + sum(map(len, beats[40:50]))
        series[event : event + 40] += 0.1 * np.sin(2.5 * np.arange(40))
        found = detector(window=40, lr=0.01, max_epochs=15, random_state=seed)
        scores = found.fit(series[:training]).score_samples(series)
        assert event - 40 < scores.argmin() < event + 80

    def test_changed_noise_is_found(self) -> None:
        series = waves()[:, 0]
        series[300:340] += 0.4 * noise(40, seed=3)
        scores = detector().fit(series).score_samples(series)
        assert 290 < scores.argmin() < 350

    def test_bursts_hide_little_of_other_channels(self) -> None:
        shares = []
        for seed in range(3):
            random = np.random.default_rng(seed)
            series = waves(1000, 2, seed=seed)
            event = slice(300, 360)
            series[event, 0] = 1.2
            series[:, 1] = 0.003 * random.normal(size=len(series))
            bursts = random.choice(1000, 5, replace=False)
            series[bursts, 1] = random.uniform(0.3, 1.0, size=5)
            scores = detector(window=2 * PERIOD).fit(series).score_samples(series)
            lowest = np.argsort(scores)[:40]
            shares.append((event.start <= lowest) & (lowest < event.stop))
        # In standard deviations, in which bursts are far from all else: 0.43.
        assert np.mean(shares) > 0.75

    def test_scores_do_not_depend_on_the_channels_units(self) -> None:
        series = with_event(n_channels=2)
        scores = detector().fit(series).score_samples(series)
        other = series * [1e-3, 1e4] + [5, -100]
        np.testing.assert_allclose(
            detector().fit(other).score_samples(other), scores, rtol=1e-2
        )

    def test_same_seed_gives_the_same_bits(self) -> None:
        series = with_event()[:, 0]
        again = detector().fit(series).score_samples(series)
        np.testing.assert_array_equal(again, fitted().score_samples(series))

    def test_pickle_and_clone(self) -> None:
        series = with_event()[:, 0]
        copy = pickle.loads(pickle.dumps(fitted()))
        np.testing.assert_array_equal(
            copy.score_samples(series), fitted().score_samples(series)
        )
        assert clone(fitted(stride=7)).stride == 7

    @pytest.mark.parametrize("architecture", ["conv1d", Conv1d((4,), kernel_size=3)])
    def test_other_architectures(self, architecture: Any) -> None:
        series = with_event(n_channels=2)
        found = detector(architecture=architecture, max_epochs=1).fit(series)
        assert found.score_samples(series).shape == (len(series),)
        assert found.sample_shape_ == (PERIOD, 2)


class TestThreshold:
    def test_share_of_steps(self) -> None:
        series = with_event()[:, 0]
        assert (detector(contamination=0.1).fit_predict(series) == -1).sum() == 60

    def test_clean_series_keep_steps_out_for_the_threshold(self) -> None:
        found = detector(novelty=True, contamination=0.5).fit(waves())
        scores = found.score_samples(waves())[-60:]
        assert (scores < found.offset_).sum() == 30
        assert not hasattr(found, "fit_predict")


class TestCausal:
    @pytest.mark.parametrize("seed", range(3))
    def test_causal_scores_forget_an_event_soon(self, seed: int) -> None:
        steps = np.arange(900)
        series = np.sin(2 * np.pi * steps / 50) + 0.1 * noise(900, seed=seed)
        series[500:530] += 1.0
        found = detector(
            causal=True, window=50, architecture=Dense((32,)), random_state=seed
        )
        scores = found.fit(series).score_samples(series)
        # If all steps of a window counted alike, 1 to 8 of the 30 would be right.
        lowest = np.argsort(scores)[:30]
        assert ((lowest >= 500) & (lowest < 530)).sum() >= 18
        assert scores[500:530].mean() < 1.3 * scores[540:580].mean()

    def test_no_step_depends_on_later_ones(self) -> None:
        series, found = with_event()[:, 0], fitted(causal=True)
        whole = found.score_samples(series)
        other = series.copy()
        other[400:] = 9.0
        np.testing.assert_array_equal(found.score_samples(other)[:400], whole[:400])
        np.testing.assert_array_equal(found.score_samples(series[:7]), whole[:7])

    @pytest.mark.parametrize("gap", [False, True])
    def test_pieces_of_a_stream_score_like_the_whole(self, gap: bool) -> None:
        series, found = with_event(), fitted(causal=True)
        if gap:
            series[90:140] = np.nan
        whole = found.score_samples(series)
        pieces, start = [], 0
        for size in (1, 5, 100, 13, 300, 181):
            piece = series[start : start + size]
            before = series[max(start - PERIOD + 1, 0) : start]  # none at first
            pieces.append(found.score_samples(piece, before=before))
            start += size
        np.testing.assert_array_equal(np.concatenate(pieces), whole)

    def test_other_methods_take_what_came_before(self) -> None:
        series, found = with_event(), fitted(causal=True)
        for method in ("predict", "decision_function", "explain"):
            whole = getattr(found, method)(series)
            piece = getattr(found, method)(series[250:], before=series[:250])
            np.testing.assert_array_equal(piece, whole[250:])

    def test_before_has_to_match(self) -> None:
        series, found = with_event(), fitted(causal=True)
        with pytest.raises(ValueError, match="before must have the steps"):
            found.score_samples([series], before=series)
        with pytest.raises(ValueError, match="2 features"):
            found.score_samples(series, before=np.zeros((5, 2)))


class TestExplanations:
    @EACH_MODE
    def test_contributions_add_up_to_scores(self, params: dict[str, Any]) -> None:
        series, found = with_event(n_channels=2, channel=1), fitted_on_two(**params)
        explained = found.explain(series)
        assert explained.shape == series.shape
        np.testing.assert_allclose(
            explained.sum(axis=1), found.score_samples(series), rtol=1e-5
        )

    def test_channel_of_the_event_contributes_most(self) -> None:
        explained = fitted_on_two().explain(with_event(n_channels=2, channel=1))
        assert explained[EVENT, 1].mean() < 3 * explained[EVENT, 0].mean()

    def test_one_channel_is_the_whole_score(self) -> None:
        series, found = with_event()[:, 0], fitted()
        np.testing.assert_allclose(
            found.explain(series), found.score_samples(series), rtol=1e-5
        )


class TestContainers:
    def test_frame_keeps_index_and_columns(self) -> None:
        index = pd.date_range("2026-01-01", periods=600, freq="h")
        frame = pd.DataFrame(with_event(2), index=index, columns=["a", "b"])
        found = detector(max_epochs=1).fit(frame)
        scores, labels = found.score_samples(frame), found.predict(frame)
        explained = found.explain(frame)
        for result in (scores, labels, found.decision_function(frame), explained):
            assert result.index.equals(index)
        assert isinstance(scores, pd.Series)
        assert set(labels) <= {-1, 1}
        assert list(explained.columns) == ["a", "b"]
        assert list(found.feature_names_in_) == ["a", "b"]

    def test_pandas_series(self) -> None:
        index = pd.date_range("2026-01-01", periods=600, freq="h")
        series = pd.Series(with_event()[:, 0], index=index, name="load")
        found = detector().fit(series)
        scores = found.score_samples(series)
        assert scores.index.equals(index)
        assert found.explain(series).name == "load"
        np.testing.assert_array_equal(
            scores, fitted().score_samples(with_event()[:, 0])
        )

    @pytest.mark.parametrize("name", [None, "on", 3])
    def test_switches_that_are_not_always_known(self, name: Any) -> None:
        switch = pd.Series(with_event()[:, 0] > 0, dtype="boolean", name=name)
        switch[5:9] = pd.NA
        as_numbers = switch.to_numpy(dtype=float, na_value=np.nan)
        found = detector(max_epochs=1).fit(as_numbers)
        scores = detector(max_epochs=1).fit(switch).score_samples(switch)
        np.testing.assert_array_equal(scores, found.score_samples(as_numbers))
        assert scores.name == name

    def test_list_of_series_fits_one_model(self) -> None:
        pair = [waves(300, 2), pd.DataFrame(with_event(2))]
        found = detector(max_epochs=2).fit(pair)
        scores = found.score_samples(pair)
        assert [len(some) for some in scores] == [300, 600]
        assert isinstance(scores[1], pd.Series)
        np.testing.assert_array_equal(scores[0], found.score_samples(pair[0]))
        assert [len(x) for x in found.predict(pair)] == [300, 600]
        assert [x.shape for x in found.explain(pair)] == [(300, 2), (600, 2)]
        assert [len(x) for x in found.decision_function(pair)] == [300, 600]

    def test_lists_of_numbers_are_one_series(self) -> None:
        series, found = with_event(), fitted()
        whole = found.score_samples(series)
        np.testing.assert_array_equal(found.score_samples(series.tolist()), whole)
        flat = series[:, 0].tolist()
        np.testing.assert_array_equal(found.score_samples(flat), whole)

    def test_time_index_out_of_order(self) -> None:
        index = pd.date_range("2026-01-01", periods=600, freq="h")[::-1]
        with pytest.raises(ValueError, match="sort_index"):
            fitted().predict(pd.Series(with_event()[:, 0], index=index))
        unknown = index[::-1][:-1].append(pd.DatetimeIndex([pd.NaT]))
        with pytest.raises(ValueError, match=r"NaT.*X\[X\.index\.notna\(\)\]"):
            fitted().predict(pd.Series(with_event()[:, 0], index=unknown))

    @pytest.mark.parametrize(
        "times",
        [
            pd.date_range("2026-01-01", periods=600, freq="h"),
            pd.date_range("2026-01-01", periods=600, freq="h").astype(str),
            pd.period_range("1926-01", periods=600, freq="M"),
        ],
        ids=["dates", "strings", "periods"],
    )
    def test_a_column_of_times_belongs_in_the_index(self, times: pd.Index) -> None:
        frame = pd.DataFrame({"when": times, "value": with_event()[:, 0]})
        with pytest.raises(TypeError, match=r"'when'.*X\.set_index\('when'\)"):
            detector().fit(frame)
        indexed = frame.set_index("when")
        scores = detector(max_epochs=1).fit(indexed).score_samples(indexed)
        assert (scores.index == times).all()
        with pytest.raises(TypeError, match=r"'when'.*leave.*X\.drop\('when'\)"):
            detector().fit(pl.DataFrame({"when": list(times.astype(str)), "value": 1}))
        with pytest.raises(ValueError, match="strings, such as '3 apples'"):
            detector().fit(frame.assign(when="3 apples"))

    def test_collection_in_one_array(self) -> None:
        with pytest.raises(ValueError, match="several series are a list"):
            detector().fit(np.zeros((3, 100, 2)))

    def test_series_of_a_list_that_is_wrong_is_named(self) -> None:
        with pytest.raises(ValueError, match="Series 1 of the list"):
            detector().fit([waves(100, 2), waves(100, 3)])


class TestGaps:
    def test_gap_is_no_outlier(self) -> None:
        series = with_event()[:, 0]
        usual = np.median(fitted().score_samples(series))
        series[100:130] = np.nan
        scores = fitted().score_samples(series)
        assert np.isfinite(scores).all()
        assert scores[90:140].min() > 3 * usual
        assert EVENT.start - PERIOD < scores.argmin() < EVENT.stop + PERIOD

    def test_fit_on_series_with_gaps(self) -> None:
        series = with_event(n_channels=2, channel=1)
        series[noise(600, 2, seed=4) > 1.3] = np.nan
        scores = detector().fit(series).score_samples(series)
        assert EVENT.start - PERIOD < scores.argmin() < EVENT.stop + PERIOD

    def test_one_nan_changes_only_what_is_near(self) -> None:
        series = with_event()[:, 0]
        whole = fitted().score_samples(series)
        series[100] = np.nan
        changed = np.flatnonzero(fitted().score_samples(series) != whole)
        assert changed.min() > 100 - 2 * PERIOD
        assert changed.max() < 100 + 2 * PERIOD

    @EACH_MODE
    def test_nothing_known_is_neutral(self, params: dict[str, Any]) -> None:
        found = fitted(**params)
        scores = found.score_samples(np.full(90, np.nan))
        np.testing.assert_array_equal(scores, np.full(90, scores[0]))
        assert (found.predict(np.full(90, np.nan)) == 1).all()
        assert found.explain(np.full(90, np.nan))[0] == scores[0]


class TestOddSeries:
    @EACH_MODE
    @pytest.mark.parametrize("n_steps", [1, 2, PERIOD - 1, PERIOD])
    def test_short_series_are_scored(
        self, params: dict[str, Any], n_steps: int
    ) -> None:
        found = fitted(**params)
        scores = found.score_samples(waves(n_steps)[:, 0])
        assert scores.shape == (n_steps,)
        assert np.isfinite(scores).all()
        far = found.score_samples(np.full(n_steps, 50.0))
        assert (far < found.offset_).all()

    def test_fit_on_few_steps(self) -> None:
        found = SeriesOutlierDetector(max_epochs=1, random_state=0)
        scores = found.fit([0.0, 1.0, 0.5]).score_samples([0.0, 1.0, 0.5])
        assert found.window_ == 1
        assert np.isfinite(scores).all()

    def test_short_series_of_a_list_does_not_train(self) -> None:
        scores = detector(max_epochs=1).fit([waves(), waves(5)])
        assert len(scores.predict(waves(5))) == 5

    def test_steps_between_windows(self) -> None:
        message = r"stride=6 leaves steps between windows of 5.*at most 5"
        with pytest.raises(ValueError, match=message):
            detector(window=5, stride=6).fit(waves())
        found = detector(window=5, stride=5, max_epochs=1).fit(waves())
        with pytest.raises(ValueError, match=message):
            found.set_params(stride=6).predict(waves())
        assert len(found.set_params(causal=True).fit(waves()).predict(waves(9))) == 9

    def test_window_longer_than_the_series(self) -> None:
        with pytest.raises(ValueError, match="window=20 must be shorter .* has 15"):
            detector().fit(waves(15))

    def test_one_step(self) -> None:
        with pytest.raises(ValueError, match="n_samples=1"):
            detector(window="auto").fit([1.0])

    @pytest.mark.filterwarnings("error")
    def test_constant_series(self) -> None:
        found = detector(max_epochs=1).fit(np.full(200, 7.0))
        np.testing.assert_allclose(found.score_samples(np.full(50, 7.0)), 0, atol=1e-3)
        assert (found.predict(np.full(50, 8.0)) == -1).all()

    def test_constant_channel_is_watched(self) -> None:
        series = waves(n_channels=2)
        series[:, 1] = 3.0
        found = detector().fit(series)
        assert np.isfinite(found.score_samples(series)).all()
        series[EVENT, 1] = 8.0
        assert found.explain(series)[EVENT, 1].max() < found.explain(series)[:200].min()

    def test_channel_without_values(self) -> None:
        series = waves(n_channels=2)
        series[:, 1] = np.nan
        with pytest.raises(ValueError, match="Channel 1 of X has no values"):
            detector().fit(series)

    def test_infinity(self) -> None:
        series = waves()
        series[3] = np.inf
        with pytest.raises(ValueError, match="infinity"):
            fitted().predict(series)

    def test_empty_list(self) -> None:
        with pytest.raises(ValueError, match="at least one series"):
            detector().fit([])

    def test_not_fitted(self) -> None:
        with pytest.raises(NotFittedError):
            detector().predict(waves())

    def test_progress_is_shown_when_wanted(
        self, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
    ) -> None:
        from skautoencoder.sequences import detector as module

        monkeypatch.setattr(module, "_WINDOWS_AT_ONCE", 100)
        found = pickle.loads(pickle.dumps(fitted()))
        found.score_samples(with_event())
        assert "scoring" not in capsys.readouterr().err
        found.set_params(verbose=1).score_samples(with_event())
        assert "scoring" in capsys.readouterr().err


def test_warm_start_goes_on_from_the_weights() -> None:
    found = detector(warm_start=True, max_epochs=1).fit(waves())
    assert found.fit(waves(300)).n_iter_ == 2
    assert found.window_ == PERIOD
    with pytest.raises(ValueError, match=rf"had window={PERIOD}, but now it is 7"):
        found.set_params(window=7).fit(waves(300))
