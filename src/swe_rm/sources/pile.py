"""A pile of attempts: what files and run folders hold, one record at a time, with every file and record accounted."""

from collections import Counter
from collections.abc import Callable, Iterable, Iterator, Sequence
from enum import IntEnum
from pathlib import Path
from typing import IO, NamedTuple

from swe_rm.errors import RecordError
from swe_rm.sources import formats, naming, openhands, openhands_completions, predictions, streams
from swe_rm.sources.patch_files import PatchFiles
from swe_rm.sources.placement import Shelf
from swe_rm.sources.reader import NOTHING, Refusal, Unit
from swe_rm.sources.roster import Place, Roster
from swe_rm.sources.streams import File
from swe_rm.sources.walk import Finds, Source, find, find_among, label_file
from swe_rm.trajectory import Labelled


class Pile:
    """The attempts of some files and folders, and an account of every file and record.

    After `attempts()` has run to its end, each file is in exactly one of `files_read`, `side_files` and
    `files_refused`, and `n_records == n_read + n_refused + n_merged`.
    """

    def __init__(self, finds: Finds, shelf: Shelf) -> None:
        self._finds = finds
        self._shelf = shelf
        self._sources = sorted(finds.sources, key=_rank)
        self._place = _placing(finds.sources)
        self._rewind()

    refusals: list[Refusal]
    """Records and files that could not be used; grows while `attempts()` streams."""
    side_files: list[Path]
    """Reports, results, configurations, logs: read as labels or patches, or knowingly set aside."""
    files_read: list[Path]
    """Files that gave attempts."""
    files_refused: list[Path]
    """Files that gave none: of no known format, or with every record refused."""
    n_records: int
    """Records met so far; a file that is refused as a whole counts as one."""
    n_read: int
    """Records that became attempts."""
    n_merged: int
    """Records that tell again what a trajectory of the same run at the same task told: its prediction, its calls."""

    @property
    def n_refused(self) -> int:
        """Records and files refused."""
        return len(self.refusals)

    @property
    def notes(self) -> list[str]:
        """What a user should know beyond refusals: labels that disagree or could not be placed, patches that differ."""
        differ = f"{self._n_other_patch} predictions hold another patch than the trajectory of the run, which is taken"
        renamed = f"{self._n_renamed} attempts are named by more of their path: another run's folder is called the same"
        return [
            *self._finds.notes,
            *self._shelf.notes,
            *([differ] if self._n_other_patch else []),
            *([renamed] if self._n_renamed else []),
        ]

    @property
    def n_units(self) -> int:
        """Files and attempt folders that `attempts()` goes through: the length of a progress bar."""
        return len(self._sources)

    @property
    def n_units_done(self) -> int:
        """How many of them it has gone through."""
        return self._done

    def attempts(self) -> Iterator[Labelled]:
        """Every attempt once, in the order of the paths, predictions last.

        Memory stays at one record (one file, where that is a document). The second attempt of one (instance, policy,
        attempt) is refused. Calling it again starts anew.
        """
        self._rewind()
        told = _Told(self._sources, self._place, self._finds.side_files)
        for source in self._sources:
            yield from self._read(source, told)
            self._done += 1
        assert self.n_records == self.n_read + self.n_refused + self.n_merged

    def _rewind(self) -> None:
        self.refusals = [refusal for _, refusal in self._finds.refusals]
        self.files_refused = [file.path for file, _ in self._finds.refusals]
        self.side_files = [file.path for file in self._finds.side_files]
        self.files_read = []
        self.n_records = len(self.refusals)
        self.n_read = self.n_merged = self._n_other_patch = self._n_renamed = self._done = 0

    def _read(self, source: Source, told: "_Told") -> Iterator[Labelled]:
        before = self.n_records, self.n_read, self.n_merged
        place = self._place(source)
        for found in source.reader.read(source.unit):
            self.n_records += 1
            if told.again(found, source, place):
                self.n_merged += 1
                self._n_other_patch += told.otherwise(found, source, place)
            elif isinstance(found, Refusal):
                self.refusals.append(found)
            elif (new := told.new(found, source, place)) is None:
                reason = "an attempt of this policy at this task with this name was read before"
                record = " / ".join(found.trajectory.key)
                self.refusals.append(Refusal(file=streams.display(source.unit.path), record=record, reason=reason))
            else:
                self.n_read += 1
                self._n_renamed += new is not found
                if source.reader.NAME in formats.SAMPLES:
                    task = new.trajectory.task.instance_id
                    self._shelf.handed_in(place, task, told.predicted(place, task))
                yield self._shelf.label(told.completed(new, source, place), place)
        self._account(source.unit, before)

    def _account(self, unit: Unit, before: tuple[int, int, int]) -> None:
        n_records, n_read, n_merged = before
        if self.n_records == n_records:
            self.n_records += 1
            self.refusals.append(Refusal(file=streams.display(unit.path), reason="holds no records"))
        paths = [file.path for file in unit.files]
        if self.n_read > n_read:
            self.files_read += paths
        elif self.n_merged > n_merged:
            self.side_files += paths
        else:
            self.files_refused += paths


class _Rank(IntEnum):
    """In which order sources are read: what may tell something again comes after what tells it first."""

    TRAJECTORY = 0
    MORE_OUTPUT = 1
    """OpenHands' `output.critic_attempt_1.jsonl` and the like, from which `output.jsonl` is put together."""
    CALLS = 2
    PREDICTIONS = 3


def _rank(source: Source) -> _Rank:
    if source.reader.NAME == predictions.NAME:
        return _Rank.PREDICTIONS
    if source.reader.NAME == openhands_completions.NAME:
        return _Rank.CALLS
    again = source.reader.NAME == openhands.NAME and naming.unpacked(source.unit.path.name).startswith("output.")
    return _Rank.MORE_OUTPUT if again and naming.stem(source.unit.path) != "output" else _Rank.TRAJECTORY


class _Content(NamedTuple):
    """What was told under a name, and by which run."""

    content_hash: str
    run: Path


def _called(item: Labelled, attempt: str) -> Labelled:
    origin = item.trajectory.origin.model_copy(update={"attempt": attempt})
    return item.model_copy(update={"trajectory": item.trajectory.model_copy(update={"origin": origin})})


class _Told:
    """Which attempts have been told, and the patches that predictions and patch files beside them add to them."""

    def __init__(
        self, sources: Sequence[Source], placing: Callable[[Source], Place], side_files: Iterable[File]
    ) -> None:
        self._told: dict[tuple[str, str, str], _Content] = {}
        self._instances: dict[tuple[Path, str], set[str]] = {}
        self._tellers: dict[tuple[Path, str], set[Path]] = {}
        self._predictions: dict[Path, list[Source]] = {}
        for source in sources:
            if _rank(source) is _Rank.PREDICTIONS:
                self._predictions.setdefault(placing(source).run, []).append(source)
        self._patches: dict[Path, dict[str, str]] = {}
        sessions = [placing(source) for source in sources if source.reader.NAME in formats.SESSIONS]
        self._patch_files = PatchFiles(side_files, [place.path for place in sessions])
        self._n_sessions = Counter((place.run, naming.task_in(place.path)) for place in sessions)

    def again(self, found: Labelled | Refusal, source: Source, place: Place) -> bool:
        """Whether a record only tells again, or in part, what another source of the run has told."""
        rank = _rank(source)
        if isinstance(found, Refusal):
            told = rank is _Rank.PREDICTIONS and found.reason == NOTHING
            return told and (place.run, found.instance_id) in self._instances
        if rank is _Rank.MORE_OUTPUT:
            return found.trajectory.key in self._told
        task = place.run, found.trajectory.task.instance_id
        by_itself = rank is _Rank.CALLS and self._tellers.get(task) == {source.unit.path}
        return rank > _Rank.MORE_OUTPUT and task in self._instances and not by_itself

    def new(self, item: Labelled, source: Source, place: Place) -> Labelled | None:
        """The attempt, under a name of its own: with more of its path where another run's folder is called the same.

        None where it was told before: by the same run or rows under its name, or with the same content.
        """
        named = self._named(item, place)
        if named is None:
            return None
        self._told[named.trajectory.key] = _Content(named.trajectory.content_hash, place.run)
        if (item.trajectory.messages or source.reader.NAME in formats.SAMPLES) and not place.rows:
            told = self._instances.setdefault((place.run, item.trajectory.task.instance_id), set())
            told.add(item.trajectory.patch.strip())
            self._tellers.setdefault((place.run, item.trajectory.task.instance_id), set()).add(source.unit.path)
        return named

    def _named(self, item: Labelled, place: Place) -> Labelled | None:
        for folder in (None, *place.run.parents):
            if folder is not None:
                item = _called(item, f"{folder.name}/{item.trajectory.origin.attempt}")
            told = self._told.get(item.trajectory.key)
            if told is None:
                return item
            if place.rows or told.run == place.run or told.content_hash == item.trajectory.content_hash:
                return None
        return None

    def otherwise(self, found: Labelled | Refusal, source: Source, place: Place) -> bool:
        """Whether a prediction told again holds another patch than every trajectory of the run at its task."""
        if isinstance(found, Refusal) or _rank(source) is not _Rank.PREDICTIONS:
            return False
        told = self._instances[place.run, found.trajectory.task.instance_id]
        return "" not in told and found.trajectory.patch.strip() not in told

    def completed(self, item: Labelled, source: Source, place: Place) -> Labelled:
        """The attempt with the patch its prediction has, where its own file has none.

        A session has none of its own making: a patch file beside it and its prediction come before what it records. A
        prediction is nobody's where several sessions of the run are at the task, or it is that of another sample.
        """
        if source.reader.NAME in formats.SAMPLES:
            return item
        is_session = source.reader.NAME in formats.SESSIONS
        if (item.trajectory.patch and not is_session) or place.rows or _rank(source) is _Rank.PREDICTIONS:
            return item
        task = item.trajectory.task.instance_id
        patch = self._patch_files.of(place.path, task) if is_session else ""
        if not patch and (not is_session or self._n_sessions[place.run, naming.task_in(place.path)] == 1):
            patch = self._patches_of(place.run).get(task, "")
        if not patch.strip():
            return item
        finished = not naming.cut_off(item.trajectory.exit_status)
        completed = item.trajectory.model_copy(update={"patch": patch, "finished": finished})
        return item.model_copy(update={"trajectory": completed})

    def predicted(self, place: Place, instance_id: str) -> str | None:
        """The patch that the run handed in for a task; None where no predictions of the run are there."""
        return self._patches_of(place.run).get(instance_id)

    def _patches_of(self, run: Path) -> dict[str, str]:
        if run not in self._patches:
            found = (item for source in self._predictions.get(run, ()) for item in source.reader.read(source.unit))
            self._patches[run] = {
                item.trajectory.task.instance_id: item.trajectory.patch for item in found if isinstance(item, Labelled)
            }
        return self._patches[run]


def _placing(sources: Iterable[Source]) -> Callable[[Source], Place]:
    """Where each of a pile's sources lies."""
    runs = naming.named_like_tasks(source.unit.path for source in sources)

    def place(source: Source) -> Place:
        path, name = source.unit.path.absolute(), source.reader.NAME
        return Place(path, naming.run_folder(path, runs=runs), name in formats.ROWS, name == predictions.NAME)

    return place


def _roster(sources: Iterable[Source]) -> Roster:
    """The runs of the pile; the policies in them are read when it is asked for them."""
    placing = _placing(sources)
    placed = [(placing(source), source) for source in sources]

    def policies(predicted: bool) -> Iterator[tuple[Place, str]]:
        for place, source in placed:
            if place.predicted == predicted:
                for found in source.reader.read(source.unit):
                    if isinstance(found, Labelled):
                        yield place, found.trajectory.origin.policy

    return Roster([place for place, _ in placed], policies)


def open_pile(paths: Sequence[str | Path], labels: Sequence[str | Path] = ()) -> Pile:
    """The pile of attempts in files and folders of any known format, `.gz` and `.zst` too.

    Outcomes are taken from the rows, from reports and results beside the runs, and from the files in `labels`, which
    come first. A path that does not exist and an empty folder are refused as a damaged file is. Raises RecordError (one
    line) when a label file cannot be read, or no file is of a format that is read.
    """
    given_paths = [Path(path) for path in paths]
    return _pile(find(given_paths), [File(Path(path)) for path in labels], given_paths)


def open_received(files: Iterable[tuple[str, bytes | IO[bytes]]]) -> Pile:
    """The pile of attempts in files that came over a wire: (name, content), the name with its folders where it has any.

    A run folder sent file by file is read as one on disk is, labels beside the runs included. Raises RecordError as
    `open_pile` does.
    """
    given = [streams.received(name, content) for name, content in files]
    if not given:
        raise RecordError("what was received", "", "holds no files")
    return _pile(find_among(given), (), [file.path for file in given])


def _pile(finds: Finds, labels: Sequence[File], paths: Sequence[Path]) -> Pile:
    given = [label_file(file) for file in labels]
    named = {placed.path for placed in given}
    beside = [placed for placed in finds.labels if placed.path not in named]
    pile = Pile(finds, Shelf(beside, given, _roster(finds.sources), finds.side_files))
    if not finds.sources:
        shown = ", ".join(map(streams.display, paths))
        if [refusal.file for refusal in pile.refusals] == [shown]:
            raise RecordError(shown, pile.refusals[0].record, pile.refusals[0].reason)
        raise RecordError(shown, "", _nothing(pile))
    return pile


def _nothing(pile: Pile) -> str:
    """Why no attempt can be read, in one line: the first refusal stands for all."""
    list(pile.attempts())
    if not pile.refusals:
        return f"no attempts among {len(pile.side_files)} reports, logs and other side files"
    more = f" (and {pile.n_refused - 1} more refused)" if pile.n_refused > 1 else ""
    return f"nothing to read: {pile.refusals[0]}{more}"
