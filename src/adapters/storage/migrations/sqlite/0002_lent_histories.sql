-- Histories whose key was given away for a transfer that is not known to have come about.
CREATE TABLE lent_histories (
    filed_as TEXT PRIMARY KEY NOT NULL,
    server TEXT NOT NULL
) STRICT;
CREATE TRIGGER session_histories_removed AFTER DELETE ON session_histories BEGIN
    DELETE FROM lent_histories WHERE filed_as = old.filed_as;
END;
