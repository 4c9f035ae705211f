"""The comparison of variants: scores with intervals, differences to a baseline, verdicts, and what is missing for them.

Everything comes from run directories. Points that were made in different ways are never averaged or compared silently:
see `vlrouting.report.rows.PROVENANCE`.
"""

from __future__ import annotations

import statistics as descriptive
from collections import Counter
from collections.abc import Collection, Iterable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path

from vlrouting.config.names import counted, did_you_mean, listed
from vlrouting.experiment.errors import UserError
from vlrouting.report.baseline import Baselines, choose_baselines, named_baselines
from vlrouting.report.example_scores import ExampleScores, read_example_scores
from vlrouting.report.paired import Judged, PairedVariants
from vlrouting.report.rows import Row, collect, metric_keys, require_runs, titled_keys
from vlrouting.report.test_sets import TestSets
from vlrouting.report.variants import PointGroup, grouped, shown
from vlrouting.report.verdict import control_flags, missing_for_a_verdict, summary
from vlrouting.statistics import Difference, Interval


@dataclass(frozen=True)
class Variant:
    """The points that differ in nothing but the seed.

    Attributes:
        experiment: its name.
        name: of the points without the seed, such as `routing=mul`.
        label: the name; with several experiments `experiment: name`; with what tells points apart that may not be
            averaged, such as `routing=mul [precision 32-true]`.
        runs: complete points by seed.
        unfinished: the others.
        intervals: metric key, such as `test/vqa_accuracy` -> mean and 95% interval, where examples have scores.
        values: metric key -> score of each of `runs`.
        baseline: label of the variant that this one is compared with.
        difference: to the baseline in the main metric, over the seeds that both have. Its minimum detectable difference
            is that of the adjusted test.
        adjusted_p: Holm's, over all comparisons that have several seeds; None with one seed.
        verdict: `better`, `worse` or `no difference shown`; None where no verdict can be given.
        on_datasets: of several datasets, main metric's key -> the difference there; p-values are adjusted over all
            variants and datasets.
        tied_with_best: whether no difference to the best variant is shown at 5%; False where that cannot be said.
        tuned: key -> value chosen on the validation split.
        at_edge: those of them that are the first or last value of their grid.
        trainable_parameters, seconds, peak_memory_bytes: means over the runs; None where a run does not say.
        control: `model.visual_input` where that is not `image`.
        flags: what a reader has to know.
    """

    experiment: str
    name: str
    label: str
    runs: tuple[Row, ...]
    unfinished: tuple[Row, ...] = ()
    intervals: dict[str, Interval] = field(default_factory=dict)
    values: dict[str, tuple[float, ...]] = field(default_factory=dict)
    baseline: str | None = None
    difference: Difference | None = None
    adjusted_p: float | None = None
    verdict: str | None = None
    on_datasets: dict[str, Judged] = field(default_factory=dict)
    tied_with_best: bool = False
    tuned: dict[str, object] = field(default_factory=dict)
    at_edge: tuple[str, ...] = ()
    trainable_parameters: float | None = None
    seconds: float | None = None
    peak_memory_bytes: float | None = None
    control: str | None = None
    flags: tuple[str, ...] = ()

    def mean(self, metric: str) -> float | None:
        """Over the seeds; None where a run lacks the metric."""
        if metric in self.intervals:
            return self.intervals[metric].mean
        return descriptive.fmean(self.values[metric]) if metric in self.values else None

    def std(self, metric: str) -> float | None:
        """Sample standard deviation over the seeds; None with one seed."""
        scores = self.values.get(metric, ())
        return descriptive.stdev(scores) if len(scores) > 1 else None


@dataclass(frozen=True)
class Comparison:
    """What a table, a plot and a report show.

    Attributes:
        experiments: names.
        variants: those that have complete points, then those that have none yet.
        baselines: the variants that others are compared with.
        metric: key of the metric that variants are compared by.
        titles: metric key -> title, the main metric first.
        datasets: name -> key of its main metric, where the variants are compared by the mean of these.
        examples, clusters: of the test set that most is said about; 0 where examples have no scores.
        missing: what is missing for a verdict, as noun phrases.
        flags: what a reader has to know, of all variants.
        summary: the verdict in two sentences.
    """

    experiments: tuple[str, ...]
    variants: tuple[Variant, ...]
    baselines: tuple[Variant, ...] = ()
    metric: str = ""
    titles: dict[str, str] = field(default_factory=dict)
    datasets: dict[str, str] = field(default_factory=dict)
    examples: int = 0
    clusters: int = 0
    missing: tuple[str, ...] = ()
    flags: tuple[str, ...] = ()
    summary: str = ""

    @property
    def baseline(self) -> Variant | None:
        """The only baseline; None where there is none, or several."""
        return self.baselines[0] if len(self.baselines) == 1 else None

    @property
    def metric_title(self) -> str:
        """What the main metric is called, with the variant of its evaluation code; of a mean, with what is averaged."""
        title = self.titles.get(self.metric, self.metric)
        if not self.datasets:
            return title
        of_each = "; ".join(self.titles.get(key, key) for key in self.datasets.values())
        return f"{title} of {counted(len(self.datasets), 'dataset')} ({of_each})"

    def short_title(self, metric: str) -> str:
        """`VQA accuracy` for `VQA accuracy (official evaluation code, 2021 variant)`; the whole title where another
        metric would be called the same."""
        short = {key: title.partition(" (")[0].partition(", ")[0] for key, title in self.titles.items()}
        return short[metric] if list(short.values()).count(short[metric]) == 1 else self.titles[metric]

    @property
    def complete(self) -> tuple[Variant, ...]:
        """The variants that have scores."""
        return tuple(variant for variant in self.variants if variant.runs)


def compare_runs(
    folders: Sequence[Path],
    *,
    baseline: str | None = None,
    configured: Mapping[str, str | None] | None = None,
    metric: str | None = None,
    mixed: Collection[str] = (),
) -> Comparison:
    """Compare the variants of experiments.

    Args:
        folders: `runs/<experiment>/` of each experiment.
        baseline: name of a variant. Default: see `choose_baselines`.
        configured: `compare.baseline` of each experiment, which may have no runs yet. Default: as the runs have it.
        metric: key of the metric to compare by. Default: the main metric of most points.
        mixed: fields of `PROVENANCE` in which points may differ that are averaged or compared.

    Raises:
        UserError: there are no runs, or no such variant or metric; the text has a did-you-mean.
    """
    rows, groups = [], []
    for folder in folders:
        of_experiment = collect(folder)
        require_runs(folder, of_experiment)
        rows += of_experiment
        groups += grouped(of_experiment, mixed)
    groups.sort(key=lambda group: not group.runs)
    metric = _metric(rows, metric)
    titles = _titles(rows, metric)
    tests, unscored = _test_sets([row for group in groups for row in group.runs], titles)
    several = len(folders) > 1
    variants = [_described(group, titles, tests, several) for group in groups]
    named = _configured(rows, configured or {}) if baseline is None else {}
    baselines = _baselines(groups, baseline, named)
    paired = PairedVariants(groups, tests, metric, mixed)
    datasets = next((row.datasets for row in rows if row.complete and row.main_metric == metric), {})
    variants = paired.compared(variants, baselines.of)
    variants = paired.on_datasets(variants, baselines.of, list(datasets.values()))
    shared = tests.examples(paired.reference.runs) if paired.reference else None
    found = Comparison(
        experiments=tuple(folder.name for folder in folders),
        variants=tuple(variants),
        baselines=tuple(variants[place] for place in sorted(set(baselines.of.values()))),
        metric=metric,
        titles=titles,
        datasets=datasets,
        examples=len(shared.ids) if shared else 0,
        clusters=len(set(shared.clusters)) if shared else 0,
    )
    flags = [flag for variant in variants for flag in variant.flags]
    places = {variant.label: place for place, variant in enumerate(variants)}
    surviving = control_flags(found, lambda one, other: paired.difference(places[one.label], places[other.label]))
    flags += [*unscored, *surviving, *_not_computed(variants)]
    found = replace(found, missing=missing_for_a_verdict(found, baselines.missing), flags=tuple(dict.fromkeys(flags)))
    return replace(found, summary=summary(found))


def _metric(rows: Sequence[Row], asked: str | None) -> str:
    known = metric_keys(rows)
    if asked is not None:
        if asked not in known:
            raise UserError(
                f"no metric '{asked}'.{did_you_mean(asked, known)} Known: {', '.join(known) or 'none yet'}."
            )
        return asked
    counts = Counter(row.main_metric for row in rows if row.complete)
    return counts.most_common(1)[0][0] if counts else ""


def _titles(rows: Sequence[Row], metric: str) -> dict[str, str]:
    """Of the metrics of a table; the key where points disagree on the title."""
    names: dict[str, set[str]] = {}
    for row in rows:
        for key, title in row.titles.items():
            names.setdefault(key, set()).add(title)
    keys = [key for key in dict.fromkeys([metric, *titled_keys(rows)]) if key]
    return {key: next(iter(names[key])) if len(names.get(key, ())) == 1 else key for key in keys}


def _described(group: PointGroup, titles: Iterable[str], tests: TestSets, several: bool) -> Variant:
    """A variant without what needs the others."""
    runs, first = group.runs, group.runs[0] if group.runs else None
    values = {key: tuple(row.metrics[key] for row in runs) for key in titles if all(key in r.metrics for r in runs)}
    resampled = {key: tests.resampled(runs, key) for key in titles} if runs else {}
    visual_input = first.settings.get("model.visual_input", "image") if first else "image"
    return Variant(
        experiment=group.experiment,
        name=group.name,
        label=(f"{group.experiment}: " if several else "") + group.name + shown(group.differs_in),
        runs=runs,
        unfinished=group.unfinished,
        intervals={key: found.interval() for key, found in resampled.items() if found is not None},
        values=values if runs else {},
        tuned=first.tuned if first else {},
        at_edge=first.at_edge if first else (),
        trainable_parameters=_mean(row.trainable_parameters for row in runs),
        seconds=_mean(row.seconds for row in runs),
        peak_memory_bytes=_mean(row.peak_memory_bytes for row in runs),
        control=None if visual_input == "image" else str(visual_input),
    )


def _mean(values: Iterable[float | None]) -> float | None:
    every = list(values)
    known = [value for value in every if value is not None]
    return descriptive.fmean(known) if known and len(known) == len(every) else None


def _test_sets(runs: Sequence[Row], metrics: Iterable[str]) -> tuple[TestSets, list[str]]:
    """The scores of examples, and a flag where runs have none."""
    found: dict[Path, ExampleScores] = {}
    missing = []
    for row in runs:
        assert row.folder is not None
        try:
            found[row.folder] = read_example_scores(row, metrics)
        except UserError as error:
            missing.append(str(error))
    others = f" The same holds for {counted(len(missing) - 1, 'more point')}." if len(missing) > 1 else ""
    return TestSets(found), [f"there is no interval, because {missing[0]}{others}"] if missing else []


def _not_computed(variants: Sequence[Variant]) -> list[str]:
    """Why complete points lack a metric: points with the same reason share a flag."""
    by_reason: dict[str, list[str]] = {}
    for variant in variants:
        for reason in dict.fromkeys(" ".join(row.reason.split()) for row in variant.runs if row.reason):
            by_reason.setdefault(reason, []).append(variant.label)
    return [f"{listed(labels)}: {reason}" for reason, labels in by_reason.items()]


def _configured(rows: Sequence[Row], given: Mapping[str, str | None]) -> dict[str, str]:
    """The baseline that each experiment names, if it does: in its file, else in the config.yaml of its runs."""
    stored = {row.experiment: row.baseline for row in rows if row.complete}
    return {name: baseline for name, baseline in (stored | dict(given)).items() if baseline is not None}


def _baselines(groups: Sequence[PointGroup], asked: str | None, configured: Mapping[str, str]) -> Baselines:
    if asked is not None:
        return choose_baselines(groups, named_baselines(groups, asked))
    if not configured:
        return choose_baselines(groups)
    named = [place for place, group in enumerate(groups) if configured.get(group.experiment) == group.name]
    found = choose_baselines(groups, named)
    there = {groups[place].experiment for place in named if groups[place].runs}
    absent = [f"complete runs of the baseline '{name}'" for owner, name in configured.items() if owner not in there]
    return replace(found, missing=(*absent, *(() if absent else found.missing)))
