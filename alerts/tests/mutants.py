#!/usr/bin/env python3
"""Mutation tests for the unit tests of the alert rules.

Each mutant changes one thing in the rules: a threshold, a window, a duration, an operator, a matcher or
an aggregation. The unit tests that load the changed file must fail. A mutant that survives must be
listed in survivors.txt with the reason why it makes no difference; a listed mutant must survive.
Mutants that drop the label firm from a grouping or a match run against the tests that have it, and those that
firms.py makes of the others.

  alerts/tests/mutants.py                  runs all mutants (minutes)
  alerts/tests/mutants.py meta.yml         runs the mutants of one file
  alerts/tests/mutants.py -l meta.yml      lists the mutants without running them
  alerts/tests/mutants.py --firm           runs only the mutants that drop the label firm

Exits 0 if survivors.txt is correct and, of all files, at least 95 % of the mutants are killed.
"""

import collections
import concurrent.futures
import contextlib
import json
import os
import pathlib
import re
import shutil
import subprocess
import sys
import tempfile
import time

import yaml

TESTS = pathlib.Path(__file__).resolve().parent
RULES = TESTS.parent
MIN_KILLED = 0.95
UNITS = {"s": 1, "m": 60, "h": 3600, "d": 86400}


def duration(text, factor):
    """A duration such as `3m` times the factor, in seconds."""
    return f"{int(int(text[:-1]) * UNITS[text[-1]] * factor)}s"


def other_numbers(text):
    """The values that replace a threshold."""
    value = float(text)
    if value in (0, 1):
        return [str(int(1 - value))]
    return [f"{value * 1.5:g}", f"{value * 0.5:g}"]


OPERATORS = {
    ">": ["<", ">="],
    "<": [">", "<="],
    ">=": [">", "<"],
    "<=": ["<", ">"],
    "==": ["!="],
    "!=": ["=="],
    "and": ["unless"],
    "unless": ["and"],
    "or": ["and"],
    "+": ["-"],
    "-": ["+"],
}
FUNCTIONS = {
    "max": "min",
    "min": "max",
    "max_over_time": "min_over_time",
    "last_over_time": "absent_over_time",
    "changes": "resets",
}
TOKEN = re.compile(
    r"""(?P<string>"[^"]*")
      | (?P<window>\[\w+\])
      | (?P<matchers>\{[^}]*\})
      | (?P<labels>\b(?:by|on)\s*\([^)]*\))
      | (?P<join>\b(?:group_left|group_right)\s*\(\s*\))
      | (?P<name>[a-zA-Z_:][\w:]*)
      | (?P<number>\d+(?:\.\d+)?)
      | (?P<operator>==|!=|>=|<=|[-+<>])""",
    re.VERBOSE,
)


def expression_changes(text):
    """Yields (start, end, replacement) for each change to an expression."""
    for match in TOKEN.finditer(text):
        kind, token = match.lastgroup, match.group()
        start, end = match.span()
        if kind == "window":
            for factor in (2, 0.5):
                yield start, end, f"[{duration(token[1:-1], factor)}]"
        elif kind == "number":
            for other in other_numbers(token):
                yield start, end, other
        elif kind == "operator" or token in OPERATORS:
            for other in OPERATORS[token]:
                yield start, end, other
        elif kind == "name" and token in FUNCTIONS and text[end:].lstrip()[:1] in ("(", "b"):
            yield start, end, FUNCTIONS[token]
        elif kind == "matchers":
            yield from matcher_changes(start, token)
        elif kind == "labels":
            word, labels = token.split("(")
            labels = [label.strip() for label in labels.rstrip(")").split(",") if label.strip()]
            for index in range(len(labels)):
                rest = ", ".join(labels[:index] + labels[index + 1 :])
                yield start, end, f"{word}({rest})"


def matcher_changes(start, token):
    """The same for the label matchers `{...}` at `start`."""
    matchers = re.findall(r'\w+(?:=~|!~|!=|=)"[^"]*"', token)
    for index, matcher in enumerate(matchers):
        rest = matchers[:index] + matchers[index + 1 :]
        yield start, start + len(token), "{" + ",".join(rest) + "}" if rest else ""
        negated = re.sub(
            r"^(\w+)(=~|!~|!=|=)",
            lambda found: found[1] + {"=": "!=", "!=": "=", "=~": "!~", "!~": "=~"}[found[2]],
            matcher,
        )
        both = matchers[:index] + [negated] + matchers[index + 1 :]
        yield start, start + len(token), "{" + ",".join(both) + "}"


def mutants(path):
    """Yields (rule, name, text of the changed file) for each change to a rule file."""
    text = path.read_text()
    starts = [found.start() for found in re.finditer(r"^      - (?:record|alert): ", text, re.M)]
    seen = {}
    for start, end in zip(starts, starts[1:] + [len(text)]):
        rule = text[start:end]
        name = rule_name = re.match(r"\s*- \w+: (\S+)", rule)[1]
        severity = re.search(r"severity: (\w+)", rule)
        stage = re.search(r"(?:stage|window): (\w+)", rule)
        for found in (severity, stage):
            rule_name += f"/{found[1]}" if found else ""
        changes = []
        expression = re.search(r"^        expr: (?:\|\n((?:          .*\n|\n)+)|(.*)\n)", rule, re.M)
        group = 1 if expression[1] else 2
        base = expression.start(group)
        for a, b, other in expression_changes(expression[group]):
            changes.append((base + a, base + b, other))
        for field in re.finditer(r"^        (for|keep_firing_for): (\w+)\n", rule, re.M):
            for factor in (2, 0.5):
                changes.append((field.start(2), field.end(2), duration(field[2], factor)))
            changes.append((field.start(), field.end(), ""))
        for a, b, other in changes:
            old = rule[a:b].strip()
            change = f"{path.name} {rule_name}: {old} -> {other or 'nothing'}"
            seen[change] = seen.get(change, 0) + 1
            yield name, f"{change} ({seen[change]})", text[: start + a] + other + text[start + b :]


class Group:
    """One group of a test file, in a file of its own, so that the first that fails ends the mutant."""

    def __init__(self, file, content, group):
        self.file, self.loads, self.name = file, content["rule_files"], group["name"]
        self.text = json.dumps(content | {"tests": [group]})
        self.seconds = None

    def passes(self, directory):
        """Runs the group in a directory `tests` next to the rules."""
        path = directory / f"group-{id(self)}.yml"
        path.write_text(self.text)
        return promtool(directory, "test", "rules", path.name) == 0

    def measure(self):
        """Runs the group with the rules as they are, and keeps how long it took."""
        with rules_and_tests() as root:
            began = time.monotonic()
            passed = self.passes(root / "tests")
            self.seconds = time.monotonic() - began
        return passed


def groups_of(path):
    content = yaml.load(path.read_text().replace(f"{RULES}/", "../"), yaml.CSafeLoader)
    return [Group(path.name, content, group) for group in content["tests"]]


def dependents():
    """The names of the rules that read a rule, directly or through others, by its name."""
    rules = []
    for path in RULES.glob("*.yml"):
        for rule in re.split(r"^      - (?=record: |alert: )", path.read_text(), flags=re.M)[1:]:
            rules.append((rule.split()[1], rule))
    readers = {}
    for name, _ in rules:
        found, last = {name}, {name}
        while last:
            pattern = re.compile(r"(?<![\w:])(?:" + "|".join(map(re.escape, last)) + r")(?![\w:])")
            last = {reader for reader, text in rules if pattern.search(text)} - found
            found |= last
        readers[name] = found
    return readers


def in_order(groups, rule_file, names, kills):
    """The groups that load a rule file, those first that are likely to notice a change of a rule: they
    noticed others, they name it or one that reads it, they are among the file's own tests, they are quick."""
    own, *others = names
    stem = rule_file.removesuffix(".yml")

    def key(group):
        return (
            -kills[own, group],
            not any(name in group.text for name in names),
            own not in group.text,
            not group.file.startswith(stem),
            group.seconds,
        )

    return sorted((group for group in groups if f"../{rule_file}" in group.loads), key=key)


def drops_firm(name):
    """Whether a mutant drops the label firm and nothing else."""
    old, _, new = name.partition(": ")[2].partition(" -> ")
    return bool(re.search(r"\bfirm\b", old)) and not re.search(r"\bfirm\b", new) and "{" not in old


def promtool(directory, *arguments):
    return subprocess.run(
        ["promtool", *arguments], cwd=directory, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL
    ).returncode


@contextlib.contextmanager
def rules_and_tests():
    with tempfile.TemporaryDirectory(prefix="mutant-") as directory:
        root = pathlib.Path(directory)
        for source in RULES.glob("*.yml"):
            shutil.copy(source, root)
        (root / "tests").mkdir()
        yield root


def outcome(rule_file, text, groups, names, kills):
    """Returns invalid (not a valid rule file), killed or survived."""
    with rules_and_tests() as root:
        (root / rule_file).write_text(text)
        if promtool(root, "check", "rules", rule_file):
            return "invalid"
        for group in in_order(groups, rule_file, names, kills):
            if not group.passes(root / "tests"):
                kills[names[0], group] += 1
                return "killed"
    return "survived"


def main(arguments):
    listing = "-l" in arguments
    firm_only = "--firm" in arguments
    wanted = [argument for argument in arguments if not argument.startswith("-")]
    files = [RULES / name for name in wanted] or [
        path for path in sorted(RULES.glob("*.yml")) if "\ngroups:" in path.read_text()
    ]
    to_run = [
        (path.name, rule, name, text)
        for path in files
        for rule, name, text in mutants(path)
        if drops_firm(name) or not firm_only
    ]
    if listing:
        print("\n".join(name for _, _, name, _ in to_run))
        return None
    equivalent = {}
    for line in (TESTS / "survivors.txt").read_text().splitlines():
        if line and not line.startswith("#"):
            name, _, reason = line.partition(" # ")
            equivalent[name.strip()] = reason.strip()
    results = {}
    os.environ["GOGC"] = "400"
    with (
        tempfile.TemporaryDirectory(prefix="firms-") as firms,
        concurrent.futures.ThreadPoolExecutor(len(os.sched_getaffinity(0))) as pool,
    ):
        subprocess.run([TESTS / "firms.py", firms], check=True)
        own = list(TESTS.glob("*.yml"))
        of_firms = [path for path in own if 'firm="' in path.read_text()]
        of_firms += pathlib.Path(firms).glob("*.yml")
        loads = {f"../{path.name}" for path in files}
        every = {
            drops: [group for path in paths for group in groups_of(path) if loads & set(group.loads)]
            for drops, paths in ((False, own), (True, of_firms))
        }
        groups = every[False] + every[True]
        for group, passed in zip(groups, pool.map(Group.measure, groups)):
            if not passed:
                return f"a unit test fails without a mutation: {group.file}: {group.name}"
        if not groups:
            return "no unit test loads these rules"
        readers = dependents()
        kills = collections.Counter()
        futures = {}
        for rule_file, rule, name, text in to_run:
            names = [rule, *sorted(readers[rule] - {rule})]
            groups = every[drops_firm(name)]
            futures[pool.submit(outcome, rule_file, text, groups, names, kills)] = name
        for future in concurrent.futures.as_completed(futures):
            name = futures[future]
            results[name] = future.result()
            if results[name] == "survived" and name not in equivalent:
                print(f"survived: {name}", flush=True)
            if sys.stderr.isatty():
                print(f"\r{len(results)} of {len(futures)}", end="", file=sys.stderr)
    survivors = {name for name, result in results.items() if result == "survived"}
    killed = sum(result == "killed" for result in results.values())
    total = killed + len(survivors)
    loaded = {path.name for path in files}
    wrong = [
        name
        for name in equivalent
        if name.split()[0] in loaded and name not in survivors and (drops_firm(name) or not firm_only)
    ]
    for name in sorted(wrong):
        print(f"listed in survivors.txt, but killed or no longer generated: {name}")
    for name, reason in equivalent.items():
        if not reason:
            print(f"listed in survivors.txt without a reason: {name}")
            wrong.append(name)
    print(f"{total} mutants, {killed} killed ({killed / max(total, 1):.1%}), {len(survivors)} survived")
    if survivors - equivalent.keys() or wrong or (not wanted and killed < MIN_KILLED * total):
        return "some mutants survived, or survivors.txt is wrong: see above"
    return None


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
