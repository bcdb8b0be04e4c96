"""Every error that Cinelake can raise, with its next step: read off the source, so that no list of them falls behind.

An error is found where one of our classes is called, or a variable that holds one. Its texts are those of the call, as
far as they can be told without running it: constants, f-strings, variables that are set once, and what a short helper
returns. What only a run can tell stands there as `{name}`, or as `…` where it has no name.
"""

import ast
import re
from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field, replace
from functools import cache, cached_property
from pathlib import Path

from cinelake.settings import PROJECT_ROOT

PACKAGES = (
    "cinelake",
    "ingestion",
    "spark_streaming",
    "lakehouse",
    "expectations",
    "pipeline",
    "monitoring",
    "docs_site",
)
ROOT = "cinelake.errors.CinelakeError"
UNKNOWN = "…"
BARE = re.compile(rf"\{{\w+\}}|{UNKNOWN}")
"""A text that is no more than a placeholder."""

Arguments = Sequence[ast.expr]


@dataclass(frozen=True)
class RaisedError:
    """One place in the source that makes an error.

    Args:
        kind: The name of its class.
        exit_code: With which the command line ends.
        message: What happened, `{name}` and `…` in place of what only a run can tell.
        hint: The next step, likewise; empty when there is none.
        module: Where it is made, for example `lakehouse.trace`.
    """

    kind: str
    exit_code: int
    message: str
    hint: str
    module: str


@dataclass(frozen=True)
class ErrorClass:
    """One of our classes of errors.

    Args:
        name: Without its module; two modules may each have one of a name.
        module: Where it is defined.
        exit_code: Its own, or its base's.
    """

    name: str
    module: str
    exit_code: int


def raised_errors(root: Path = PROJECT_ROOT) -> list[RaisedError]:
    """Every place that makes an error, by module and then by line.

    Args:
        root: The folder that holds the packages.
    """
    sources = _Sources(root)
    return [found for module in sources.modules.values() for found in _Finder(sources, module)]


def error_classes(root: Path = PROJECT_ROOT) -> list[ErrorClass]:
    """`CinelakeError` and all classes that follow from it, by module and then by line.

    Args:
        root: The folder that holds the packages.
    """
    sources = _Sources(root)
    return [
        ErrorClass(name.rpartition(".")[2], name.rpartition(".")[0], sources.exit_code(name))
        for name in sources.classes
    ]


# --- The source ---------------------------------------------------------------------------------------------


@dataclass(frozen=True)
class _Module:
    """A module's tree, and what its names mean."""

    name: str
    tree: ast.Module

    @cached_property
    def imports(self) -> dict[str, str]:
        """The full name of what each imported name stands for; imports inside of functions count too."""
        return {
            alias.asname or alias.name: f"{node.module}.{alias.name}"
            for node in ast.walk(self.tree)
            if isinstance(node, ast.ImportFrom)
            for alias in node.names
        }

    @cached_property
    def values(self) -> dict[str, ast.expr]:
        """What each constant of the module is set to."""
        return _assigned(self.tree.body)

    @cached_property
    def functions(self) -> dict[str, ast.FunctionDef]:
        """The functions of the module by name, methods left out."""
        return {node.name: node for node in self.tree.body if isinstance(node, ast.FunctionDef)}

    def full_name(self, name: ast.expr) -> str:
        """What a name or `module.name` means, with its module; empty for anything else."""
        match name:
            case ast.Name(id=short):
                return self.imports.get(short, f"{self.name}.{short}")
            case ast.Attribute(value=ast.Name(id=short), attr=attribute):
                return f"{self.imports.get(short, short)}.{attribute}"
        return ""


class _Sources:
    """The modules of the packages, and the classes of errors in them."""

    def __init__(self, root: Path) -> None:
        files = sorted(file for package in PACKAGES for file in (root / package).rglob("*.py"))
        named = [(_dotted(file.relative_to(root)), file) for file in files]
        self.modules = {
            name: _Module(name, ast.parse(file.read_text("utf-8"))) for name, file in sorted(named)
        }

    @cached_property
    def classes(self) -> dict[str, ast.ClassDef]:
        """Our classes of errors by their full names."""
        every = {
            f"{module.name}.{node.name}": node
            for module in self.modules.values()
            for node in module.tree.body
            if isinstance(node, ast.ClassDef)
        }
        bases = {
            name: [self.module_of(name).full_name(base) for base in node.bases]
            for name, node in every.items()
        }

        def is_error(name: str) -> bool:
            return name == ROOT or any(map(is_error, bases.get(name, [])))

        return {name: node for name, node in every.items() if is_error(name)}

    def module_of(self, full_name: str) -> _Module:
        """The module in which something is defined."""
        return self.modules[full_name.rpartition(".")[0]]

    def base(self, name: str) -> str:
        """The class of errors that a class follows from."""
        bases = map(self.module_of(name).full_name, self.classes[name].bases)
        return next(base for base in bases if base in self.classes)

    def exit_code(self, name: str) -> int:
        """The exit code of a class, its own or that of its base."""
        match _assigned(self.classes[name].body).get("exit_code"):
            case ast.Constant(value=int(code)):
                return code
        return self.exit_code(self.base(name))

    def constant(self, module: _Module, name: str) -> "tuple[ast.expr, _Scope] | None":
        """What a module's constant is set to, its own or one it imports; None for any other name."""
        full_name = module.full_name(ast.Name(name))
        home = self.modules.get(full_name.rpartition(".")[0])
        value = home.values.get(full_name.rpartition(".")[2]) if home else None
        return (value, _Scope(self, home)) if home and value is not None else None

    def returned(self, module: _Module, name: str) -> "tuple[ast.FunctionDef, _Module] | None":
        """The function of that name, the module's own or one it imports; None for any other name."""
        full_name = module.full_name(ast.Name(name))
        home = self.modules.get(full_name.rpartition(".")[0])
        found = home.functions.get(full_name.rpartition(".")[2]) if home else None
        return (found, home) if home and found else None


def _dotted(file: Path) -> str:
    return ".".join(file.with_suffix("").parts).removesuffix(".__init__")


def _assigned(body: Sequence[ast.AST]) -> dict[str, ast.expr]:
    """What each name is set to that the statements set exactly once."""
    found: dict[str, list[ast.expr | None]] = {}
    for node in body:
        match node:
            case ast.Assign(targets=targets, value=value):
                for target in targets:
                    if isinstance(target, ast.Name):
                        found.setdefault(target.id, []).append(value)
            case ast.AnnAssign(target=ast.Name(id=name), value=value):
                found.setdefault(name, []).append(value)
            case ast.AugAssign(target=ast.Name(id=name)):
                found.setdefault(name, []).extend([None, None])
    return {name: values[0] for name, values in found.items() if len(values) == 1 and values[0]}


# --- Texts --------------------------------------------------------------------------------------------------


@dataclass(frozen=True)
class _Scope:
    """What names mean at a place.

    Args:
        sources: All modules.
        module: The one it is in.
        given: Variables and arguments, each with the scope that its expression belongs to; None for one that
            cannot be told.
    """

    sources: _Sources
    module: _Module
    given: "Mapping[str, tuple[ast.expr, _Scope] | None]" = field(default_factory=dict)

    def look_up(self, name: str) -> "tuple[ast.expr, _Scope] | None":
        """What a name is set to; None when that cannot be told."""
        if name in self.given:
            return self.given[name]
        return self.sources.constant(self.module, name)

    def within(self, functions: Sequence[ast.FunctionDef]) -> "_Scope":
        """The scope inside of functions, the outermost first."""
        scope = self
        for function in functions:
            given: dict[str, tuple[ast.expr, _Scope] | None] = {**scope.given}
            # Filled afterwards, as what a variable is set to may name others of the same function.
            scope = replace(scope, given=given)
            given |= {name: (value, scope) for name, value in _variables(function).items()}
            given |= dict.fromkeys(_parameters(function))
        return scope

    def bound(self, function: ast.FunctionDef, call: ast.Call, module: _Module) -> "_Scope":
        """The scope inside of a function that is called here."""
        names = _parameters(function)
        positions = [name for name in names if name != "self"]
        given = {name: (value, self) for name, value in zip(positions, call.args, strict=False)}
        given |= {each.arg: (each.value, self) for each in call.keywords if each.arg}
        inside = _Scope(self.sources, module).within([function])
        defaults = dict(zip(reversed(names), reversed(function.args.defaults), strict=False))
        left_out = {name: (value, inside) for name, value in defaults.items() if name not in given}
        return replace(inside, given={**inside.given, **left_out, **given})

    def argument(self, name: str) -> str:
        """The text of a variable or an argument: what it is set to, or its name where that cannot be told."""
        found = self.look_up(name)
        said = found[1].text(found[0]) if found else UNKNOWN
        return _placeholder(ast.Name(name)) if said == UNKNOWN else said

    def text(self, expression: ast.expr) -> str:
        """The text of an expression, with placeholders for what cannot be told."""
        match expression:
            case ast.JoinedStr(values=parts):
                return "".join(map(self._part, parts))
            case ast.BinOp(left=left, op=ast.Add(), right=right):
                return self.text(left) + self.text(right)
            case ast.IfExp(body=body, orelse=otherwise):
                return self.text(body) or self.text(otherwise)
            case ast.Name(id=name):
                return self.argument(name)
            case ast.Call() | ast.Subscript():
                return self._had_from(expression)
        return _placeholder(expression)

    def _part(self, part: ast.expr) -> str:
        """A part of an f-string; of names only constants are put in, as others are shorter than what they hold."""
        if not isinstance(part, ast.FormattedValue):
            return _placeholder(part)
        value = part.value
        if isinstance(value, ast.Name):
            found = self.look_up(value.id)
            return _placeholder(found[0] if found and isinstance(found[0], ast.Constant) else value)
        return _placeholder(value)

    def _had_from(self, expression: ast.Call | ast.Subscript) -> str:
        """The text that a call or an entry gives."""
        match expression:
            case ast.Subscript(value=ast.Name(id=name), slice=key):
                return self._entry(name, key, expression)
            case ast.Call(func=ast.Attribute(value=value, attr="strip"), args=[]):
                return self.text(value).strip()
            case ast.Call(func=ast.Attribute(attr="join"), args=[ast.GeneratorExp(elt=each)]):
                return self.text(each)
            case ast.Call(
                func=ast.Attribute(value=ast.Name(id=name), attr="get"), args=[key, other]
            ):
                return self._entry(name, key, other)
            case ast.Call(func=ast.Name(id=name)) if found := self.sources.returned(
                self.module, name
            ):
                return self._returned(expression, *found)
        return _placeholder(expression)

    def _returned(self, call: ast.Call, function: ast.FunctionDef, module: _Module) -> str:
        """What a function returns at its end, which is the general case."""
        values = [node.value for node in ast.walk(function) if isinstance(node, ast.Return)]
        last = max(filter(None, values), key=lambda value: value.lineno, default=None)
        return self.bound(function, call, module).text(last) if last else UNKNOWN

    def _entry(self, name: str, key: ast.expr, otherwise: ast.expr) -> str:
        """The text that a constant dictionary has for a class or another name, or else that of `otherwise`."""
        if isinstance(key, ast.Name) and (held := self.look_up(key.id)):
            key = held[0]
        found = self.look_up(name)
        if found and isinstance(found[0], ast.Dict):
            for each, value in zip(found[0].keys, found[0].values, strict=True):
                if each and ast.dump(each) == ast.dump(key):
                    return found[1].text(value)
        return _placeholder(otherwise)


@cache
def _variables(function: ast.FunctionDef) -> dict[str, ast.expr]:
    """What each variable of a function is set to that is set once, the variables of loops left out."""
    nodes = list(ast.walk(function))
    names = (node for node in nodes if isinstance(node, ast.Name))
    times = Counter(node.id for node in names if isinstance(node.ctx, ast.Store))
    return {name: value for name, value in _assigned(nodes).items() if times[name] == 1}


def _parameters(function: ast.FunctionDef) -> list[str]:
    arguments = function.args
    return [each.arg for each in (*arguments.posonlyargs, *arguments.args, *arguments.kwonlyargs)]


def _placeholder(expression: ast.expr) -> str:
    """What stands for an expression whose value only a run can tell."""
    match expression:
        case ast.Constant(value=value):
            return str(value)
        case ast.Name(id=name) | ast.Attribute(attr=name):
            return f"{{{name.strip('_')}}}"
        case ast.Subscript(slice=ast.Constant(value=str(key))):
            return f"{{{key}}}"
        case ast.BinOp(left=left, op=ast.Div(), right=right):
            return f"{_placeholder(left)}/{_placeholder(right)}"
    carried = _carried(expression)
    return _placeholder(carried) if carried else UNKNOWN


def _carried(expression: ast.expr) -> ast.expr | None:
    """What an expression only cuts or puts into another form."""
    match expression:
        case (
            ast.Subscript(value=value, slice=ast.Slice() | ast.Constant() | ast.UnaryOp())
            | ast.Call(func=ast.Name(id="str"), args=[value])
            | ast.Call(func=ast.Attribute(attr="join"), args=[ast.Name() as value])
            | ast.Call(func=ast.Attribute(value=value), args=[])
        ):
            return value
    return None


# --- The places ---------------------------------------------------------------------------------------------


class _Finder:
    """Finds the errors that one module makes."""

    def __init__(self, sources: _Sources, module: _Module) -> None:
        self._sources = sources
        self._module = module

    def __iter__(self) -> Iterator[RaisedError]:
        """The errors in the order of their lines."""
        found = self._calls(self._module.tree, [])
        for call, functions in sorted(found, key=lambda each: each[0].lineno):
            if not self._may_be_class(call, functions):
                continue
            for scope in self._scopes(call, functions):
                for name, inside in self._classes(call, scope):
                    message, hint = self._texts(name, call, inside)
                    kind = name.rpartition(".")[2]
                    code = self._sources.exit_code(name)
                    yield RaisedError(kind, code, message, hint, self._module.name)

    def _calls(
        self, node: ast.AST, functions: list[ast.FunctionDef]
    ) -> Iterator[tuple[ast.Call, list[ast.FunctionDef]]]:
        """Every call with the functions it stands in, the outermost first."""
        if isinstance(node, ast.FunctionDef):
            functions = [*functions, node]
        if isinstance(node, ast.Call):
            yield node, functions
        for child in ast.iter_child_nodes(node):
            yield from self._calls(child, functions)

    def _scopes(self, call: ast.Call, functions: list[ast.FunctionDef]) -> Iterator[_Scope]:
        """The scope of a call; when a helper is handed one of the texts whole, one for each call of the helper."""
        outside = _Scope(self._sources, self._module)
        inside = outside.within(functions)
        handed = {each.id for each in call.args if isinstance(each, ast.Name)}
        if not functions or not handed & set(_parameters(functions[-1])):
            yield inside
            return
        helper = functions[-1]
        callers = [
            (each, around)
            for each, around in self._calls(self._module.tree, [])
            if isinstance(each.func, ast.Name) and each.func.id == helper.name
        ]
        for each, around in callers:
            yield outside.within(around).bound(helper, each, self._module)
        if not callers:
            yield inside

    def _may_be_class(self, call: ast.Call, functions: list[ast.FunctionDef]) -> bool:
        """Whether it calls one of the classes, or a variable; a cheap look before the scope is made."""
        if self._module.full_name(call.func) in self._sources.classes:
            return True
        name = call.func.id if isinstance(call.func, ast.Name) else ""
        return any(name in _variables(function) for function in functions)

    def _classes(self, call: ast.Call, scope: _Scope) -> Iterator[tuple[str, _Scope]]:
        """The classes of errors that a call may mean, with the scope in which it means them."""
        name = self._module.full_name(call.func)
        if name in self._sources.classes:
            yield name, scope
        elif isinstance(call.func, ast.Name) and (held := scope.given.get(call.func.id)):
            for each in self._named(*held):
                given = {**scope.given, call.func.id: (each, scope)}
                yield self._module.full_name(each), replace(scope, given=given)

    def _named(self, expression: ast.expr, scope: _Scope) -> list[ast.Name]:
        """The classes of errors that an expression may be, by name."""
        match expression:
            case ast.Name():
                named = [expression] if self._is_class(expression) else []
            case ast.IfExp(body=body, orelse=otherwise):
                named = [*self._named(body, scope), *self._named(otherwise, scope)]
            case ast.Call(func=ast.Attribute(value=ast.Name(id=name), attr="get"), args=[_, other]):
                match scope.look_up(name):
                    case (ast.Dict(values=values), _):
                        kept = [each for value in values for each in self._named(value, scope)]
                        named = [*kept, *self._named(other, scope)]
                    case _:
                        named = []
            case _:
                named = []
        return sorted({each.id: each for each in named}.values(), key=lambda each: each.id)

    def _is_class(self, name: ast.Name) -> bool:
        return self._module.full_name(name) in self._sources.classes

    def _texts(self, name: str, call: ast.Call, scope: _Scope) -> tuple[str, str]:
        """Message and hint as they reach `CinelakeError`, through whatever constructors lie between."""
        constructor = _constructor(self._sources.classes[name])
        if constructor is None:
            return self._texts(self._sources.base(name), call, scope)
        inside = scope.bound(constructor, call, self._sources.module_of(name))
        if name == ROOT:
            return inside.argument("message"), inside.argument("hint")
        handed = next(node for node in ast.walk(constructor) if _is_of_base(node))
        assert isinstance(handed, ast.Call)
        return self._texts(self._sources.base(name), handed, inside)


def _constructor(node: ast.ClassDef) -> ast.FunctionDef | None:
    methods = [each for each in node.body if isinstance(each, ast.FunctionDef)]
    return next((each for each in methods if each.name == "__init__"), None)


def _is_of_base(node: ast.AST) -> bool:
    """Whether it is the call of the base's constructor."""
    match node:
        case ast.Call(
            func=ast.Attribute(value=ast.Call(func=ast.Name(id="super")), attr="__init__")
        ):
            return True
    return False
