-- How far the spools of servers were replayed into this database; in a spool: its own name.
CREATE TABLE spools (
    name TEXT PRIMARY KEY NOT NULL,
    replayed INTEGER NOT NULL
) STRICT;
-- What this database, as a spool, keeps for one that is away, in the order in which it came. `name` is a history's.
CREATE TABLE spooled (
    id INTEGER PRIMARY KEY AUTOINCREMENT,
    name TEXT,
    body TEXT NOT NULL
) STRICT;
CREATE INDEX spooled_name ON spooled (name);
-- The name of a note that came by a spool.
ALTER TABLE writes_in_flight ADD COLUMN spooled_as TEXT;
