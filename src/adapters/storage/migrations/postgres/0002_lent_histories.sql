-- Histories whose key was given away for a transfer that is not known to have come about.
CREATE TABLE lent_histories (
    filed_as TEXT COLLATE "C" PRIMARY KEY NOT NULL,
    server TEXT COLLATE "C" NOT NULL
);
CREATE FUNCTION session_histories_removed() RETURNS trigger LANGUAGE plpgsql AS $$ BEGIN
    DELETE FROM lent_histories WHERE filed_as = old.filed_as;
    RETURN NULL;
END $$;
CREATE TRIGGER session_histories_removed AFTER DELETE ON session_histories
    FOR EACH ROW EXECUTE FUNCTION session_histories_removed();
