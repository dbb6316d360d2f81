"""The goldens are what Hugging Face's tokenizers (BertWordPieceTokenizer) give for the same pieces."""

import importlib.util
import json

import pytest

from flambeau.text.tokenizers import HuggingFaceTokenizer, SentencePieceTokenizer, WordPieceTokenizer
from flambeau.text.transforms import BERTTokenizer

PIECES = (
    "[PAD] [UNK] [CLS] [SEP] [MASK] un ##aff ##able the cafe café na ##ive i . ' t $ 3 50 日 本 ##s dog "
    "strasse 東 ##k ß fi"
).split()
UNCASED = {
    "The unaffable dogs.": "the un ##aff ##able dog ##s .",
    "Café NAÏVE": "cafe na ##ive",
    "don't $3.50": "[UNK] ' t $ 3 . 50",
    "日本 日本語": "日 本 日 本 [UNK]",
    "x" * 101: "[UNK]",
    "i\u0307 \u200bthe\t\nfi ﬁ": "i the fi [UNK]",
    "[MASK] [SEP]the": "[MASK] [SEP] the",
    "STRASSE ß": "strasse ß",
    "": "",
}
CASED = {
    "The unaffable dogs.": "[UNK] un ##aff ##able dog ##s .",
    "Café NAÏVE": "[UNK] [UNK]",
    "i\u0307 \u200bthe\t\nfi ﬁ": "[UNK] the fi [UNK]",
    "STRASSE ß": "[UNK] ß",
}


@pytest.mark.parametrize("lowercase, expected", [(True, UNCASED), (False, CASED)])
def test_pieces(lowercase, expected):
    tokenizer = WordPieceTokenizer(PIECES, lowercase=lowercase)
    for text, pieces in expected.items():
        assert tokenizer.tokenize(text) == pieces.split(), text


def test_numbers_pairs_and_batches():
    tokenizer = WordPieceTokenizer(PIECES)
    assert tokenizer.encode("the dogs") == [2, 8, 23, 22, 3] and len(tokenizer) == len(PIECES)
    assert tokenizer.encode("the", "dogs.") == [2, 8, 3, 23, 22, 14, 3]
    assert tokenizer.decode([2, 8, 23, 22, 3, 0]) == "the dogs"
    batch = tokenizer(["the dogs.", "the"], max_length=5)
    assert batch["input_ids"].tolist() == [[2, 8, 23, 22, 3], [2, 8, 3, 0, 0]]
    assert batch["attention_mask"].tolist() == [[1, 1, 1, 1, 1], [1, 1, 1, 0, 0]]
    with pytest.raises(ValueError, match="lacks the special pieces"):
        WordPieceTokenizer(["a", "[UNK]"])


@pytest.mark.parametrize(
    "first, second, room, lengths",  # the lengths that tokenizers' longest_first leaves
    [
        (4, 4, 8, (4, 4)),
        (10, 2, 7, (5, 2)),
        (2, 10, 7, (2, 5)),
        (9, 8, 7, (4, 3)),
        (8, 9, 7, (3, 4)),
        (5, 5, 7, (3, 4)),
    ],
)
def test_truncated_pairs(first, second, room, lengths):
    numbers = WordPieceTokenizer(PIECES).encode("the " * first, "dog " * second, max_length=room + 3)
    assert (numbers.count(8), numbers.count(23)) == lengths and len(numbers) == sum(lengths) + 3


def test_files(tmp_path):
    (tmp_path / "vocab.txt").write_text("\n".join(PIECES) + "\n", encoding="utf-8")
    assert WordPieceTokenizer.from_file(tmp_path).pieces == PIECES
    settings = {
        "model": {
            "type": "WordPiece",
            "vocab": {piece: number for number, piece in enumerate(PIECES)},
            "unk_token": "[UNK]",
            "max_input_chars_per_word": 4,
        },
        "normalizer": {"type": "BertNormalizer", "lowercase": False, "strip_accents": None},
    }
    (tmp_path / "tokenizer.json").write_text(json.dumps(settings), encoding="utf-8")
    tokenizer = WordPieceTokenizer.from_file(tmp_path)
    assert tokenizer.tokenize("Café dogs unaff") == ["[UNK]", "dog", "##s", "[UNK]"]
    settings["model"]["type"] = "BPE"
    (tmp_path / "tokenizer.json").write_text(json.dumps(settings))
    with pytest.raises(NotImplementedError, match="BPE model"):
        WordPieceTokenizer.from_file(tmp_path / "tokenizer.json")
    bert = BERTTokenizer(str(tmp_path / "vocab.txt"), return_tokens=True)
    assert bert(["the dogs"]) == [["the", "dog", "##s"]]
    assert BERTTokenizer(str(tmp_path / "vocab.txt"))("the dogs") == ["8", "23", "22"]


@pytest.mark.skipif(importlib.util.find_spec("tokenizers") is None, reason="tokenizers is not installed")
def test_hugging_face(tmp_path):
    import tokenizers

    made = tokenizers.BertWordPieceTokenizer({piece: n for n, piece in enumerate(PIECES)})
    made.save(str(tmp_path / "tokenizer.json"))
    theirs = HuggingFaceTokenizer.from_file(tmp_path / "tokenizer.json")
    ours = WordPieceTokenizer.from_file(tmp_path / "tokenizer.json")
    for text in UNCASED:
        assert theirs.tokenize(text) == ours.tokenize(text)
        assert theirs.encode(text, max_length=4) == ours.encode(text, max_length=4)
    assert theirs.pad_id == 0 and len(theirs) == len(ours)
    assert (
        theirs(["the dogs", "the"])["input_ids"].tolist() == ours(["the dogs", "the"])["input_ids"].tolist()
    )


@pytest.mark.skipif(
    importlib.util.find_spec("sentencepiece") is None, reason="sentencepiece is not installed"
)
def test_sentencepiece(tmp_path):
    import sentencepiece

    (tmp_path / "text").write_text("the dog and the cat and the dog\n" * 50)
    sentencepiece.SentencePieceTrainer.train(
        input=str(tmp_path / "text"), model_prefix=str(tmp_path / "m"), vocab_size=30, hard_vocab_limit=False
    )
    tokenizer = SentencePieceTokenizer.from_file(tmp_path / "m.model")
    numbers = tokenizer.encode("the cat")
    assert numbers[0] == 1 and numbers[-1] == 2 and tokenizer.decode(numbers[1:-1]) == "the cat"
    assert (
        tokenizer.encode("the cat", max_length=3)[-1] == 2
        and len(tokenizer.encode("the cat", max_length=3)) == 3
    )
    assert "".join(tokenizer.tokenize("the cat")) == "▁the▁cat"


@pytest.mark.parametrize("kind", [HuggingFaceTokenizer, SentencePieceTokenizer])
def test_a_missing_package_is_named(kind, monkeypatch):
    import sys

    monkeypatch.setitem(sys.modules, "tokenizers", None)
    monkeypatch.setitem(sys.modules, "sentencepiece", None)
    with pytest.raises(ImportError, match=r'pip install "flambeau\[text\]"'):
        kind.from_file("x")
