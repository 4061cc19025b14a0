"""A cross-encoder for tests: a few words, one layer, and weights that are drawn at random and mean nothing."""

from __future__ import annotations

from pathlib import Path

from engine.sources.library.heavy import load_sentence_transformers

_WORDS = [
    "[PAD]",
    "[UNK]",
    "[CLS]",
    "[SEP]",
    "[MASK]",
    "oil",
    "lamp",
    "tower",
    "the",
    "of",
    "burns",
    "whale",
    "keeper",
    "dusk",
    "[",
    "]",
    "sep",
]


def save(folder: Path) -> Path:
    """Make it in ``folder``, as safetensors."""
    load_sentence_transformers()
    import torch
    from transformers import BertConfig, BertForSequenceClassification, BertTokenizerFast

    folder.mkdir(parents=True)
    (folder / "vocab.txt").write_text("\n".join(_WORDS) + "\n")
    torch.manual_seed(1)
    size = {"hidden_size": 16, "num_hidden_layers": 1, "num_attention_heads": 2, "intermediate_size": 16}
    config = BertConfig(vocab_size=len(_WORDS), max_position_embeddings=64, num_labels=1, initializer_range=0.4, **size)
    BertForSequenceClassification(config).save_pretrained(folder)
    BertTokenizerFast(vocab=str(folder / "vocab.txt")).save_pretrained(folder)
    return folder
