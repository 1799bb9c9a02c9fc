"""The connection: one transaction that only reads, its queries streamed by the database, page by page."""

from __future__ import annotations

import os
import socket
import threading
from collections.abc import Iterator, Sequence
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from decimal import Decimal
from typing import Any

from sqlalchemy import Connection, CursorResult, Engine, NestedTransaction
from sqlalchemy.exc import DBAPIError, NoSuchModuleError, ResourceClosedError, SQLAlchemyError

from reconciler.sdk.answers import clean
from reconciler.sdk.errors import Misbehaved, Refused

from .dialects import Manner
from .failures import Asked, meaning


@dataclass(slots=True)
class Stream:
    """A query under way, with the savepoint that keeps its failure from the rest of the transaction."""

    names: list[str]
    result: CursorResult[Any]
    savepoint: NestedTransaction

    def close(self) -> None:
        """Give the cursor back; the savepoint is rolled back, as nothing was written."""
        with suppress(SQLAlchemyError):
            self.result.close()
        with suppress(SQLAlchemyError):
            self.savepoint.rollback()


class Session:
    """One transaction over one connection. Calls block, and come one after the other."""

    def __init__(self, engine: Engine, manner: Manner, asked: Asked, *, page_size: int, seconds: int) -> None:
        """Connect and begin the transaction; raise by remedy where that fails."""
        self._page_size = page_size
        self._seconds = seconds
        with _telling(asked):
            self._connection = _begin(engine, manner)

    def count(self, query: str, asked: Asked) -> int:
        """Return the one number that ``query`` gives."""
        with _telling(asked), self._limited(), self._connection.begin_nested() as savepoint:
            # As a stream it is one statement only, and one that reads: nothing may end the transaction within it.
            options = {"no_parameters": True, "stream_results": True}
            result = self._connection.exec_driver_sql(query, execution_options=options)
            rows = result.fetchmany(2) if result.returns_rows else []
            result.close()
            savepoint.rollback()
        found = rows[0][0] if len(rows) == 1 and len(rows[0]) == 1 else None
        if type(found) is bool or not isinstance(found, int | Decimal) or found < 0 or found != int(found):
            raise Refused(f"{asked.place}: the query gives no count", advice=f"Have {asked.where} give one number.")
        return int(found)

    def stream(self, query: str, asked: Asked) -> Stream:
        """Start ``query`` and return its stream; nothing is fetched that does not have to be."""
        with _telling(asked), self._limited():
            savepoint = self._connection.begin_nested()
            try:
                result = self._connection.exec_driver_sql(
                    query,
                    execution_options={
                        "no_parameters": True,
                        "stream_results": True,
                        "max_row_buffer": self._page_size,
                    },
                )
                return Stream(list(result.keys()), result, savepoint)
            except ResourceClosedError:
                savepoint.rollback()
                raise Refused(
                    f"{asked.place}: the statement gives no rows", advice=f"Write a SELECT into {asked.where}."
                ) from None
            except DBAPIError as error:
                if not error.connection_invalidated:
                    savepoint.rollback()
                raise

    def fetch(self, stream: Stream, count: int, asked: Asked) -> Sequence[Sequence[Any]]:
        """Return the next rows, ``count`` at most; fewer only at the end."""
        with _telling(asked), self._limited():
            return stream.result.fetchmany(count)

    def close(self) -> None:
        """End the transaction, writing nothing, and the connection."""
        with suppress(SQLAlchemyError):
            self._connection.close()

    def abort(self) -> None:
        """Cut the connection under a call that does not come back; the call then fails in its thread."""
        raw = self._connection.connection.dbapi_connection
        number = getattr(raw, "fileno", None)
        if number is not None:
            with suppress(OSError, SQLAlchemyError), socket.socket(fileno=os.dup(number())) as line:
                line.shutdown(socket.SHUT_RDWR)

    @contextmanager
    def _limited(self) -> Iterator[None]:
        """Interrupt SQLite, which has no limit of its own on a statement; other databases were told one."""
        interrupt = getattr(self._connection.connection.dbapi_connection, "interrupt", None)
        timer = threading.Timer(self._seconds, interrupt) if interrupt is not None else None
        if timer is not None:
            timer.daemon = True
            timer.start()
        try:
            yield
        finally:
            if timer is not None:
                timer.cancel()


def counting(query: str) -> str:
    """Return the query for the number of rows of ``query``; the line break ends a comment at its end."""
    # The text is the configuration's own, and the transaction reads only. Oracle knows no AS here.
    return f"SELECT count(*) FROM (\n{bare(query)}\n) counted"  # noqa: S608 - as above


def bare(query: str) -> str:
    """Return ``query`` without the semicolon that ends it."""
    return query.strip().rstrip(";").rstrip()


def _begin(engine: Engine, manner: Manner) -> Connection:
    connection = engine.connect()
    try:
        if manner.before:
            for statement in manner.before:
                connection.exec_driver_sql(statement)
            connection.commit()
        connection = connection.execution_options(**manner.options)
        for statement in manner.first:
            connection.exec_driver_sql(statement)
    except BaseException:
        connection.close()
        raise
    return connection


@contextmanager
def _telling(asked: Asked) -> Iterator[None]:
    """Turn what the driver raises into errors by remedy; causes are left out, for they hold the whole URL."""
    try:
        yield
    except DBAPIError as error:
        raise meaning(error, asked) from None
    except (NoSuchModuleError, SQLAlchemyError) as error:
        raise Misbehaved(
            f"{asked.place}: {clean(str(error))}", advice="Report this, with the kind of the database."
        ) from None
    except (ValueError, OverflowError) as error:
        # A driver that cannot make a Python value of a cell: year 0, text that is not UTF-8.
        raise Misbehaved(
            f"{asked.place}: a value cannot be read: {clean(str(error))}", advice=f"Convert it in {asked.where}."
        ) from None
