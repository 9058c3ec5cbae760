from collections.abc import Callable
from typing import NoReturn, Self

class Native:
    def __new__(
        cls,
        rules: tuple[tuple[bytes, int, bool], ...],
        kinds: int,
        common: int,
        refuse: Callable[[bytes, int], NoReturn],
        /,
    ) -> Self: ...
    def read(self, block: bytes, most: int, /) -> tuple[bytes, list[bytes | None]]: ...
