"A small world whose features are looked up: loans, and the customers who ask for them."

from iris_nb.schema import Category, Lookup, Number, Schema

LOANS = Schema(
    "loans",
    "loan",
    (
        Number("amount", "€", 100, 1e6, "What is asked for.", 5000),
        Number("income", "€", 0, 1e7, "Income in a year.", 40_000, lookup=Lookup("customers", key="customer_id")),
        Category(
            "rating",
            ("A", "B", "C"),
            "Of the customer.",
            "B",
            missing=True,
            lookup=Lookup("customers", key="customer_id", max_age="7d", absent="missing"),
        ),
        Number(
            "price",
            "€/m²",
            0,
            1e5,
            "Usual price in the district.",
            3000,
            lookup=Lookup("districts", key="district", absent=2500, column="price per m²"),
        ),
    ),
    "outcome",
    ("paid", "not paid"),
    time_column="asked at",
)
DAY = 86_400_000_000  # microseconds
