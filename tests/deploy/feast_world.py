"""A real Feast feature server about a few customers; run by the Python of `.uv/feast`, which has Feast.

python feast_world.py FOLDER PORT
"""

import sys
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pandas as pd
from feast import Entity, FeatureStore, FeatureView, Field, FileSource, RepoConfig, ValueType
from feast.types import Float64, String

folder, port = Path(sys.argv[1]), int(sys.argv[2])
hour = datetime.now(UTC).replace(minute=0, second=0, microsecond=0)
pd.DataFrame(
    {
        "customer_id": ["1001", "1002", "1003"],
        "income": [52_000.0, 7_000.0, None],
        "rating": ["A", "B", "C"],
        "event_timestamp": [hour - timedelta(days=1), hour - timedelta(days=9), hour - timedelta(days=1)],
    }
).to_parquet(folder / "customers.parquet")
store = FeatureStore(
    config=RepoConfig(
        project="loans",
        provider="local",
        registry=str(folder / "registry.db"),
        online_store={"type": "sqlite", "path": str(folder / "online.db")},
        offline_store={"type": "file"},
        entity_key_serialization_version=3,
    )
)
customer = Entity(name="customer", join_keys=["customer_id"], value_type=ValueType.STRING)
source = FileSource(path=str(folder / "customers.parquet"), timestamp_field="event_timestamp")
schema = [Field(name="income", dtype=Float64), Field(name="rating", dtype=String)]
view = FeatureView(name="customers", entities=[customer], ttl=timedelta(days=365), schema=schema, source=source)
store.apply([customer, view])
store.materialize(start_date=hour - timedelta(days=30), end_date=hour + timedelta(hours=1))
store.serve(
    host="127.0.0.1",
    port=port,
    type_="http",
    no_access_log=True,
    workers=1,
    metrics=False,
    keep_alive_timeout=5,
    registry_ttl_sec=60,
)
