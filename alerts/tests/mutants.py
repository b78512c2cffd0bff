#!/usr/bin/env python3
"""Mutation tests for the unit tests of the alert rules.

Each mutant changes one thing in the rules: a threshold, a window, a duration, an operator, a matcher or
an aggregation. The unit tests that load the changed file must fail. A mutant that survives must be
listed in survivors.txt with the reason why it makes no difference; a listed mutant must survive.
Mutants that drop the label firm from a grouping or a match run against the tests of two firms: firms.yml,
and those that firms.py makes of the other files.

  alerts/tests/mutants.py                  runs all mutants (minutes)
  alerts/tests/mutants.py meta.yml         runs the mutants of one file
  alerts/tests/mutants.py -l meta.yml      lists the mutants without running them
  alerts/tests/mutants.py --firm           runs only the mutants that drop the label firm

Exits 0 if at least 95 % of the mutants are killed and survivors.txt is correct.
"""

import concurrent.futures
import os
import pathlib
import re
import shutil
import subprocess
import sys
import tempfile

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
    """Yields (name, text of the changed file) for each change to a rule file."""
    text = path.read_text()
    starts = [found.start() for found in re.finditer(r"^      - (?:record|alert): ", text, re.M)]
    seen = {}
    for start, end in zip(starts, starts[1:] + [len(text)]):
        rule = text[start:end]
        rule_name = re.match(r"\s*- \w+: (\S+)", rule)[1]
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
            name = f"{path.name} {rule_name}: {old} -> {other or 'nothing'}"
            seen[name] = seen.get(name, 0) + 1
            yield f"{name} ({seen[name]})", text[: start + a] + other + text[start + b :]


def tests_of(rule_file):
    """The test files that load a rule file: its own tests first, and small files first."""
    stem = rule_file.removesuffix(".yml")
    tests = [test for test in TESTS.glob("*.yml") if f"../{rule_file}" in test.read_text()]
    return sorted(tests, key=lambda test: (not test.name.startswith(stem), test.stat().st_size))


def drops_firm(name):
    """Whether a mutant drops the label firm and nothing else."""
    old, _, new = name.partition(": ")[2].partition(" -> ")
    return bool(re.search(r"\bfirm\b", old)) and not re.search(r"\bfirm\b", new) and "{" not in old


def tests_of_firms(rule_file, directory):
    """The tests with two firms, those of the file itself first."""
    names = [test.name for test in tests_of(rule_file) if (directory / test.name).exists()]
    return [TESTS / "firms.yml", *(directory / name for name in names)]


def promtool(directory, *arguments):
    return subprocess.run(
        ["promtool", *arguments], cwd=directory, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL
    ).returncode


def outcome(rule_file, text, tests):
    """Returns invalid (not a valid rule file), killed or survived."""
    with tempfile.TemporaryDirectory(prefix="mutant-") as directory:
        root = pathlib.Path(directory)
        for source in RULES.glob("*.yml"):
            shutil.copy(source, root)
        (root / "tests").mkdir()
        (root / rule_file).write_text(text)
        if promtool(root, "check", "rules", rule_file):
            return "invalid"
        for test in tests:
            copy = test.read_text().replace(f"{RULES}/", "../")
            (root / "tests" / test.name).write_text(copy)
            if promtool(root / "tests", "test", "rules", test.name):
                return "killed"
    return "survived"


def main(arguments):
    listing = "-l" in arguments
    firm_only = "--firm" in arguments
    wanted = [argument for argument in arguments if not argument.startswith("-")]
    files = [RULES / name for name in wanted] or [
        path for path in sorted(RULES.glob("*.yml")) if "\ngroups:" in path.read_text()
    ]
    tests = sorted({test.name for path in files for test in tests_of(path.name)})
    if not listing and (not tests or promtool(TESTS, "test", "rules", *tests)):
        return f"the unit tests fail without a mutation, or there are none: promtool test rules {tests}"
    equivalent = {}
    for line in (TESTS / "survivors.txt").read_text().splitlines():
        if line and not line.startswith("#"):
            name, _, reason = line.partition(" # ")
            equivalent[name.strip()] = reason.strip()
    results = {}
    firms = tempfile.TemporaryDirectory(prefix="firms-")
    subprocess.run([TESTS / "firms.py", firms.name], check=True)
    with firms, concurrent.futures.ThreadPoolExecutor(os.cpu_count()) as pool:
        futures = {}
        for path in files:
            tests = tests_of(path.name)
            of_firms = tests_of_firms(path.name, pathlib.Path(firms.name))
            for name, text in mutants(path):
                firm = drops_firm(name)
                if firm_only and not firm:
                    continue
                if listing:
                    print(name)
                else:
                    futures[pool.submit(outcome, path.name, text, of_firms if firm else tests)] = name
        for future in concurrent.futures.as_completed(futures):
            results[futures[future]] = future.result()
    if listing:
        return None
    survivors = {name for name, result in results.items() if result == "survived"}
    killed = sum(result == "killed" for result in results.values())
    total = killed + len(survivors)
    for name in sorted(survivors - equivalent.keys()):
        print(f"survived: {name}")
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
    if survivors - equivalent.keys() or wrong or killed < MIN_KILLED * total:
        return "some mutants survived, or survivors.txt is wrong: see above"
    return None


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
