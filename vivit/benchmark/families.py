"""Rows of a sweep that can be compared, and with what. No torch is used."""

from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, replace

from vivit.benchmark.measurement import Agreement, Cell, Measurement
from vivit.benchmark.ratios import Ratio
from vivit.benchmark.results import Result, find_ratio_of, memory_share
from vivit.checkpoint import RANDOM_CONFIGS
from vivit.hub import as_path, split_name
from vivit.names import FACTORIZATIONS

Family = tuple[str, str, int | None, int]  # what cells that can be compared have in common


def family(cell: Cell) -> Family:
    """Checkpoint, mode, length and batch size."""
    return cell.checkpoint, cell.mode, cell.num_frames, cell.batch_size


def families(result: Result) -> dict[Family, list[Measurement]]:
    """The measured rows of a sweep by what they have in common, in reading order."""
    found: dict[Family, list[Measurement]] = {}
    for row in result.rows:
        if row.latency:
            found.setdefault(family(row.cell), []).append(row)
    return found


def models_of(result: Result) -> dict[str, str]:
    """The checkpoints of a sweep → their `model_names`."""
    return model_names(row.cell.checkpoint for row in result.rows)


def together(result: Result) -> dict[Family, list[Measurement]]:
    """As `families`, but of several checkpoints together, '' in the place of their names: what one chart or page shows."""
    if len(models_of(result)) < 2:
        return families(result)
    found: dict[Family, list[Measurement]] = {}
    for row in result.rows:
        if row.latency:
            found.setdefault(shared(row.cell), []).append(row)
    return found


def shared(cell: Cell) -> Family:
    """What cells of several checkpoints have in common that are shown together."""
    return "", *family(cell)[1:]


def family_name(of: Family) -> str:
    """In a few words: 'batch size 1', 'batch size 8, training'."""
    _, mode, frames, batch_size = of
    words = [f"batch size {batch_size}"] + [f"{frames} frames"] * (frames is not None)
    return ", ".join(words + [mode] * (mode != "inference"))


def family_names(result: Result) -> dict[Family, str]:
    """Every family that was measured → its name in this result, the checkpoint in it where there are several."""
    found = families(result)
    several = len({checkpoint for checkpoint, *_ in found}) > 1
    return {of: family_name(of) + f", {split_name(of[0])[0]}" * several for of in found}


def model_names(checkpoints: Iterable[str]) -> dict[str, str]:
    """What tells checkpoints from each other in a few words, each once, in their order.

    Returns:
        Checkpoint → '' where it is the only one; 'model 2' where all have random weights; else its name without the commit,
        of a folder the last part, and the whole where these are the same.
    """
    found = list(dict.fromkeys(checkpoints))
    if len(found) < 2:
        return dict.fromkeys(found, "")
    if all(name in RANDOM_CONFIGS for name in found):
        return {name: _explained(name).partition(":")[0] for name in found}
    whole = {name: split_name(name)[0] for name in found}
    short = {name: as_path(said).name if as_path(said).is_absolute() else said for name, said in whole.items()}
    if len(set(short.values())) == len(found):
        return short
    return whole if len(set(whole.values())) == len(found) else {name: name for name in found}


def explain_models(checkpoints: Iterable[str]) -> str:
    """What the numbers in `model_names` mean, in a sentence; '' where there are none."""
    names = model_names(checkpoints)
    if not any(names.values()) or not all(name in RANDOM_CONFIGS for name in names):
        return ""
    said = "; ".join(map(_explained, names))
    return f"{said[:1].upper()}{said[1:]}."


def _explained(random: str) -> str:
    return FACTORIZATIONS[RANDOM_CONFIGS[random].factorization]


def cell_name(cell: Cell) -> str:
    """Among others of its family: 'sdpa in float16'."""
    return f"{cell.attention} in {cell.precision}{cell.manner}"


def with_model(words: str, cell: Cell, models: Mapping[str, str]) -> str:
    """Words on a cell with its model in front, where there are several. Args: models: as `model_names` gives them."""
    return ", ".join(filter(None, (models.get(cell.checkpoint), words)))


def short_name(cell: Cell) -> str:
    """A cell's name where a heading tells the rest."""
    return cell.attention + cell.manner


def full_name(cell: Cell, models: Mapping[str, str]) -> str:
    """`cell_name` with its model in front, where there are several. Args: models: as `model_names` gives them."""
    return with_model(cell_name(cell), cell, models)


def base_of(rows: Sequence[Measurement], wanted: str | None = None) -> Measurement | None:
    """What the others of a family are compared with.

    Args:
        rows: measured, of one family.
        wanted: a `cell_name`; None for eager float32 if its figure is sound, else the first that is.
    """
    sound = [row for row in rows if row.sound]
    if wanted is not None:
        return next((row for row in sound if cell_name(row.cell) == wanted), None)
    plain = [row for row in sound if row.cell.execution == "plain"] or sound
    usual = [row for row in plain if (row.cell.attention, row.cell.precision) == ("eager", "float32")]
    return next(iter(usual or plain), None)


@dataclass(frozen=True)
class Gain:
    """A cell beside the one that it is compared with.

    Args:
        row, base: the two.
        ratio: how many times as fast the row's is; None where too few rounds have warm calls of both.
        memory_share: its peak over the other's; None if either is not known.
        agreement: how near its answers are to eager float32's; None where there are not both.
    """

    row: Measurement
    base: Measurement
    ratio: Ratio | None
    memory_share: float | None
    agreement: Agreement | None = None


def gains(result: Result, wanted: str | None = None) -> list[Gain]:
    """Every sound row beside its family's base. Args: wanted: as `base_of`'s."""
    found = []
    for rows in families(result).values():
        if base := base_of(rows, wanted):
            others = [row for row in rows if row.sound and row is not base]
            found += [gain_of(result, row, base) for row in others]
    return found


def model_gains(result: Result) -> list[Gain]:
    """Every sound row of the other checkpoints beside the first one's that is the same cell otherwise."""
    first = next(iter(models_of(result)), "")
    sound = {row.cell: row for row in result.rows if row.sound}
    pairs = [
        (row, sound.get(replace(cell, checkpoint=first))) for cell, row in sound.items() if cell.checkpoint != first
    ]
    return [gain_of(result, row, base, answers=False) for row, base in pairs if base]


def foremost(result: Result) -> Family | None:
    """Which of `together` is told first: the first; of several models the last that compares most. None where there is none."""
    compared = Counter(shared(gain.row.cell) for gain in model_gains(result) if gain.ratio)
    found = list(together(result))
    if not compared:
        return next(iter(found), None)
    return max(reversed(found), key=lambda of: compared[of])


def gain_of(result: Result, row: Measurement, base: Measurement, *, answers: bool = True) -> Gain:
    """What there is to say of two rows of a result. Args: answers: whether that may be of their answers."""
    agreement = result.agreement(row) if answers else None
    return Gain(row, base, find_ratio_of(row, base), memory_share(row, base), agreement)
