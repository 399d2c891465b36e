"""sentence-transformers on torch, for one model: made with random weights where there are no others, then timed."""

from __future__ import annotations

import time
from importlib.metadata import version
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

from adapter import Adapter, serve

_SPREAD = 0.05
"""Standard deviation of random weights: with transformers' own 0.02 every text has nearly the same vector."""


class Torch(Adapter):
    name = "sentence-transformers on torch"
    settings = "fp32, batches of 32"

    def version(self) -> str:
        return ", ".join(
            f"{name} {version(name)}" for name in ("sentence-transformers", "torch", "transformers")
        )

    def make(self, folder: str, shape: dict[str, Any], tokenizer: str, tokens: int) -> None:
        """Write a model of a shape (fields of benchmarks.shapes.Shape) with random weights into `folder`."""
        from torch import manual_seed

        manual_seed(1)
        judge = shape["kind"] == "reranker"
        with TemporaryDirectory() as work:
            inner = Path(folder) if judge else Path(work)
            _network(shape, tokens, judge).eval().save_pretrained(inner)
            _tokenizer(tokenizer, shape["family"], tokens).save_pretrained(inner)
            if not judge:
                _modules(inner, shape, tokens).save(folder)

    def load(self, model: str, kind: str, tokens: int, threads: int) -> None:
        """Load a model folder, of `kind` encoder or reranker."""
        import torch
        from sentence_transformers import CrossEncoder, SentenceTransformer

        torch.set_num_threads(threads)
        if kind == "reranker":
            self._judge = CrossEncoder(model, device="cpu", max_length=tokens, local_files_only=True)
            return
        self._judge = None
        self._model = SentenceTransformer(model, device="cpu", local_files_only=True)
        self._model.max_seq_length = tokens

    def vectors(self, texts: list[str], query: str = "") -> Any:
        """Embeddings of passages; for a re-ranker the scores of each with one query, shape (n, 1)."""
        if self._judge is None:
            return self._model.encode_document(texts, show_progress_bar=False)
        from torch.nn import Identity

        pairs = [(query or texts[0], text) for text in texts]
        return self._judge.predict(pairs, activation_fn=Identity(), show_progress_bar=False).reshape(-1, 1)

    def queries(self, texts: list[str], passages: list[str]) -> list[float]:
        """Milliseconds of each query: to encode it, or to score the passages with it."""
        took = []
        for text in texts:
            started = time.perf_counter()
            if self._judge is None:
                self._model.encode_query(text, show_progress_bar=False)
            else:
                self.vectors(passages, text)
            took.append((time.perf_counter() - started) * 1e3)
        return took


def _network(shape: dict[str, Any], tokens: int, judge: bool) -> Any:
    import transformers

    config = transformers.AutoConfig.for_model(
        shape["family"],
        vocab_size=shape["pieces"],
        hidden_size=shape["width"],
        num_hidden_layers=shape["layers"],
        num_attention_heads=shape["heads"],
        intermediate_size=shape["inner"],
        max_position_embeddings=tokens + 2,  # RoBERTa's positions begin at 2
        initializer_range=_SPREAD,
        **({"num_labels": 1} if judge else {}),
        **_special(shape["family"]),
    )
    kind = transformers.AutoModelForSequenceClassification if judge else transformers.AutoModel
    return kind.from_config(config)


def _special(family: str) -> dict[str, int]:
    """Ids of special tokens of the tokenizers used: XLM-R's, or BERT's."""
    if family == "xlm-roberta":
        return {"pad_token_id": 1, "bos_token_id": 0, "eos_token_id": 2, "type_vocab_size": 1}
    names = ("bos_token_id", "eos_token_id", "cls_token_id", "sep_token_id")
    return {"pad_token_id": 0, **dict(zip(names, (101, 102, 101, 102)))}


def _tokenizer(file: str, family: str, tokens: int) -> Any:
    from tokenizers import Tokenizer
    from transformers import PreTrainedTokenizerFast

    plain = Tokenizer.from_file(file)
    plain.no_truncation()
    plain.no_padding()
    bert = ["[PAD]", "[UNK]", "[CLS]", "[SEP]", "[MASK]"]
    xlm = ["<pad>", "<unk>", "<s>", "</s>", "<unk>"]
    roles = ("pad_token", "unk_token", "cls_token", "sep_token", "mask_token")
    inputs = ["input_ids", "attention_mask", *(["token_type_ids"] if family == "bert" else [])]
    special = dict(zip(roles, xlm if plain.token_to_id("[PAD]") is None else bert))
    return PreTrainedTokenizerFast(
        tokenizer_object=plain, model_max_length=tokens, model_input_names=inputs, **special
    )


def _modules(inner: Path, shape: dict[str, Any], tokens: int) -> Any:
    from sentence_transformers import SentenceTransformer, models
    from torch.nn import Identity

    parts: list[Any] = [models.Transformer(str(inner), max_seq_length=tokens)]
    parts.append(models.Pooling(shape["width"], shape["pooling"]))
    if shape["dense"]:
        parts.append(models.Dense(shape["width"], shape["dense"], activation_function=Identity()))
    return SentenceTransformer(modules=[*parts, models.Normalize()], device="cpu")


if __name__ == "__main__":
    serve(Torch())
