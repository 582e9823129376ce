"""``holdfast datasets``: exit codes and documents."""

from __future__ import annotations

from pathlib import Path

from company import Call

SHOP = ("-p", "shop")
WORDS = (*SHOP, "--json")


def test_a_datasets_life(shop: Path, home: Path, call: Call) -> None:
    assert "holdfast build" in call("datasets", "list", *SHOP).out
    assert call("datasets", "show", *WORDS).code == 1
    for last in ("2023-09-01", "2023-10-01"):
        assert call("build", *SHOP, "--set", f"data.cutoffs.last={last}").code == 0
    listed = call("datasets", "list", *WORDS).json
    assert listed["verb"] == "datasets-list"
    newest, oldest = (d["dataset_id"] for d in listed["report"]["datasets"])
    differs = call("datasets", "compare", oldest[:8], newest[:8], *WORDS).json["report"]
    assert differs["config"] == {"data.cutoffs.last": ["2023-09-01", "2023-10-01"]}
    assert [c["identical"] for c in differs["cutoffs"]][-2:] == [True, False]
    for words in (("list",), ("show",), ("compare", oldest, newest), ("verify",)):
        said = call("datasets", *words, *SHOP)
        assert (said.code, said.err) == (0, "")
        assert max(map(len, said.out.splitlines())) <= 100

    for words in (("show", "zz"), ("compare", newest, "zz"), ("verify", "zz"), ("remove", "zz"), ("show", "")):
        said = call("datasets", *words, *WORDS)
        assert (said.code, said.json["error"]["kind"]) == (2, "UsageError")
    close = call("datasets", "show", newest[:-1] + "z", *SHOP)
    assert f"did you mean '{newest}'?" in close.err
    assert call("train", *SHOP, "--dataset", "zz").code == call("audit", *SHOP, "--dataset", "zz").code == 2
    assert call("datasets", "remove", oldest, "--keep", "1", *SHOP).code == 2
    assert call("datasets", "remove", newest, *SHOP).code == 2

    part = home / "var/shop/datasets" / oldest / "cutoff=2023-09-01" / "part-0.parquet"
    part.write_bytes(part.read_bytes()[:-1])  # the newest's file too: it is one
    for name in (oldest, newest):
        bad = call("datasets", "verify", name, *WORDS)
        assert bad.code == 1
        (problem,) = bad.json["error"]["problems"]
        assert problem["where"].endswith(f"{name}/cutoff=2023-09-01/part-0.parquet")
    assert call("datasets", "remove", "--keep", "1", "--dry-run", *WORDS).json["report"]["removed"] == [oldest]
    assert call("datasets", "remove", "--keep", "1", *SHOP).code == 0
    assert not part.exists()
    again = call("build", *SHOP, "--force", "--set", "data.cutoffs.last=2023-10-01")
    assert again.code == 0
    assert call("datasets", "verify", *SHOP).code == 0
