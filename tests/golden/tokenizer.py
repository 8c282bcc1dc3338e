#!/usr/bin/env python3
"""Makes tests/data/tokenizer: two small tokenizers trained on the text below, and golden ids by Python's sentencepiece.

    tiny.model     SentencePiece BPE with byte fallback and two user pieces, no normalization
    tiny.bin       llama2.c's tokenizer.bin, without the user pieces
    plain.model    no byte fallback, extra spaces removed, no prefix
    cases.txt      "tiny|plain|llama2 HEX-OF-TEXT ID ID ...": by sentencepiece
    cases_bin.txt  "HEX-OF-TEXT ID ID ...": tiny.bin by the plain algorithm of llama2.c, bos included
    files.txt      "NAME COUNT CRC32" of the ids (int32) of whole files in ../shared/data by the Llama 2 model

Run from the repository's root: python3 tests/golden/tokenizer.py
"""
import io, os, struct, zlib
import sentencepiece as spm

OUT = "tests/data/tokenizer"
SHARED = "../shared/data"
TEXT = """The sea anemone sits on its stone and waits for the tide.
When the water comes, it opens its arms, one after the other, and the small fish hide between them.
A crab walks by. "Good morning," says the crab. "Is there room for me, too?"
"There is always room," says the anemone, "but mind the stings!"
So the crab sits down beside the stone, and they talk about the weather under the waves.
Once upon a time there was a little boat that wanted to see the other side of the world.
It had one sail, two oars and three holes; it didn't know how to swim.
The wind said: go north. The moon said: go home. The boat went nowhere at all, and that was good as well.
Numbers are words, too: 1, 2, 3, 10, 42, 1000 and 1,000,000 are all small next to the grains of sand.
for (int i = 0; i < n; i++) { sum += x[i] * y[i]; }
    if (sum > limit) return false;
Ärger über Öl: die Straße ist naß. Le garçon a mangé une crêpe près du café. ¿Dónde está el niño?
Море волнуется раз, море волнуется два. 海は広いな 大きいな。
The teacher asked the children what they had seen. They had seen the sea, the sand, the sun and the stars.
What the children had not seen was the anemone, for it had closed its arms when the tide went out.
"""

NASTY = [
    "", " ", "  ", "   ", "a", " a", "a ", "  a  b   c ", "\n", "\n\n", "\n \n", "\t\tx\n", "The sea", "thethethe", "aaaaaaaaaaaa",
    "The sea anemone sits on its stone.", "<s>", "</s>", "<unk>", "<0x41>", "<0x0A>\n", "ÄÖÜ ß", "море 海は広いな", "🌊🐚",
    "e\u0301", "\u200b\ufeff", "a\u00a0b", "x<|story|>y", "<|story|><|story|> ", "  <|story|>", "==>==>", "=>", "===>",
    "mixed 🐙 text, with 漢字 and тест 123 4567", "return  false;\r\n", "\x01\x02\x7f", "A" * 50 + " " * 17 + "z" * 9,
]


def train(name, **options):
    model = io.BytesIO()
    spm.SentencePieceTrainer.train(sentence_iterator=iter(TEXT.splitlines() * 4), model_writer=model, model_type="bpe",
        normalization_rule_name="identity", num_threads=1, minloglevel=2, max_sentence_length=10000, **options)
    if name:
        with open(f"{OUT}/{name}", "wb") as f:
            f.write(model.getvalue())
    return spm.SentencePieceProcessor(model_proto=model.getvalue())


def write_bin(sp, name):
    """As llama2.c's export does: markers around bos and eos, U+2581 made a space."""
    pieces = []
    for i in range(sp.vocab_size()):
        text = sp.id_to_piece(i)
        text = {sp.bos_id(): "\n<s>\n", sp.eos_id(): "\n</s>\n"}.get(i, text)
        pieces.append((text.replace("\u2581", " ").encode(), sp.get_score(i)))
    with open(f"{OUT}/{name}", "wb") as f:
        f.write(struct.pack("<i", max(len(p) for p, _ in pieces)))
        for text, score in pieces:
            f.write(struct.pack("<fi", score, len(text)) + text)
    return pieces


def llama2c_encode(pieces, text):
    """The plain greedy algorithm: best score, leftmost first."""
    index = {p: i for i, (p, _) in enumerate(pieces)}
    ids = [1] + ([index[b" "]] if text else [])
    i = 0
    while i < len(text):
        j = i + 1
        while j < len(text) and j - i < 4 and text[j] & 0xC0 == 0x80:
            j += 1
        ids += [index[text[i:j]]] if text[i:j] in index else [b + 3 for b in text[i:j]]
        i = j
    while True:
        best, at, new = -1e10, -1, -1
        for k in range(len(ids) - 1):
            m = index.get(pieces[ids[k]][0] + pieces[ids[k + 1]][0], -1)
            if m >= 0 and pieces[m][1] > best:
                best, at, new = pieces[m][1], k, m
        if at < 0:
            return ids
        ids[at:at + 2] = [new]


def main():
    os.makedirs(OUT, exist_ok=True)
    common = dict(vocab_size=440, byte_fallback=True, remove_extra_whitespaces=False, character_coverage=0.98)
    tiny = train("tiny.model", user_defined_symbols=["<|story|>", "==>"], **common)
    plain = train("plain.model", vocab_size=200, byte_fallback=False, add_dummy_prefix=False)
    pieces = write_bin(train(None, **common), "tiny.bin")
    texts = NASTY + TEXT.splitlines()
    models = {"tiny": tiny}
    if os.path.exists(f"{SHARED}/llama2-tokenizer.model"):
        models["llama2"] = spm.SentencePieceProcessor(model_file=f"{SHARED}/llama2-tokenizer.model")
    with open(f"{OUT}/cases.txt", "w") as f:
        for name, sp in models.items():
            for text in texts:
                print(name, text.encode().hex() or "-", *sp.encode(text), file=f)
        for text in TEXT.splitlines():
            ids = plain.encode(text)
            if plain.unk_id() not in ids and "  " not in text:
                print("plain", text.encode().hex(), *ids, file=f)
    with open(f"{OUT}/cases_bin.txt", "w") as f:
        raw = [t.encode() for t in texts] + [b"\xff", b"\x80\x80\x80\x80\x80", b"a\xc3", b"a\x80\x80",  b"\xe6\xb5", b"\xf0\x9f\x90\x99\x99"]
        for text in raw:
            print(text.hex() or "-", *llama2c_encode(pieces, text), file=f)
    if "llama2" in models:
        with open(f"{OUT}/files.txt", "w") as f:
            for name in ("tinyshakespeare.txt", "tinystories-sample.txt"):
                ids = models["llama2"].encode(open(f"{SHARED}/{name}", newline="").read())
                print(name, len(ids), zlib.crc32(struct.pack(f"<{len(ids)}i", *ids)), file=f)


main()
