"""A row of the registry: everything there is to know about an algorithm but its code."""

from __future__ import annotations

import inspect
import sys
from collections.abc import Callable, Iterator, Mapping
from dataclasses import MISSING, Field, dataclass, field, fields, replace
from importlib.resources import files
from itertools import pairwise
from typing import (
    Annotated,
    Any,
    Literal,
    TypeVar,
    dataclass_transform,
    get_args,
    get_origin,
    get_type_hints,
)

from lb.errors import UsageError, nearest, written
from lb.strategies.base import Random, Strategy
from lb.units import seconds

Seconds = Annotated[float, "seconds"]
"""A parameter that people write as a duration: "10s"."""

CLAIMS = frozenset({"shares", "exact_shares", "two_choices", "failure_penalty"})
"""What a row may promise: shares by weight of an idle service, exact in every period; that it takes
the best of those drawn evenly, two unless its parameter `choices` says otherwise; that failing fast
attracts no traffic. See `lb.laws`."""


P = TypeVar("P")


@dataclass_transform(frozen_default=True)
def settings(params: type[P]) -> type[P]:
    """A frozen dataclass: the parameters of an algorithm.

    In modules that are compiled it keeps of an annotation what is text, hence the quotes where one
    says more than the type.
    """
    return dataclass(frozen=True)(params)


@dataclass(frozen=True)
class Spec:
    """What the registry holds for one algorithm. Its story is the docstring of its module."""

    name: str
    factory: Callable[..., Strategy[Any]]
    """Makes an empty strategy of parameters and a Random; of an Inner too, if the row nests."""
    params: type[Any]
    """A frozen dataclass; the text under each field is its reference manual."""
    cost: str
    """Of one pick, n backends."""
    avoid_when: str
    needs: frozenset[str] = frozenset()
    """Any of key, weights, latency, probes, reports, sets_cookie."""
    claims: frozenset[str] = frozenset()
    """Laws it is held to beside those for all: any of CLAIMS."""
    variants: tuple[Mapping[str, object], ...] = field(default=(), hash=False)
    """Settings that the laws hold it at beside its defaults: one for every branch of its code."""
    weighs: bool = True
    """Whether it minds weights, and so slow start; an algorithm that nests is as its inner one."""
    static: bool = False
    """Whether it picks by members, weights and keys alone, unless it wants to hear of attempts."""
    partial: str = ""
    """What suffers where several balancers each see their own requests only; empty: nothing does
    that is worth telling."""
    nests: bool = False
    """Whether it holds another algorithm, and its factory takes an Inner to make that with."""
    preset: Mapping[str, object] = field(default_factory=dict, hash=False)
    """Settings in place of the defaults; see `at`."""

    def at(self, settings: Mapping[str, object]) -> Spec:
        """The same row with `settings` for its defaults and no variants."""
        return replace(self, preset={**self.preset, **settings}, variants=())

    @property
    def cases(self) -> tuple[Spec, ...]:
        """The rows that laws are held at: its own settings, and those of its variants."""
        return (self.at({}), *(self.at(settings) for settings in self.variants))

    @property
    def title(self) -> str:
        """Its name, and the settings it was put to: `p2c:choices=3`."""
        settings = ",".join(f"{name}={value}" for name, value in self.preset.items())
        return f"{self.name}:{settings}" if settings else self.name

    @property
    def story(self) -> str:
        """Idea, cost, limits and source, as its file tells them."""
        return inspect.cleandoc(_docstring(self.factory.__module__))

    @property
    def summary(self) -> str:
        """The idea in one sentence, without the name in front."""
        first = self.story.split("\n\n")[0].split(". ")[0].replace("\n", " ")
        return first.partition(": ")[2].rstrip(".") or first

    def configure(self, settings: Mapping[str, object]) -> object:
        """The parameters object for `settings`, given as in a file or as text.

        Raises UsageError, which names the nearest known parameter or what its value may be.
        """
        hints = get_type_hints(self.params, include_extras=True)
        known = [parameter.name for parameter in fields(self.params)]
        given = {}
        for name, value in {**self.preset, **settings}.items():
            if name not in known:
                hint = nearest(name, known) if known else "it has none"
                raise UsageError(f"{self.name} has no parameter {name!r}: {hint}")
            try:
                given[name] = _converted(value, hints[name])
            except ValueError as error:
                raise UsageError(f"{self.name}: {name}: {error}") from None
        try:
            return self.params(**given)
        except (TypeError, ValueError) as error:
            raise UsageError(f"{self.name}: {error}") from None

    def manual(self) -> Iterator[tuple[str, str, str]]:
        """Each parameter: name, default, and the text under it."""
        texts = texts_under_fields(self.params)
        for parameter in fields(self.params):
            yield parameter.name, _default(parameter), texts.get(parameter.name, "")


Inner = Callable[[str, Random], tuple[Spec, Strategy[Any]]]
"""Makes the algorithm that a text such as "p2c:choices=3" names: its row and itself. UsageError."""


def _converted(value: object, hint: Any) -> object:
    """`value` as the type `hint`; text is read as a command line gives it. Raises ValueError."""
    if get_origin(hint) is Literal:
        choices = [str(choice) for choice in get_args(hint)]
        if value not in choices:
            raise ValueError(f"{written(value)} is unknown; {nearest(str(value), choices)}")
        return value
    if hint == Seconds:
        return seconds(value)
    if hint is bool:
        answer = {"true": True, "false": False}.get(str(value).lower())
        if answer is None:
            raise ValueError(f"true or false, not {written(value)}")
        return answer
    if hint in (int, float):
        kind = "a whole number" if hint is int else "a number"
        try:
            if isinstance(value, bool) or (hint is int and isinstance(value, float)):
                raise ValueError
            number = hint(value)
        except (TypeError, ValueError):
            raise ValueError(f"{kind}, not {written(value)}") from None
        return number
    if hint is str and not isinstance(value, str):
        raise ValueError(f"a text, not {written(value)}")
    return value


def _default(parameter: Field[Any]) -> str:
    return "" if parameter.default is MISSING else str(parameter.default)


def texts_under_fields(params: type[Any]) -> dict[str, str]:
    """The string that stands under each field in the source of a class: its reference manual."""
    import ast

    nodes = ast.walk(ast.parse(_source(params.__module__)))
    body = next(
        it.body for it in nodes if isinstance(it, ast.ClassDef) and it.name == params.__name__
    )
    texts = {}
    for above, below in pairwise(body):
        match above, below:
            case (
                ast.AnnAssign(target=ast.Name(id=name)),
                ast.Expr(value=ast.Constant(value=str(text))),
            ):
                texts[name] = inspect.cleandoc(text)
    return texts


def _docstring(module: str) -> str:
    """Of a module; one that was compiled has it in its source alone."""
    import ast

    if module not in sys.modules:
        return ""
    return sys.modules[module].__doc__ or ast.get_docstring(ast.parse(_source(module))) or ""


def _source(module: str) -> str:
    """The text of a module, also of one that was compiled."""
    try:
        return inspect.getsource(sys.modules[module])
    except OSError:
        package, _, name = module.rpartition(".")
        return files(package).joinpath(f"{name}.py").read_text()
