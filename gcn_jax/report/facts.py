"""Facts about a run besides its scores: parameters, time, machine, versions, settings."""

from collections.abc import Mapping, Sequence
from datetime import datetime
from typing import Any, NamedTuple

from gcn_jax.inference import Predictor
from gcn_jax.sessions import Session

_UNITS = (("d", 86_400), ("h", 3_600), ("min", 60), ("s", 1))


class Change(NamedTuple):
    """A setting that is not the default.

    Attributes:
        name: Its dotted name.
        value: What it is.
        default: What it would be.
    """

    name: str
    value: str
    default: str


def model_facts(predictor: Predictor) -> dict[str, str]:
    """Return the name, the fields and the parameters of a model."""
    info = predictor.info
    fields = ", ".join(f"{name}={value}" for name, value in info.fields.items())
    return {"model": f"{info.name} ({fields})", "parameters": f"{predictor.num_parameters:,}"}


def session_facts(sessions: Sequence[Session]) -> dict[str, str]:
    """Return when something ran, how long, on what and with which versions.

    Args:
        sessions: Its starts, none where nothing was recorded; machine and versions are the last's.
    """
    if not sessions:
        return {}
    last = sessions[-1]
    known = [session.seconds for session in sessions if session.seconds is not None]
    texts = [duration(sum(known))] if known else []
    if len(sessions) > 1:
        texts.append(f"{len(sessions)} starts")
    if killed := len(sessions) - len(known):
        texts.append(f"{killed} without a recorded end")
    return {
        "date": _span(sessions[0].started, last.ended),
        "duration": ", ".join(texts),
        "hardware": hardware(last),
        "versions": ", ".join(f"{name} {value}" for name, value in last.versions.items()),
    }


def session_rows(sessions: Sequence[Session]) -> list[dict[str, str]]:
    """Return one line for each start of a run."""
    return [
        {
            "started": moment(session.started),
            "from step": f"{session.first_step:,}",
            "took": "?" if session.seconds is None else duration(session.seconds),
            "on": hardware(session),
            "jax": str(session.versions.get("jax", "?")),
        }
        for session in sessions
    ]


def hardware(session: Session) -> str:
    """Return the machine of a session in words."""
    cores = f"{session.num_cores} core{'s' * (session.num_cores != 1)}"
    return f"{session.devices}; {session.cpu}, {cores}, {session.memory // 2**30} GiB"


def moment(text: str) -> str:
    """Return a time of ISO 8601 for people, such as "2026-11-27 16:42 UTC+01:00"."""
    return datetime.fromisoformat(text).strftime("%Y-%m-%d %H:%M %Z").strip()


def _span(started: str, ended: str | None) -> str:
    """Return a time from and to, whose day and zone are said once where they are the same."""
    first, last = moment(started), "?" if ended is None else moment(ended)
    first_day, first_time, zone = first.split(" ", 2)
    if last.startswith(f"{first_day} ") and last.endswith(f" {zone}"):
        return f"{first_day} {first_time} to {last.removeprefix(first_day).strip()}"
    return f"{first} to {last}"


def duration(seconds: float) -> str:
    """Return a time in its two largest units, such as "2 h 5 min"."""
    left = round(seconds)
    parts: list[str] = []
    for unit, size in _UNITS:
        count, left = divmod(left, size)
        if count or parts:
            parts.append(f"{count} {unit}")
    return " ".join(parts[:2]) or "0 s"


def changes(settings: Mapping[str, Any], defaults: Mapping[str, Any]) -> list[Change]:
    """Return the settings that are not the defaults.

    Args:
        settings: By dotted name, as JSON has them; the default is meant where one is missing.
        defaults: The same of the defaults; a setting that is none of them has no default.
    """
    return [
        Change(name, plain(value), plain(defaults[name]) if name in defaults else "–")
        for name, value in settings.items()
        if name not in defaults or value != defaults[name]
    ]


def plain(value: Any) -> str:
    """Return a setting as text: "a=1, b=2", "0.5, 1", "0.01"."""
    if isinstance(value, Mapping):
        return ", ".join(f"{name}={plain(one)}" for name, one in value.items())
    if isinstance(value, list | tuple):
        return ", ".join(map(plain, value)) if value else "none"
    return f"{value:.4g}" if isinstance(value, float) else str(value)
