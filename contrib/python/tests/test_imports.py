import ast
import os
import re
import subprocess
import sys
import unittest
from typing import Dict, Iterator, List, Set

import supervise_api

PACKAGE = os.path.dirname(supervise_api.__file__)
MODULES = sorted(name[:-3] for name in os.listdir(PACKAGE) if name.endswith(".py") and name != "__init__.py")

# Imports each module without what the package's __init__ and other modules import first, and prints those that fail.
ALONE = """if True:
    import importlib, os, sys, types
    package = types.ModuleType("supervise_api")
    package.__path__ = [sys.argv[1]]
    sys.modules["supervise_api"] = package
    for module in sys.argv[2:]:
        child = os.fork()
        if child == 0:
            importlib.import_module("supervise_api." + module)
            os._exit(0)
        if os.waitpid(child, 0)[1] != 0:
            print(module)
"""


def imported(module: str) -> Set[str]:
    """Return the modules of the package that a module imports anywhere: in functions and for the type checker too."""
    with open(os.path.join(PACKAGE, module + ".py")) as file:
        tree = ast.parse(file.read())
    found = set()
    for node in ast.walk(tree):
        if isinstance(node, ast.ImportFrom) and node.level:
            found.update([node.module] if node.module else [alias.name for alias in node.names])
        elif isinstance(node, ast.ImportFrom) and (node.module or "").split(".")[0] == "supervise_api":
            found.add("the package")
        elif isinstance(node, ast.Import) and any(alias.name.split(".")[0] == "supervise_api" for alias in node.names):
            found.add("the package")
    return found


def circles(graph: Dict[str, Set[str]]) -> Iterator[List[str]]:
    """Find the ways that lead back to where they began."""

    def follow(way: List[str]) -> Iterator[List[str]]:
        for following in sorted(graph.get(way[-1], ())):
            if following in way:
                yield way[way.index(following) :] + [following]
            elif following not in done:
                yield from follow(way + [following])
        done.add(way[-1])

    done: Set[str] = set()
    for module in graph:
        yield from follow([module])


class TestImports(unittest.TestCase):
    def test_alone(self) -> None:
        child = subprocess.run([sys.executable, "-c", ALONE, PACKAGE, *MODULES], check=True, stdout=subprocess.PIPE)
        self.assertEqual(child.stdout, b"")

    def test_one_that_fails_is_found(self) -> None:
        command = [sys.executable, "-c", ALONE, PACKAGE, "record", "no_such_module"]
        child = subprocess.run(command, stdout=subprocess.PIPE, stderr=subprocess.DEVNULL)
        self.assertEqual(child.stdout, b"no_such_module\n")

    def test_no_circle(self) -> None:
        graph = {module: imported(module) for module in MODULES}
        self.assertEqual(list(circles(graph)), [])
        self.assertLessEqual(set().union(*graph.values()), set(MODULES))

    def test_a_circle_is_found(self) -> None:
        graph: Dict[str, Set[str]] = {"a": {"b"}, "b": {"c", "d"}, "c": set(), "d": {"b"}}
        self.assertEqual(list(circles(graph)), [["b", "d", "b"]])

    def test_former_names(self) -> None:
        program = """if True:
            import supervise_api as s, supervise_api.spawn
            from supervise_api.event import ChildEvent
            from supervise_api.spawning import Pressing
            assert s.spawn.dfork is s.dfork and ChildEvent is s.ChildEvent and Pressing is s.Pressing
        """
        subprocess.run([sys.executable, "-c", program], check=True)

    def test_all_modules_are_told(self) -> None:
        words = set(re.findall(r"\w+", supervise_api.__doc__ or ""))
        self.assertEqual(set(MODULES) - words, set())

    def test_all(self) -> None:
        for name in supervise_api.__all__:
            getattr(supervise_api, name)
