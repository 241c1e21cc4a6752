-- Who shares the database, when each was last seen, and since when without a gap.
CREATE TABLE servers (
    name TEXT COLLATE "C" PRIMARY KEY NOT NULL,
    seen_unix BIGINT NOT NULL,
    steady_unix BIGINT NOT NULL
);
