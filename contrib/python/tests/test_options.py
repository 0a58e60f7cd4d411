import asyncio
import inspect
import re
from typing import Any, Callable, Dict, Sequence

import supervise_api
from supervise_api import AsyncSupervisor, Supervisor
from supervise_api.options import RunOptions, SpawnOptions

from .serve_case import ServeCase

#: The public functions that take options, and which.
FUNCTIONS: Dict[Callable[..., Any], Any] = {
    Supervisor.spawn: SpawnOptions,
    AsyncSupervisor.spawn: SpawnOptions,
    Supervisor.run: RunOptions,
    AsyncSupervisor.run: RunOptions,
    supervise_api.run: RunOptions,
}


class TestOptions(ServeCase):
    def test_signature_has_all(self) -> None:
        for function, options in FUNCTIONS.items():
            parameters = inspect.signature(function).parameters
            for name in options.__annotations__:
                with self.subTest(function=function, option=name):
                    self.assertIs(parameters[name].kind, inspect.Parameter.KEYWORD_ONLY)
            self.assertNotIn(inspect.Parameter.VAR_KEYWORD, [one.kind for one in parameters.values()])

    def test_docstring_explains_all(self) -> None:
        spawn, run = inspect.getdoc(Supervisor.spawn) or "", inspect.getdoc(supervise_api.run) or ""
        for options, text in ((SpawnOptions, spawn), (RunOptions, run + "\n" + spawn)):
            explained = set(re.findall(r"\w+", " ".join(re.findall(r"(?m)^((?:\w+, )*\w+): ", text))))
            self.assertEqual(set(options.__annotations__) - explained, set())

    def test_docstring_tells_where(self) -> None:
        for function in FUNCTIONS:
            self.assertRegex(inspect.getdoc(function) or "", r"argv: |Supervisor\.spawn|supervise_api\.run")

    def test_unknown(self) -> None:
        supervisor = self.start()
        unknown: Any = {"enw": {}}
        functions: Sequence[Any] = (supervisor.spawn, supervisor.run, supervise_api.run)
        for call in functions:
            with self.subTest(call=call), self.assertRaisesRegex(TypeError, "unexpected keyword argument 'enw'"):
                call(["true"], **unknown)
        self.assertEqual(supervisor.list(), [])

    def test_of_the_other(self) -> None:
        """An option of run is none of spawn, and the other way round."""
        supervisor = self.start()
        calls: Sequence[Any] = ((supervisor.spawn, "check"), (supervisor.run, "notify"), (supervisor.run, "supervisor"))
        for call, name in calls:
            with self.subTest(call=call), self.assertRaisesRegex(TypeError, "unexpected keyword argument {!r}".format(name)):
                call(["true"], **{name: None})

    def test_positional(self) -> None:
        call: Any = self.start().spawn
        self.assertRaises(TypeError, call)
        self.assertRaises(TypeError, call, ["true"], {})

    def test_unknown_async(self) -> None:
        unknown: Any = {"enw": {}}

        async def calls() -> None:
            async with AsyncSupervisor() as supervisor:
                functions: Sequence[Any] = (supervisor.spawn, supervisor.run)
                for call in functions:
                    with self.assertRaisesRegex(TypeError, "unexpected keyword argument 'enw'"):
                        await call(["true"], **unknown)

        asyncio.run(calls())
