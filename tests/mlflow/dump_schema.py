"""Prints what a new database of MLflow's is made of, as SQL: for crates/demo/schema.

    dump_schema.py > crates/demo/schema/mlflow-dc11669786a5.sql

Run it with the Python of the MLflow in question. Printed are the tables, indexes and triggers as SQLite keeps them, and
the rows that are the same in every new database; the Default experiment has a time and a path, and is left out.
"""

import logging
import sqlite3
import tempfile
from pathlib import Path

import mlflow
from mlflow.store.tracking.sqlalchemy_store import SqlAlchemyStore

LEFT_OUT = {"experiments"}


def main() -> None:
    logging.disable()
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder, "mlflow.db")
        SqlAlchemyStore(f"sqlite:///{path}", f"{folder}/mlartifacts")
        database = sqlite3.connect(path)
        print(_schema(database), end="")
        database.close()


def _schema(database: sqlite3.Connection) -> str:
    (revision,) = database.execute("SELECT version_num FROM alembic_version").fetchone()
    head = [
        f"-- The schema of a new database of MLflow {mlflow.__version__}, Alembic revision {revision}.",
        "-- Written by tests/mlflow/dump_schema.py; not to be changed by hand.",
    ]
    made = database.execute("SELECT sql FROM sqlite_master WHERE sql IS NOT NULL ORDER BY type != 'table', name")
    statements = [f"{_in_order(sql)};" for (sql,) in made.fetchall()]
    tables = database.execute("SELECT name FROM sqlite_master WHERE type = 'table' ORDER BY name").fetchall()
    rows = [row for (table,) in tables if table not in LEFT_OUT for row in _rows(database, table)]
    return "\n".join(head) + "\n\n" + "\n".join(statements) + "\n\n" + "\n".join(rows) + "\n"


def _in_order(sql: str) -> str:
    """A statement with its checks sorted: MLflow leaves their order to chance, as it does that of indexes."""
    body, end, rest = sql.rpartition("\n)")
    parts = body.split(", \n\t")
    checks = iter(sorted(part for part in parts if "CHECK (" in part))
    return ", \n\t".join(next(checks) if "CHECK (" in part else part for part in parts) + end + rest


def _rows(database: sqlite3.Connection, table: str) -> list[str]:
    """The rows of a table as INSERT statements."""
    columns = [column[1] for column in database.execute(f'PRAGMA table_info("{table}")')]
    quoted = " || ', ' || ".join(f'quote("{column}")' for column in columns)
    values = database.execute(f'SELECT {quoted} FROM "{table}"').fetchall() if columns else []
    names = ", ".join(columns)
    return [f"INSERT INTO {table} ({names}) VALUES ({text});" for (text,) in values]


if __name__ == "__main__":
    main()
