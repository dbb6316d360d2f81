from functools import partial

import pytest

import flambeau as fb
from flambeau.text import datasets, functional, transforms
from flambeau.text.data import bleu_score, get_tokenizer, ngrams_iterator
from flambeau.text.vocab import Vocab, build_vocab_from_iterator, vocab
from flambeau.utils.data import DataLoader


def test_vocab():
    v = build_vocab_from_iterator([["b", "a", "c"], ["a", "b", "a"]], specials=["<unk>", "<pad>"])
    assert v.get_itos() == ["<unk>", "<pad>", "a", "b", "c"] and len(v) == 5 and "b" in v and "x" not in v
    assert v(["c", "a"]) == v.lookup_indices(["c", "a"]) == [4, 2] and v["b"] == 3
    with pytest.raises(RuntimeError, match="Token x not found and default index is not set"):
        v["x"]
    v.set_default_index(v["<unk>"])
    assert v["x"] == 0 and v.get_default_index() == 0 and v.lookup_tokens([3, 2]) == ["b", "a"]
    v.insert_token("new", 2)
    v.append_token("last")
    assert v.get_stoi() == {"<unk>": 0, "<pad>": 1, "new": 2, "a": 3, "b": 4, "c": 5, "last": 6}
    with pytest.raises(RuntimeError, match="already exists"):
        v.append_token("a")
    with pytest.raises(RuntimeError, match="out of bounds"):
        v.lookup_token(7)
    again = Vocab([])
    again.load_state_dict(v.state_dict())
    assert again.get_itos() == v.get_itos() and again["unknown"] == 0


def test_vocab_limits():
    words = [["a"] * 3 + ["b"] * 2 + ["c"]]
    assert build_vocab_from_iterator(words, min_freq=2).get_itos() == ["a", "b"]
    v = build_vocab_from_iterator(words, specials=["<u>"], special_first=False, max_tokens=3)
    assert v.get_itos() == ["a", "b", "<u>"]
    assert vocab({"x": 1, "y": 5, "<u>": 9}, min_freq=2, specials=["<u>"]).get_itos() == ["<u>", "y"]
    with pytest.raises(AssertionError):
        build_vocab_from_iterator(words, specials=["<u>"], max_tokens=1)


def test_get_tokenizer():
    english = get_tokenizer("basic_english")
    assert english('You can\'t "do" that; (no)!<br />So: there.') == [
        "you", "can", "'", "t", "do", "that", "(", "no", ")", "!", "so", "there", "."
    ]  # fmt: skip
    assert get_tokenizer(None)("A b,c") == ["A", "b,c"] and get_tokenizer(list)("ab") == ["a", "b"]
    with pytest.raises(ValueError, match="Requested tokenizer moses"):
        get_tokenizer("moses")
    assert list(ngrams_iterator(["a", "b", "c"], 2)) == ["a", "b", "c", "a b", "b c"]


def test_bleu():
    candidate = [["My", "full", "pytorch", "test"], ["Another", "Sentence"]]
    references = [[["My", "full", "pytorch", "test"], ["Completely", "Different"]], [["No", "Match"]]]
    assert bleu_score(candidate, references) == pytest.approx(0.8408964276313782)  # torchtext's own example
    assert bleu_score([["a"]], [[["b"]]]) == 0.0


def test_functional_and_transforms(tmp_path):
    assert functional.truncate([[1, 2, 3], [4]], 2) == [[1, 2], [4]] and functional.truncate([1, 2], 1) == [1]
    assert functional.add_token([[1], [2]], 0, begin=False) == [[1, 0], [2, 0]]
    assert functional.str_to_int([["1"], ["2", "3"]]) == [[1], [2, 3]]
    assert functional.to_tensor([[1, 2], [3]], padding_value=9).tolist() == [[1, 2], [3, 9]]
    v = Vocab(["<pad>", "<s>", "a", "b"])
    steps = transforms.Sequential(
        transforms.VocabTransform(v),
        transforms.Truncate(2),
        transforms.AddToken(1),
        transforms.ToTensor(padding_value=0),
        transforms.PadTransform(5, 0),
    )
    assert steps([["a", "b", "a"], ["b"]]).tolist() == [[1, 2, 3, 0, 0], [1, 3, 0, 0, 0]]
    (tmp_path / "labels").write_text("dog\ncat\n")
    label = transforms.LabelToIndex(label_path=tmp_path / "labels", sort_names=True)
    assert label.label_names == ["cat", "dog"] and label("dog") == 1 and label(["cat", "dog"]) == [0, 1]


def test_pad_collate():
    samples = [([1, 2, 3], 0), ([4], 1)]
    numbers, lengths, labels = functional.pad_collate(samples, padding_value=-1)
    assert numbers.tolist() == [[1, 2, 3], [4, -1, -1]]
    assert lengths.tolist() == [3, 1] and labels.tolist() == [0, 1]
    loader = DataLoader(samples, batch_size=2, collate_fn=partial(functional.pad_collate, max_length=2))
    assert next(iter(loader))[0].tolist() == [[1, 2], [4, 0]]


def test_folder(tmp_path):
    for name, text in [("neg/1.txt", "bad"), ("pos/1.txt", "good é"), ("pos/2.txt", "great")]:
        (tmp_path / name).parent.mkdir(exist_ok=True)
        (tmp_path / name).write_text(text, encoding="utf-8")
    (tmp_path / "pos" / "notes.md").write_text("no")
    data = datasets.TextFolder(tmp_path, transform=str.upper)
    assert list(data) == [("BAD", 0), ("GOOD É", 1), ("GREAT", 1)]
    assert data.classes == ["neg", "pos"] and data.counts() == {"neg": 1, "pos": 2}
    with pytest.raises(FileNotFoundError, match="has no folders"):
        datasets.TextFolder(tmp_path / "pos")
    (tmp_path / "empty").mkdir()
    with pytest.raises(FileNotFoundError, match="no files ending in"):
        datasets.TextFolder(tmp_path)


def test_table(tmp_path):
    path = tmp_path / "a.csv"
    path.write_text('label,title,text\n10,One,"with, comma"\n9,Two,"two\nlines"\n', encoding="utf-8")
    data = datasets.TextTable(path, text=["title", "text"])
    assert data.classes == ["9", "10"] and list(data) == [("One with, comma", 1), ("Two two\nlines", 0)]
    with pytest.raises(ValueError, match="has no column 'body'; it has label, title, text"):
        datasets.TextTable(path, text="body")
    tsv = tmp_path / "b.tsv"
    tsv.write_text("x\tyes\ny\tno\n")
    assert list(datasets.TextTable(tsv, 0, 1)) == [("x", 1), ("y", 0)]
    tsv.write_text("x" * 200_000 + "\tyes\n")
    assert len(datasets.TextTable(tsv, 0, 1)[0][0]) == 200_000
    tsv.write_text("x\tyes\ny\n")
    with pytest.raises(ValueError, match="row 2: 1 columns"):
        datasets.TextTable(tsv, 0, 1)


def test_fortunes(tmp_path):
    (tmp_path / "art").write_text("One.\n\t-- A\n%\nTwo,\n\nstill two.\n%\n", encoding="utf-8")
    (tmp_path / "work").write_text("A % in a line\n%\n" + "long " * 50, encoding="utf-8")
    (tmp_path / "art.dat").write_bytes(b"\0\1")
    data = datasets.Fortunes(tmp_path, longest=100)
    assert data.classes == ["art", "work"] and data.targets == [0, 0, 1]
    assert data.texts == ["One.\n\t-- A", "Two,\n\nstill two.", "A % in a line"]
    assert len(datasets.Fortunes(tmp_path, ["work"])) == 2
    with pytest.raises(FileNotFoundError, match="apt install fortunes"):
        datasets.Fortunes(tmp_path / "missing")


def test_import_torchtext():
    with fb.install_as_torch():
        import torchtext
        from torchtext.data.utils import get_tokenizer as same
        from torchtext.vocab import build_vocab_from_iterator as build

        assert same is get_tokenizer and build is build_vocab_from_iterator
        assert torchtext.transforms.Truncate is transforms.Truncate
