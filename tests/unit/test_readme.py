"""README tells the truth: its state machine, its files, its links, its handler."""

import re
from pathlib import Path

from taskflow_core.states import TASK_MOVES

ROOT = Path(__file__).parents[2]
README = (ROOT / "README.md").read_text()


def test_the_picture_of_the_state_machine_is_the_one_in_the_code():
    (picture,) = re.findall(r"stateDiagram-v2\n(.*?)```", README, re.DOTALL)
    drawn = set(re.findall(r"(\w+) --> (\w+)", picture))
    assert drawn == {(before, after) for before, moves in TASK_MOVES.items() for after in moves}


def test_every_link_leads_somewhere():
    links = re.findall(r"\]\(([^)#]+)\)", README)
    assert links
    assert [link for link in links if not (ROOT / link).exists()] == []


def test_the_flow_of_a_task_is_in_six_files_that_exist():
    named = re.findall(r'"(\d) · ([\w/.]+)', README)
    assert [number for number, _ in sorted(named)] == list("123456")
    for _, name in named:
        assert list(ROOT.glob(f"*/taskflow_*/{name}")), name


def test_the_handler_in_the_readme_can_be_registered():
    (code,) = re.findall(r"```python\n(.*?)```", README, re.DOTALL)
    module: dict[str, object] = {}
    exec(compile(code, "README.md", "exec"), module)
    assert hasattr(module["resize"], "__taskflow_handler__")


def test_every_make_target_in_the_readme_exists():
    makefile = (ROOT / "Makefile").read_text()
    for target in re.findall(r"make ([\w-]+)(?=[ `])", README):
        assert re.search(rf"^{target}:", makefile, re.MULTILINE), target
