-- Who shares the database, when each was last seen, and since when without a gap. With SQLite nobody does: it stays empty.
CREATE TABLE servers (
    name TEXT PRIMARY KEY NOT NULL,
    seen_unix INTEGER NOT NULL,
    steady_unix INTEGER NOT NULL
) STRICT;
