-- How far the spools of servers were replayed into this database.
CREATE TABLE spools (
    name TEXT COLLATE "C" PRIMARY KEY NOT NULL,
    replayed BIGINT NOT NULL
);
-- The name of a note that came by a spool.
ALTER TABLE writes_in_flight ADD COLUMN spooled_as TEXT COLLATE "C";
