"""Text in legacy code pages, stateful and declared charsets, XML in them, and names in zip archives."""

from __future__ import annotations

import io
import unicodedata
import zipfile

import pytest

from localsearch.extract.decode import decode, known
from localsearch.extract.limits import Limits
from localsearch.extract.read import read

LIMITS = Limits(text=1_000_000, unpacked=10_000_000, members=100, depth=3, ocr=False)

WESTERN = {
    "de": "Der Bäcker verkauft süße Brötchen und große Kuchen für die Gäste.",
    "fr": "Le garçon a déjà mangé à l'école, près de la forêt où dort le chat.",
    "es": "La señora compró una piña y leyó el periódico de mañana en español.",
    "it": "La città è più bella di sera, perché c'è meno traffico e più quiete.",
    "pt": "A reunião não começará às nove, pois há informações em atraso.",
    "sv": "På våren går vi till sjön och äter smörgåsar med många vänner där.",
    "da": "Hun købte røde æbler på torvet og gik så hjem gennem gården.",
    "fi": "Pääsiäisen jälkeen menemme mökille, jossa järvi on jo sulanut täysin.",
}
OTHERS = {
    "cp1250": "Żółte źdźbła rosną wśród łąk, a świerszcze grają całą noc.",
    "iso8859-2": "Příliš žluťoučký kůň skákal přes potůček a tiše úpěl ďábelské ódy.",
    "cp1251": "Завтра утром поезд отправится с первой платформы в девять часов.",
    "koi8-r": "Завтра утром поезд отправится с первой платформы в девять часов.",
    "cp866": "Завтра утром поезд отправится с первой платформы в девять часов.",
    "cp1253": "Αύριο το πρωί το τρένο φεύγει από την πρώτη πλατφόρμα στις εννέα.",
    "cp1254": "Yarın sabah tren dokuzda birinci perondan kalkıyor, geç kalmayın, şemsiye alın.",
    "cp1255": "מחר בבוקר הרכבת יוצאת מהרציף הראשון בשעה תשע בדיוק.",
    "cp1256": "غدا صباحا يغادر القطار من الرصيف الأول في الساعة التاسعة.",
    "cp1257": "Rytoj ryte traukinys išvyksta iš pirmojo perono devintą valandą, nevėluokite.",
    "cp874": "พรุ่งนี้เช้ารถไฟจะออกจากชานชาลาแรกเวลาเก้าโมง",
    "cp932": "明日の朝、列車は九時に一番線から出発します。",
    "euc_jp": "明日の朝、列車は九時に一番線から出発します。",
    "gb18030": "明天早上火车九点从第一站台出发,请不要迟到。",
    "big5": "明天早上火車九點從第一月台出發,請不要遲到。",
    "cp949": "내일 아침 기차는 아홉 시에 첫 번째 승강장에서 출발합니다.",
}


@pytest.mark.parametrize("language", WESTERN)
@pytest.mark.parametrize("encoding", ["cp1252", "iso8859-15"])
def test_a_sentence_of_western_europe(language: str, encoding: str) -> None:
    text = WESTERN[language]
    assert decode(text.encode(encoding))[0] == text


@pytest.mark.parametrize("encoding", OTHERS)
def test_a_sentence_in_its_own_code_page(encoding: str) -> None:
    assert decode(OTHERS[encoding].encode(encoding))[0] == OTHERS[encoding]


@pytest.mark.parametrize(
    "text", ["Mañana", "Café Müller", "it’s 20 °C today", "don’t", "Straße", "smörgåsbord", "Ærø"]
)
def test_a_word_or_two_with_one_accent(text: str) -> None:
    assert decode(text.encode("cp1252"))[0] == text


def test_accents_that_come_late_in_a_long_text() -> None:
    text = "A line of plain words, as there are many.\n" * 4000 + "Der Bäcker sagt schöne Grüße.\n"
    assert decode(text.encode("cp1252"))[0] == text


def test_vietnamese_tones_are_joined_to_their_letters() -> None:
    text = "Sáng mai tàu sẽ khởi hành từ sân ga số một lúc chín giờ, xin đừng đến muộn."
    apart = "".join(
        (unicodedata.decomposition(sign) and sign not in "âêôăơưđ" and unicodedata.normalize("NFD", sign))
        or sign
        for sign in "Sáng mai tàu rời ga lúc chín giờ"
    )
    assert decode(apart.encode("cp1258", "ignore"), "windows-1258")[0].startswith("Sáng mai tàu")
    assert decode(text.encode())[0] == text


@pytest.mark.parametrize(
    ("encoding", "text"),
    [
        ("iso2022_jp", "会議は火曜日に変更されました。資料を送ります。"),
        ("iso2022_jp_ext", "ﾊﾝｶｸ の文字と会議"),
        ("iso2022_kr", "내일 아침 기차는 아홉 시에 출발합니다."),
    ],
)
def test_charsets_that_shift_are_known_by_their_escapes(encoding: str, text: str) -> None:
    assert decode(text.encode(encoding))[0] == text


@pytest.mark.parametrize(
    ("label", "codec"),
    [("hz-gb-2312", "hz"), ("utf-7", "utf-7"), ("ISO-2022-JP", "iso2022_jp"), ("x-sjis", "cp932"), ("GB2312", "gbk"),
     ("ks_c_5601-1987", "cp949"), ("ISO-8859-1", "cp1252"), ("windows-31j", "cp932")],
)  # fmt: skip
def test_what_is_declared_is_obeyed(label: str, codec: str) -> None:
    text = "Café – naïve" if codec in ("cp1252", "utf-7") else "会議 天"
    text = "회의 날씨" if codec == "cp949" else text
    text = "明天早上火车" if codec in ("hz", "gbk") else text
    assert decode(text.encode(codec), label)[0] == text


def test_what_is_declared_wrongly_is_not() -> None:
    text = OTHERS["cp1251"]
    assert decode(text.encode(), "windows-1252")[0] == text
    assert decode(text.encode("cp1251"), "shift_jis")[0] == text
    assert decode(text.encode("cp1251"), "no-such-charset")[0] == text


def test_labels_mean_the_larger_encoding() -> None:
    assert [known(name) for name in ("latin1", "gb2312", "Shift_JIS", "us-ascii", "utf8", "rot13", "nonsense", "")] == [
        "cp1252", "gb18030", "cp932", "cp1252", "utf-8", "", "", "",
    ]  # fmt: skip


@pytest.mark.parametrize(
    ("label", "codec", "text"),
    [
        ("Shift_JIS", "cp932", "天気予報"),
        ("EUC-JP", "euc_jp", "天気予報"),
        ("ISO-2022-JP", "iso2022_jp", "天気予報"),
        ("GB2312", "gb2312", "天气预报"),
        ("GB18030", "gb18030", "天气预报"),
        ("Big5", "big5", "天氣預報"),
        ("EUC-KR", "euc_kr", "날씨 예보"),
        ("windows-1251", "cp1251", "Погода"),
        ("ISO-8859-1", "cp1252", "Wetter – heiß"),
    ],
)
def test_xml_in_its_declared_charset(label: str, codec: str, text: str) -> None:
    source = (
        f'<?xml version="1.0" encoding="{label}"?>\n<rss><title>{text}</title><d>{text} &amp; mehr</d></rss>'
    )
    (extract,) = read(source.encode(codec), "feed.xml", LIMITS)
    assert (extract.title, extract.text, extract.notes) == (text, f"{text}\n{text} & mehr", ())
    assert extract.blocks[0].place.line == 2


class _NamedIn(zipfile.ZipInfo):
    """A member whose name is in a code page, as DOS and Windows wrote it."""

    def __init__(self, name: str, encoding: str) -> None:
        super().__init__(name)
        self._encoding = encoding

    def _encodeFilenameFlags(self) -> tuple[bytes, int]:
        return self.filename.encode(self._encoding), self.flag_bits & ~0x800


@pytest.mark.parametrize(
    ("encoding", "names"),
    [
        ("cp850", ["Übersicht/Grüße an Jürgen.txt", "Größe.txt"]),
        ("cp437", ["résumé été.txt"]),
        ("cp852", ["Žluťoučký kůň.txt"]),
        ("cp866", ["Отчёт за март.txt"]),
        ("cp932", ["会議資料.txt"]),
        ("gbk", ["会议资料.txt"]),
        ("utf-8", ["Grüße.txt"]),
    ],
)
def test_names_in_a_zip_archive(encoding: str, names: list[str]) -> None:
    buffer = io.BytesIO()
    with zipfile.ZipFile(buffer, "w") as package:
        for name in names:
            package.writestr(_NamedIn(name, encoding), "some text")
    assert [extract.member for extract in read(buffer.getvalue(), "a.zip", LIMITS)] == names


@pytest.mark.parametrize(
    ("name", "head"), [("a.txt", b""), ("a.eml", b"Subject: x\nContent-Type: text/plain\n\n")]
)
def test_korean_that_shifts_is_no_binary_file(name: str, head: bytes) -> None:
    text = "내일 아침 기차는 아홉 시에 출발합니다."
    (found,) = read(head + text.encode("iso2022_kr"), name, LIMITS)
    assert text in found.text
