"""The page on products: its programs ask a running service, print what the page shows, and draw what it shows.

`python tests/book/test_product.py` runs them and writes what they print, and the picture, into the page.
"""

import ast
import contextlib
import json
import re
import socket
import tempfile
import threading
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import article
import book_leads
import book_weeks
import faq_page
import numpy as np
import pytest
from PIL import Image
from scipy import stats

from helpers import networks
from helpers.book import service

PAGE = faq_page.ROOT / "book" / "product.md"
PICTURE = faq_page.ROOT / "book" / "_pictures" / "product_served.png"
BLOCKS = faq_page.find_blocks(PAGE.read_text(encoding="utf-8"))


ON_DEVICE = next(code for code, _ in BLOCKS if code.startswith("import numpy as np\n\nstored ="))
WATCH = next(code for code, _ in BLOCKS if code.startswith("messages = "))


def break_row(twelve: np.ndarray) -> np.ndarray:
    """A row of twelve images as two rows of six."""
    return np.concatenate(np.split(twelve, 2, axis=1))


def draw_wrongly(folder: Path) -> np.ndarray:
    """A row of twelve images that the version in a folder draws from `random` in place of `standard_normal`."""
    noise = np.random.default_rng(1).random((12, 16)).astype("float32")
    images = service.Service(folder).draw(noise).numpy()
    return np.uint8(np.round(255 * np.concatenate(images[..., 0], axis=1)))


def run_page(names: dict[str, Any]) -> list[str]:
    """Run the page's blocks in this folder, against a service of its own; return what each prints."""
    service.save_version(service.train_generator(), Path("digits-1.0.0"), "1.0.0")
    with service.Server(service.Service(Path("digits-1.0.0"))) as server:
        threading.Thread(target=server.serve_forever, daemon=True).start()
        printed = faq_page.run(
            [(code.replace(":8000/", f":{server.server_port}/"), shown) for code, shown in BLOCKS], names
        )
        server.shutdown()
    return printed


@pytest.fixture(scope="module")
def ran(tmp_path_factory: pytest.TempPathFactory) -> tuple[list[str], dict[str, Any], Path]:
    """What the page's blocks print, the names that they define, and the folder in which they ran."""
    folder, names = tmp_path_factory.mktemp("product"), {"__name__": "product"}
    with pytest.MonkeyPatch.context() as patch:
        patch.chdir(folder)
        return run_page(names), names, folder


def test_each_block_prints_what_the_page_shows(ran: tuple[list[str], dict[str, Any], Path]) -> None:
    assert len(BLOCKS) == 9
    for (_, shown), printed in zip(BLOCKS, ran[0], strict=True):
        assert shown is not None
        (shown_form, wanted), (form, numbers) = faq_page.read_numbers(shown), faq_page.read_numbers(printed)
        assert form == shown_form
        loose = 0.5 if "levels on average" in shown else 0.1  # rounded weights differ between machines
        np.testing.assert_allclose(numbers, wanted, rtol=loose, atol=0.01)


def test_the_picture_is_what_the_service_draws(ran: tuple[list[str], dict[str, Any], Path]) -> None:
    shown = np.asarray(Image.open(PICTURE).convert("L"), float)
    drawn = np.asarray(Image.open(ran[2] / "twelve.png"), float)
    for row, half in ((drawn, shown[:168]), (draw_wrongly(ran[2] / "digits-1.0.0"), shown[-168:])):
        assert np.abs(np.kron(break_row(row), np.ones((3, 3))) - half).mean() < 0.03 * 255


def test_a_device_needs_its_file_and_numpy_alone(ran: tuple[list[str], dict[str, Any], Path]) -> None:
    imports = [node for node in ast.walk(ast.parse(ON_DEVICE)) if isinstance(node, ast.Import | ast.ImportFrom)]
    assert [ast.unparse(node) for node in imports] == ["import numpy as np"]
    with contextlib.chdir(ran[2]):
        exec(compile(ON_DEVICE, "on the device", "exec"), {})


def test_a_device_with_other_weights_refuses(
    ran: tuple[list[str], dict[str, Any], Path], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    packed = dict(ran[1]["packed"])
    last = max(name for name in packed if name.startswith("w"))
    np.savez_compressed(tmp_path / "device.npz", **(packed | {last: packed[last] + 1}))
    monkeypatch.chdir(tmp_path)
    with pytest.raises(SystemExit, match="not the weights of the card"):
        exec(compile(ON_DEVICE, "on the device", "exec"), {})


def test_each_fold_of_an_exercise_has_a_hint_before_its_solution() -> None:
    told = PAGE.read_text(encoding="utf-8").partition("## Exercises")[2]
    names = re.findall(r"(?m)^\*\*\d\. ([\w-]+)\.\*\*|^`{4}\{dropdown\} (\w+)$", told)
    assert ["".join(pair) for pair in names] == [
        *("Warm-up", "Hint", "Solution"),
        *("Experiment", "Hint", "Solution"),
        *("Experiment", "Hint", "Solution"),
        *("Experiment", "Hint", "Solution"),
        *("Judgement", "Answer"),
    ]


# The wrong messages, and the ten weeks


@pytest.fixture(scope="module")
def sorted_messages() -> dict[str, Any]:
    """What the background chapter has after it has sorted the messages of its first table."""
    chapter = json.loads((faq_page.ROOT / "notebooks" / "background.ipynb").read_text(encoding="utf-8"))
    cells = {cell["id"]: "".join(cell["source"]) for cell in chapter["cells"]}
    names: dict[str, Any] = {"settings": SimpleNamespace(profile="quick", seed=0), "SimpleNamespace": SimpleNamespace}
    imports = "import numpy as np\nfrom sklearn.feature_extraction.text import TfidfVectorizer\n"
    imports += "from sklearn.pipeline import make_pipeline\nfrom sklearn.svm import LinearSVC"
    for code in (imports, *(cells[f"background-{cell}"] for cell in ("03", "08", "09"))):
        exec(compile(code, "background", "exec"), names)
    return names


def test_what_the_page_says_of_the_wrong_messages_is_so(sorted_messages: dict[str, Any]) -> None:
    names = SimpleNamespace(**sorted_messages)
    chosen = names.is_new & (names.copy == 0)
    texts, right = names.texts[chosen], (names.guesses == names.intent)[chosen]
    highest = names.clerk.decision_function(texts).max(axis=1)
    assert (len(right), right.sum(), (highest > 0).sum(), (highest > 0)[~right].sum()) == (30, 20, 10, 0)
    told = re.findall(r'(?m)^  - "(.+)": \*(\w+)\*, not \*(\w+)\*', PAGE.read_text(encoding="utf-8"))
    assert len(told) == 3
    for message, named, wanted in told:
        (row,) = (row for row in np.flatnonzero(~right) if texts[row].startswith(message))
        assert names.intents[names.guesses[chosen][row]] == named
        assert names.intents[names.intent[chosen][row]] == wanted
    learnt = zip(names.texts[~names.is_new], names.intent[~names.is_new], strict=True)
    met = {(word.strip(","), names.intents[which]) for text, which in learnt for word in text.split()}
    assert {word for word, _ in met} & {"courier", "bring", "refuse"} == set()
    assert {which for word, which in met if word == "work"} == {"password"}


def test_the_weeks_on_the_page_are_those_of_the_figure() -> None:
    weeks = book_weeks.run_weeks(faq_page.ROOT)
    shown = [ast.literal_eval(row) for row in re.findall(r"np\.array\((\[.+?\])\)", WATCH)]
    np.testing.assert_allclose(shown, weeks, atol=2)  # a message at the edge may fall otherwise on another machine
    names: dict[str, Any] = {"np": np}
    exec(compile(WATCH, "on the page", "exec"), names)
    assert names["messages"] == book_weeks.MESSAGES
    np.testing.assert_allclose(names["find_limit"](shown[0][:4]), book_weeks.find_limit(shown[0][:4]))
    drawing, told = book_weeks.draw_weeks(weeks), book_weeks.tell_weeks(weeks)
    assert drawing.count('class="rings"') == 3
    assert "in week 5: go back; in week 7: read, label, train; in week 8: read, label, train." in told


@pytest.mark.parametrize("seed", range(10))
def test_each_seed_rings_in_the_same_weeks_for_the_same_causes(seed: int) -> None:
    weeks = book_weeks.run_weeks(faq_page.ROOT, seed)
    assert book_weeks.find_alarms(weeks) == {5: "go back", 7: "read, label, train", 8: "read, label, train"}
    assert 0.045 < book_weeks.find_limit(weeks.moved[:4])[0] < 0.111


def test_in_quiet_weeks_three_messages_in_four_are_known_and_those_are_sorted_rightly() -> None:
    shop, rng = book_weeks.read_shop(faq_page.ROOT), np.random.default_rng(0)
    orders = np.array([rng.permutation(len(told)) for told in shop.wordings.values()])
    intents = np.repeat(np.arange(len(orders)), 5 * book_weeks.COPIES)
    wordings = orders[:, :5].repeat(book_weeks.COPIES, axis=1).ravel()
    clerk = book_weeks._train(book_weeks.write_messages(shop, intents, wordings, rng), intents)
    asked = rng.integers(len(orders), size=2_000)
    wrong = []
    for group in book_weeks.GROUPS[:2]:  # known, and new
        ways = [rng.choice(orders[intent, group]) for intent in asked]
        wrong.append((clerk.predict(book_weeks.write_messages(shop, asked, ways, rng)) != asked).mean())
    assert wrong[0] < 0.01
    assert wrong[1] == pytest.approx(0.28, abs=0.03)
    assert book_weeks.SHARES[1] == (0.75, 0.25, 0, 0)


def test_a_quiet_week_rings_as_often_as_the_page_says() -> None:
    names: dict[str, Any] = {"np": np}
    exec(compile(WATCH, "on the page", "exec"), names)
    messages, usual = names["messages"], np.mean(names["moved"][:4]) / names["messages"]

    def wait(weeks: int, width: float = 3) -> float:  # for one false alarm, in weeks
        counts = np.arange(weeks * messages + 1)
        limits = names["find_limit"]((counts / weeks)[None], width)[1]
        ringing = stats.binom.sf(np.floor(limits * messages + 1e-9), messages, usual)
        return 1 / (stats.binom.pmf(counts, counts[-1], usual) * ringing).sum()

    wide = 3 * np.sqrt(1 + 1 / 4)
    told = [wait(4), wait(12), wait(4, wide), 1 / stats.binom.sf(int(names["limit"] * messages), messages, usual)]
    np.testing.assert_allclose(told, [150, 270, 300, 300], rtol=0.12)
    limit = names["find_limit"](names["moved"][:4], wide)[1]
    assert (round(limit, 3), names["moved"][7] / messages) == (0.114, 0.1125)


def test_the_version_before_is_the_last_good_one() -> None:
    pairs = set(zip(book_weeks.SERVED, book_weeks.BEFORE, strict=True))
    assert pairs == {("1.0.0", "0.9.0"), ("1.1.0", "1.0.0"), ("1.2.0", "1.0.0")}


def test_quiet_weeks_ring_no_alarm() -> None:
    quiet = book_weeks.Weeks(np.full(10, 30), np.full(10, 60))
    assert book_weeks.find_alarms(quiet) == {}
    assert book_weeks.draw_weeks(quiet).count('class="rings"') == 0


# The figure of leads


def find_rows(directive: str) -> list[str]:
    """The rows of the page's figure that a directive draws."""
    (drawn,) = re.findall(rf"(?ms)^```\{{{directive}\}}\n(.*?)^```$", PAGE.read_text(encoding="utf-8"))
    return re.findall(r"(?m)^- (.+)$", drawn)


def make_lead(*values: float, problem: str = "Gaps", rival: str = "Gaussian") -> book_leads.Lead:
    return book_leads.Lead(problem, rival, "sd", np.array(values))


def test_a_strip_has_the_colour_of_its_verdict_and_no_mean_where_runs_disagree() -> None:
    ahead, behind, apart = make_lead(0.25, 0.75), make_lead(-0.25, -0.75), make_lead(-0.25, 0.75)
    assert [lead.verdict for lead in (ahead, behind, apart)] == list(book_leads.FILLS)
    assert [lead.size for lead in (ahead, behind, apart)] == ["+0.5 sd", "−0.5 sd", "−0.2 to 0.8 sd"]
    assert make_lead(0.0, 1.0).verdict == book_leads.APART
    assert apart.tell() == "Gaps, against Gaussian: ahead in 1 of 2, lead −0.2 to 0.8 sd."


def test_strips_of_one_problem_share_a_scale() -> None:
    drawing = book_leads.draw_leads(
        [make_lead(4.0, 4.0), make_lead(-1.0, -1.0), make_lead(0.001, 0.001, problem="Risk <now>")]
    )
    places = [float(x) for x in re.findall(rf'<circle cx="([\d.]+)" cy="[\d.]+" r="{book_leads.RADIUS}"', drawing)]
    edge, quarter = book_leads.MIDDLE + book_leads.REACH, book_leads.MIDDLE - book_leads.REACH / 4
    assert places == [edge, edge, quarter, quarter, edge, edge]
    assert "Risk &lt;now&gt;" in drawing


def test_dots_that_would_hide_each_other_are_set_apart() -> None:
    across = np.array([0, 1, 2, 30, 31])
    lifted = book_leads.spread_dots(across) / (book_leads.RADIUS + 0.5)
    np.testing.assert_array_equal(lifted, [0, 1, -1, 0, 1])


def test_a_lead_is_drawn_with_both_of_its_standard_errors() -> None:
    lines = find_rows("lead")
    doubts = book_leads.read_doubts(lines)
    assert doubts.second == 0.017
    assert doubts.tell().startswith("pieces ahead of network in 9 of 10 runs; the mean lead by run within 0.0")
    assert ", by wording within −0.0" in doubts.tell()
    assert book_leads.draw_doubts(doubts).count("<circle") == 10 + 2
    with pytest.raises(article.ArticleError, match="expected one, other"):
        book_leads.read_doubts(lines[:2])


def test_a_minus_turns_a_lead_round_and_another_form_is_refused() -> None:
    line = "Fault | two rules | share | {}bands:smart_home/two rules minus VAE"
    plain, turned = (book_leads.read_lead(line.format(sign)) for sign in ("", "-"))
    np.testing.assert_array_equal(turned.values, -plain.values)
    with pytest.raises(article.ArticleError, match="expected - problem"):
        book_leads.read_lead("Fault | two rules | bands:smart_home/two rules minus VAE")
    with pytest.raises(article.ArticleError, match="does not hold it"):
        book_leads.read_lead("Fault | two rules | share | bands:smart_home/nothing of the kind")


def test_what_the_page_says_of_the_figure_is_what_it_shows() -> None:
    lines = find_rows("leads")
    leads = {(lead.problem, lead.rival): lead.verdict for lead in map(book_leads.read_lead, lines)}
    assert len(leads) == len(lines) == 12
    apart = {name for name, verdict in leads.items() if verdict == book_leads.APART}
    assert {problem for problem, _ in apart} >= {"Odd sensors"}
    ahead = {name for name, verdict in leads.items() if verdict == book_leads.AHEAD}
    weak = {("Gaps in a table", "column means"), ("Risk of tomorrow", "one limit")}
    made = {("Half-way picture", "distances"), ("Next token", "counting")}
    assert ahead == weak | made
    strong = {("Gaps in a table", "one Gaussian"), ("Risk of tomorrow", "GARCH"), ("Rare sixes", "turned copies")}
    for name in strong:
        assert leads[name] == book_leads.BEHIND


def test_a_difference_that_the_page_calls_none_may_be_of_either_sign() -> None:
    ends = article.find_values("bands:smart_home/VAE minus Mahalanobis")
    assert ends.min() < 0 < ends.max()


def test_what_the_page_says_of_every_run_is_so() -> None:
    for above in ("bands:smart_home/two rules minus VAE", "bands:entertainment/next token, transformer over counting"):
        assert article.find_values(above).min() > 0
    assert article.find_values("bands:interpretability/deletion: gradient minus ink").max() < 0
    assert article.find_values("checks:entertainment/the plain way wins the slant").all()
    assert article.find_values("bands:entertainment/slant missed far out, without the shear").min() > 0


def test_where_a_row_of_numbers_is_decided_one_generative_model_alone_is_clearly_ahead_in_most_runs() -> None:
    decided = ["diagnosis, −cost (logistic regression)", "odd patients, AUC (one column)"]
    decided += ["holes, at random, −error (Gaussian)", "course of a disease, −score (ridge)"]
    checks = [f"medicine/the VAE wins, {name}" for name in decided]
    checks += ["fintech/the VAE beats GARCH", "fintech/a VAE's loans earn more"]
    assert max(article.find_values(f"checks:{check}").sum() for check in checks) < 5
    eye = article.find_values("checks:medicine/the VAE wins, treatment by the eye, gain (two regressions)")
    assert eye.sum() > 5


def test_two_ways_to_count_runs_disagree_on_the_lead_of_the_walk_and_one_run_makes_that_of_the_exercise() -> None:
    pieces, network = (
        article.find_values(f"bands:background/intent accuracy, {name}") for name in ("TF-IDF", "network")
    )
    leads = pieces - network
    assert leads.mean() > 2 * leads.std(ddof=1) / np.sqrt(len(leads))
    assert round(leads.mean() / 2, 3) == 0.007 < 0.017 / 2
    column = article.find_values("bands:medicine/AUC, −ELBO less one column")
    assert 0 < column.mean() < 2 * column.std(ddof=1) / np.sqrt(len(column))
    assert column.max() > column.sum() / 2


def test_what_the_page_quotes_of_one_run_stands_in_its_chapter() -> None:
    quoted = {
        "background": [
            *("which here is 0.017", "ahead of the network, by 0.007", "mistakes on new wordings, 0.336"),
            *("up to 34 thousand dollars", "cost 3 dollars", "and 324 with the dearest", "cost 1,000 dollars more"),
            *("exactly one of them is right on a share", "a lead of five needs eight hundred"),
        ],
        "privacy": ["has an AUC of 0.71", "Clipping alone leaves 0.67", "it is 0.509"],
        "large_models": ["That is better in both columns than either fine-tuned model"],
        "fintech": ["that of the single limit 126.3", "GARCH 102.1", "loss=5,", "gain=1,"],
        "entertainment": ["the distance field 4.1", "counting 3 tokens in a row 1.82"],
    }
    for name, told in quoted.items():
        chapter = (faq_page.ROOT / "notebooks" / f"{name}.ipynb").read_text(encoding="utf-8")
        assert [words for words in told if words not in chapter] == []


def test_the_spread_that_gave_a_wrong_noise_away_is_that_of_the_page_of_questions() -> None:
    assert "the spread fell to 0.37 of what is usual" in PAGE.read_text(encoding="utf-8")
    assert "'spread': 0.37}" in faq_page.PAGE.read_text(encoding="utf-8")


def test_a_spread_is_the_mean_with_the_least_and_the_most(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(article, "find_values", {"bands:a/gain": np.array([-0.5, 0.25, 1.0])}.__getitem__)
    assert article.tell_spread("bands:a/gain") == "0.25 (−0.5 to 1)"


def test_the_command_on_the_page_is_the_one_that_there_is() -> None:
    page = PAGE.read_text(encoding="utf-8")
    assert f"python -m {service.__name__}\n" in page
    assert page.count(f"python -m {service.__name__} digits-0.9.0\n") == 2  # made, and gone back to
    assert "http://127.0.0.1:8000/draw" in BLOCKS[1][0]


def test_whoever_asks_a_service_that_is_away_or_silent_is_told(ran: tuple[list[str], dict[str, Any], Path]) -> None:
    with socket.create_server(("127.0.0.1", 0)) as silent:  # takes the call, and says nothing
        address = f"http://127.0.0.1:{silent.getsockname()[1]}/draw"
        assert ran[1]["ask"]({"count": 1}, address, 0.2)["error"].startswith("no answer: ")
    assert ran[1]["ask"]({"count": 1}, address)["error"].startswith("no answer: ")


@pytest.mark.parametrize(
    "answer", [b"", b"HTTP/1.1 502 Bad Gateway\r\n\r\n<html>", b'HTTP/1.1 200 OK\r\nContent-Length: 99\r\n\r\n{"vers']
)
def test_whoever_gets_no_whole_answer_is_told(answer: bytes, ran: tuple[list[str], dict[str, Any], Path]) -> None:
    def reply(server: socket.socket) -> None:
        caller, _ = server.accept()
        with caller:
            caller.recv(10_000)
            caller.sendall(answer)

    with socket.create_server(("127.0.0.1", 0)) as server:
        threading.Thread(target=reply, args=(server,), daemon=True).start()
        address = f"http://127.0.0.1:{server.getsockname()[1]}/draw"
        assert ran[1]["ask"]({"count": 1}, address)["error"].startswith("no answer: ")


def test_an_older_version_is_made_and_then_started_as_the_page_shows(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    def stop(server: service.Server) -> None:
        raise KeyboardInterrupt

    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr(service.Server, "serve_forever", stop)
    monkeypatch.setattr(service, "train_generator", lambda: networks.build_dense_decoder(16))
    told = re.findall(r"(?ms)digits-0\.9\.0\n```\n\n```text\n(.+?)```", PAGE.read_text(encoding="utf-8"))
    assert len(told) == 2
    for shown in told:
        assert service.main(["digits-0.9.0", "--port", "0"]) == 0
        printed = re.sub(r":\d+\n", ":8000\n", capsys.readouterr().out.removesuffix("Stopped.\n"))
        assert printed == shown


if __name__ == "__main__":
    with tempfile.TemporaryDirectory() as place, contextlib.chdir(place):
        outputs = run_page({"__name__": "product"})
        with Image.open("twelve.png") as twelve:
            blocks = [break_row(row) for row in (np.asarray(twelve), draw_wrongly(Path("digits-1.0.0")))]
        picture = Image.new("LA", (504, 352))  # nothing between the blocks
        for block, top in zip(blocks, (0, 184), strict=True):
            picture.paste(Image.fromarray(block).resize((504, 168), Image.Resampling.NEAREST).convert("LA"), (0, top))
        picture.save(PICTURE, optimize=True)
    faq_page.write_outputs(PAGE, outputs)
