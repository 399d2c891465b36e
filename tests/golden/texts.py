"""The texts of the golden vectors: ordinary ones, and those that trip encoders up."""

from __future__ import annotations

EDGES = {
    "empty": "",
    "spaces": "  \t\n  ",
    "one word": "word",
    "one letter": "a",
    "ten thousand words": "word " * 10_000,
    "ten thousand different words": " ".join(f"w{number}" for number in range(10_000)),
    "emoji": "😀😀 party 🎉 with a 👩‍👩‍👧 family",
    "Chinese": "敏捷的棕色狐狸跳过了懒狗，然后睡着了。",
    "Japanese": "吾輩は猫である。名前はまだ無い。",
    "Arabic": "السلام عليكم ورحمة الله",
    "Russian": "Все счастливые семьи похожи друг на друга.",
    "German": "Die Donaudampfschifffahrtsgesellschaft vergibt Kapitänspatente.",
    "control characters": "a\x00b\x07c\u200bd\ufeffe\x1b[31mred",
    "accents, composed and not": "café cafe\u0301 naïve nai\u0308ve",
    "one long token": "x" * 500,
    "accents only": "é" * 600,
    "punctuation": "?!... --- ((())) ;;; \"'\"'",
    "numbers": "3.14159 2,718,281 0x7fff 1e-9 192.168.0.1 2024-02-29",
    "special tokens as text": "[CLS] what does [SEP] mean in [MASK] a [PAD] tokenizer",
    "code": "def add(a: int, b: int) -> int:\n    return a + b  # see parseHTTPResponse and snake_case_names",
    "markup": "<p class='x'>Hello &amp; <b>welcome</b></p>",
    "address": "https://example.org/path/to/page.html?query=one%20two#part",
}

QUERIES = [
    "how do I renew the certificate",
    "side effects of ibuprofen in children",
    "who wrote the first compiler",
    "bread does not rise",
    "difference between tcp and udp",
    "when to prune apple trees",
    "restore a deleted branch",
    "meaning of recall at 100",
]

PASSAGES = [
    "The certificate expires every ninety days. Run the renewal command from the scheduler twice a day; it does "
    "nothing until fewer than thirty days remain, and then it replaces the files and reloads the web server.",
    "Sourdough needs time more than strength. A cool kitchen slows the yeast, so the dough that doubled in four hours "
    "in July may need nine in January. Judge it by its volume and by the bubbles at the edge, not by the clock.",
    "A red blood cell has no nucleus when it is mature. It gives up that room for haemoglobin, lives for about a "
    "hundred and twenty days, and is taken apart in the spleen, where its iron is kept for the next one.",
    "TCP keeps a window of unacknowledged segments and shrinks it when packets are lost. UDP sends each datagram once "
    "and tells nobody, which is why voice calls use it: a late word is worth less than a missing one.",
    "In the spring of 1848 the committee met eleven times and agreed on nothing but the colour of the ink. Its "
    "minutes, found in a cupboard of the town hall, are the only record of the first railway plan.",
    "The index is split into segments that never change. A delete marks a document in a bitmap; a merge writes a new "
    "segment without the marked ones and swaps the list of segments in one atomic rename.",
    "Prune apple trees while they sleep, from leaf fall to bud swell, on a dry day without frost. Take out what is "
    "dead, what crosses and what grows inward, and stop before a quarter of the crown is gone.",
    "Whether vitamin D supplementation lowers the incidence of acute respiratory infection remains disputed: the "
    "pooled odds ratio of twenty-five randomised trials was 0.88 (95% confidence interval 0.81 to 0.96).",
    "The cat sat on the windowsill and watched the snow, as it had every winter since the house was built, and for all "
    "anyone knew it was the same cat.",
    "Interest is compounded monthly at one twelfth of the annual rate; a payment that arrives after the fifteenth "
    "counts for the following month. The fee for early repayment ends after the third year.",
    "A hash function maps keys of any length to a fixed range. Two keys may meet in one slot; chaining keeps a list "
    "there, open addressing looks for the next free slot, and cuckoo hashing throws the tenant out.",
    "She tuned the second string down to D, which gave the old song the drone it needed, and played it through twice "
    "before anyone noticed that the others had stopped.",
    "To restore a deleted branch, find the last commit it pointed to in the reflog and create the branch again at that "
    "commit. Unreachable commits are kept for thirty days by default, then removed.",
    "Granite is made of quartz, feldspar and mica that cooled slowly enough to grow crystals one can see. The same "
    "melt, cooled quickly at the surface, becomes rhyolite.",
]

TEXTS = [*EDGES.values(), *QUERIES, *PASSAGES]
