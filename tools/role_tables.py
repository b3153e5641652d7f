# SPDX-FileCopyrightText: Expanso Edge collection contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Write the tables of variables in the roles' READMEs from their argument_specs.

    python3 role_tables.py [--check]     run where PyYAML is installed; --check writes nothing and fails where a table is out of date

A table stands between `<!-- variables PREFIX -->` and `<!-- end of variables -->` and holds the variables whose longest matching prefix it is.
"""

import re
import sys

import yaml
from paths import REPOSITORY, SupportError, program, say

TABLE = re.compile(r"(<!-- variables (\w+) -->\n).*?(<!-- end of variables -->)", re.DOTALL)
HEAD = "| variable | type | default | meaning |\n|---|---|---|---|\n"

MARKUP = re.compile(r"\b[CVOEMP]\(((?:[^()]|\([^()]*\))*)\)")
SENTENCE = re.compile(r".*?\.(?=\s+[A-Z]|\s*$)", re.DOTALL)
INHERITED = re.compile(r"\{\{ (\w+) \| default\((.*)\) \}\}")


def code(text):
    """Text as code in a cell of a table."""
    return "`" + str(text).replace("|", "\\|") + "`"


def as_yaml(value):
    """A value as code in a cell of a table."""
    return code(yaml.safe_dump(value, default_flow_style=True, width=1000, sort_keys=False).replace("\n...", "").strip())


def meaning(description):
    """The first sentence of a description, with Ansible's markup turned into Markdown."""
    text = description if isinstance(description, str) else description[0]
    sentence = SENTENCE.match(text)
    if sentence is None:
        raise SupportError(f"a description does not end with a full stop: {text}")
    return MARKUP.sub(lambda found: code(found[1]), sentence[0].rstrip(".")).replace("\n", " ")


def kind(option):
    """The type of an option, with its choices or keys."""
    text = option["type"] + (f" of {option['elements']}" if "elements" in option else "")
    values = option.get("choices") or option.get("options")
    return f"{text}: {', '.join(map(code, values))}" if values else text


def default(option):
    """The default of an option in words."""
    if "default" not in option:
        return "required" if option.get("required") else "–"
    value = option["default"]
    inherited = INHERITED.fullmatch(value) if isinstance(value, str) else None
    if inherited:
        fallback = yaml.safe_load(inherited[2])
        return f"{code(inherited[1])}, else {'empty' if fallback in ('', []) else as_yaml(fallback)}"
    if isinstance(value, str) and "{" in value:
        return code(re.sub(r"\{% (?:end)?raw %\}", "", value))
    return as_yaml(value)


def row(name, option):
    return f"| {code(name)} | {kind(option)} | {default(option)} | {meaning(option['description'])} |\n"


def with_tables(text, options):
    """The text of a README with its tables made from the options.

    :raises SupportError: an option has no table
    """
    prefixes = sorted((found[2] for found in TABLE.finditer(text)), key=len, reverse=True)
    rows = dict.fromkeys(prefixes, "")
    for name, option in options.items():
        prefix = next((each for each in prefixes if name.startswith(each)), None)
        if prefix is None:
            raise SupportError(f"no table of variables has a prefix of {name}")
        rows[prefix] += row(name, option)
    return TABLE.sub(lambda found: f"{found[1]}{HEAD}{rows[found[2]]}{found[3]}", text)


def outdated():
    """The READMEs whose tables are out of date, each with the text that it should have."""
    for specs in sorted((REPOSITORY / "roles").glob("*/meta/argument_specs.yml")):
        readme = specs.parents[1] / "README.md"
        options = yaml.safe_load(specs.read_text(encoding="utf-8"))["argument_specs"]["main"]["options"]
        text = readme.read_text(encoding="utf-8")
        wanted = with_tables(text, options)
        if wanted != text:
            yield readme, wanted


def main():
    found = list(outdated())
    names = ", ".join(str(readme.relative_to(REPOSITORY)) for readme, _wanted in found)
    if found and "--check" in sys.argv[1:]:
        raise SupportError(f"the tables of variables are not what argument_specs say: run `make tables`. Out of date: {names}")
    for readme, wanted in found:
        readme.write_text(wanted, encoding="utf-8")
    say(f"The tables of variables are up to date{': wrote ' + names if found else ''}.")


if __name__ == "__main__":
    sys.exit(program(main))
