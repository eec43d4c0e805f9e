"""Tables whose rows are written once: triggers refuse every later change, whoever tries."""

from __future__ import annotations

_FUNCTION = """
CREATE OR REPLACE FUNCTION leaderboard_refuse_change() RETURNS trigger LANGUAGE plpgsql AS $$
BEGIN
    RAISE EXCEPTION '% of % is refused: its rows are final', TG_OP, TG_TABLE_NAME
        USING ERRCODE = 'restrict_violation';
END $$;
"""


def forbid_changes(*tables: str) -> str:
    """The SQL that makes ``tables`` append-only: only who owns them could drop the triggers."""
    return _FUNCTION + "".join(
        f"CREATE TRIGGER {table}_final BEFORE UPDATE OR DELETE ON {table} "
        f"FOR EACH ROW EXECUTE FUNCTION leaderboard_refuse_change();\n"
        f"CREATE TRIGGER {table}_never_empty BEFORE TRUNCATE ON {table} "
        f"FOR EACH STATEMENT EXECUTE FUNCTION leaderboard_refuse_change();\n"
        for table in tables
    )


def allow_changes(*tables: str) -> str:
    """The SQL that undoes :func:`forbid_changes`."""
    triggers = "".join(
        f"DROP TRIGGER {table}_final ON {table};\nDROP TRIGGER {table}_never_empty ON {table};\n"
        for table in tables
    )
    return triggers + "DROP FUNCTION leaderboard_refuse_change();"
