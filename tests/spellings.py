"""Ways to spell a value that some programs take for a number."""

from hypothesis import strategies as st

spelling = st.one_of(
    st.floats().map(str),
    st.integers().map(str),
    st.from_regex(r"\s?[-+]?[0-9_]{0,3}[.,]?[0-9]{0,3}([eE][-+]?[0-9]{1,3})?\s?", fullmatch=True),
    st.text(alphabet="0123456789.,eE+-_ \t٥xnaifNIFtrue", max_size=6),
    st.sampled_from(
        ["1_0", "٥", " 5 ", "+5", "1e400", "nan", "inf", "-inf", "Infinity", "0x10", "1,5", "true", "True", ".5", "5."]
    ),
    st.sampled_from(
        ["05", "-0", "1e-400", "null", "", '"5"', "[5]", "2024-01-01", "5%", "€5", "\xa05", "5d", "1" * 400]
    ),
)
