from __future__ import annotations

import random

import pytest

from peftsearch.core.errors import UserError
from peftsearch.data.read.encoding import decode

TEXTS = {
    "ru": "Московская милиция ужесточила режим|Отличный фильм, рекомендую всем|Плохо, скучно и долго",
    "uk": "Дуже гарний виріб, їжак|Погано зроблено, не раджу|Швидка доставка, є все",
    "ja": "とても良い商品でした。|すぐに壊れました。残念です。|カタカナのテキスト",
    "zh": "这个产品非常好，我很喜欢|质量太差了，不推荐购买|物流很快，包装完整",
    "zh_tw": "這個產品非常好，我很喜歡|品質太差了，不推薦購買|物流很快，包裝完整",
    "ko": "정말 좋은 제품입니다|금방 고장났어요 실망입니다|배송이 빨라요",
    "fr": "Très bon café, à recommander|Déçu par la qualité|Ça marche bien",
    "de": "schön grün|Größe passt nicht|Für Süßes",
    "es": "¡Qué café tan señorial! mañana|Muy malo, no lo compraría|El niño comió",
    "sv": "Mycket bra, rekommenderar å ä ö|dålig kvalitet|snabb leverans för mig",
    "pl": "Świetny produkt, polecam każdemu|Źle działa, żałuję zakupu|Średnia jakość",
    "cs": "Příliš žluťoučký kůň|Skvělý výrobek, doporučuji|Špatná kvalita",
    "el": "Πολύ καλό προϊόν|Δεν μου άρεσε καθόλου|Γρήγορη παράδοση",
    "tr": "Çok güzel bir ürün|Hiç beğenmedim, kötü|Şiddetle tavsiye ederim",
    "he": "מוצר מצוין, ממליץ|לא אהבתי בכלל|משלוח מהיר",
    "ar": "منتج رائع جدا أنصح به|لم يعجبني على الإطلاق|توصيل سريع",
    "en": "it cost 5 € “only”|naïve plan – well…|what’s that",
}
WRITTEN = [
    *(("ru", codec) for codec in ("cp1251", "koi8_r", "cp866", "iso8859_5")),
    *(("ja", codec) for codec in ("shift_jis", "cp932", "euc_jp", "iso2022_jp")),
    ("uk", "cp1251"), ("zh", "gbk"), ("zh", "gb18030"), ("zh_tw", "big5"), ("ko", "euc_kr"), ("ko", "cp949"),
    ("fr", "cp1252"), ("fr", "latin_1"), ("de", "cp1252"), ("es", "cp1252"), ("sv", "cp1252"), ("en", "cp1252"),
    ("pl", "cp1250"), ("cs", "cp1250"), ("el", "cp1253"), ("he", "cp1255"), ("ar", "cp1256"),
]  # fmt: skip


def table(language: str, rows: int = 30) -> str:
    """A table whose texts are drawn; with line 2 in ASCII."""
    draw = random.Random(language)
    texts = TEXTS[language].split("|")
    lines = [f'"{draw.choice(texts)} {i}",{"ab"[i % 2]}' for i in range(rows)]
    return "\n".join(["text,label", "plain words,a", *lines]) + "\n"


@pytest.mark.parametrize(("language", "codec"), WRITTEN)
def test_an_encoding_is_guessed_and_shown(language: str, codec: str) -> None:
    text = table(language)
    found, (note,) = decode(text.encode(codec), "a.csv")
    assert found == text
    assert note.startswith("a.csv is not UTF-8; read as ")
    line, _, shown = note.partition("(data.encoding overrides it): line ")[2].partition(" is ")
    assert shown.strip("'…") in text.split("\n")[int(line) - 1]
    assert not shown.isascii()


@pytest.mark.parametrize("language", TEXTS)
@pytest.mark.parametrize("codec", ["utf-8", "utf-8-sig", "utf-16", "utf-32"])
def test_unicode_is_known(language: str, codec: str) -> None:
    assert decode(table(language).encode(codec), "a.csv") == (table(language), ())


@pytest.mark.parametrize("language", TEXTS)
@pytest.mark.parametrize("codec", ["utf-16-le", "utf-16-be", "utf-32-le", "utf-32-be"])
def test_unmarked_unicode_is_guessed(language: str, codec: str) -> None:
    text, (note,) = decode(table(language).encode(codec), "a.csv")
    assert text == table(language)
    assert f"read as {codec}, which is a guess" in note


@pytest.mark.parametrize("language", ["fr", "ru", "ja", "zh"])
@pytest.mark.parametrize("place", [0.01, 0.5, 0.99])
def test_a_windows_byte_does_not_change_the_rest_of_a_utf8_file(language: str, place: float) -> None:
    lines = table(language).split("\n")
    odd = round(place * (len(lines) - 2))
    content = "\n".join([*lines[:odd], "it's fine,b", *lines[odd:]]).encode().replace(b"it's", b"it\x92s")
    text, notes = decode(content, "a.csv")
    assert text == "\n".join([*lines[:odd], "it’s fine,b", *lines[odd:]])
    assert notes == (f"a.csv is UTF-8 but for 1 byte, read as Windows-1252: line {odd + 1} is 'it’s fine,b'",)


def test_a_first_accent_far_down_the_file_is_found() -> None:
    text = "text,label\n" + "plain words only,a\n" * 20_000 + "schön grün,b\n"
    found, notes = decode(text.encode("cp1252"), "a.csv")
    assert found == text
    assert notes[0].endswith(": line 20002 is 'schön grün,b'")


@pytest.mark.parametrize("codec", ["utf-8", "utf-8-sig", "utf-16", "utf-16-le", "utf-32", "utf-32-be"])
@pytest.mark.parametrize("missing", [1, 3])
def test_a_file_that_is_cut_within_a_character(codec: str, missing: int) -> None:
    content = (table("ja") + "語😀").encode(codec)[:-missing]
    text, notes = decode(content, "a.csv")
    assert text.startswith(table("ja") + "語")
    assert notes[-1] == "a.csv ends within a character; check that it is whole"


def test_ascii_that_is_cut_within_its_last_character() -> None:
    assert decode(b"text,label\nfine,caf" + b"\xc3", "a.csv") == (
        "text,label\nfine,caf\ufffd", ("a.csv ends within a character; check that it is whole",)
    )  # fmt: skip


def test_a_named_encoding_overrides_the_guess() -> None:
    text = table("pl")
    assert decode(text.encode("iso8859_2"), "a.csv", "iso8859_2") == (text, ())
    assert decode(text.encode("utf-8-sig"), "a.csv", "utf-8") == (text, ())
    assert decode("é".encode(), "a.csv", "cp1252") == ("Ã©", ())
    with pytest.raises(UserError) as caught:
        decode(text.encode("cp1250"), "a.csv", "utf-8")
    assert str(caught.value) == (
        "data.encoding: a.csv is not in utf-8: line 3 holds the byte 0x8f; "
        "name another encoding, or leave the key out to have it found"
    )


@pytest.mark.parametrize(
    ("content", "said"),
    [
        (
            b"text,label\na\0b,x\n",
            "data.source: a.csv holds a NUL byte in line 2: it is damaged, or no text; take such bytes out",
        ),
        (
            bytes(range(1, 256)) * 40,
            "data.source: a.csv is in no encoding that can be told; name it as in data.encoding: cp1252, "
            "or convert the file to UTF-8",
        ),
    ],
)
def test_what_is_no_text_is_one_line(content: bytes, said: str) -> None:
    with pytest.raises(UserError) as caught:
        decode(content, "a.csv")
    assert str(caught.value) == said


def test_no_bytes_at_all() -> None:
    assert decode(b"", "a.csv") == ("", ())
