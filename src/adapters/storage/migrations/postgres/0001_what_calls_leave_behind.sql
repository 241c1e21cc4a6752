-- What calls leave behind. Texts are compared byte by byte, as SQLite does, so that no index depends on the system's languages.
CREATE TABLE session_histories (
    filed_as TEXT COLLATE "C" PRIMARY KEY NOT NULL,
    tenant TEXT COLLATE "C" NOT NULL,
    json TEXT NOT NULL,
    expires_unix BIGINT NOT NULL
);
CREATE INDEX session_histories_expiry ON session_histories (expires_unix);
CREATE TABLE call_records (
    session TEXT COLLATE "C" PRIMARY KEY NOT NULL,
    call TEXT COLLATE "C" NOT NULL,
    sip_call_id TEXT COLLATE "C" NOT NULL,
    tenant TEXT COLLATE "C" NOT NULL,
    caller TEXT COLLATE "C" NOT NULL,
    began_unix_ms BIGINT NOT NULL,
    expires_unix BIGINT NOT NULL,
    details TEXT NOT NULL,
    timeline TEXT NOT NULL
);
CREATE INDEX call_records_expiry ON call_records (expires_unix);
CREATE INDEX call_records_began ON call_records (began_unix_ms);
-- `rowid` is the order in which they came, as SQLite numbers rows by itself.
CREATE TABLE log_events (
    id TEXT COLLATE "C" PRIMARY KEY NOT NULL,
    tenant TEXT COLLATE "C" NOT NULL,
    session TEXT COLLATE "C" NOT NULL,
    caller TEXT COLLATE "C" NOT NULL,
    body TEXT NOT NULL,
    attempts BIGINT NOT NULL DEFAULT 0,
    due_unix_ms BIGINT NOT NULL,
    expires_unix BIGINT NOT NULL,
    rowid BIGINT GENERATED ALWAYS AS IDENTITY
);
CREATE INDEX log_events_due ON log_events (tenant, due_unix_ms);
CREATE INDEX log_events_expiry ON log_events (expires_unix);
CREATE INDEX log_events_rowid ON log_events (tenant, rowid);
-- How much waits for each tenant's receiver, kept by the triggers below.
CREATE TABLE log_spools (
    tenant TEXT COLLATE "C" PRIMARY KEY NOT NULL,
    events BIGINT NOT NULL,
    bytes BIGINT NOT NULL
);
CREATE FUNCTION log_events_added() RETURNS trigger LANGUAGE plpgsql AS $$ BEGIN
    INSERT INTO log_spools AS spool (tenant, events, bytes) VALUES (new.tenant, 1, octet_length(new.body))
        ON CONFLICT (tenant) DO UPDATE SET events = spool.events + 1, bytes = spool.bytes + excluded.bytes;
    RETURN NULL;
END $$;
CREATE TRIGGER log_events_added AFTER INSERT ON log_events FOR EACH ROW EXECUTE FUNCTION log_events_added();
CREATE FUNCTION log_events_removed() RETURNS trigger LANGUAGE plpgsql AS $$ BEGIN
    UPDATE log_spools SET events = events - 1, bytes = bytes - octet_length(old.body) WHERE tenant = old.tenant;
    RETURN NULL;
END $$;
CREATE TRIGGER log_events_removed AFTER DELETE ON log_events FOR EACH ROW EXECUTE FUNCTION log_events_removed();
-- Calls that began and have no record yet, by the server that has them.
CREATE TABLE calls_under_way (
    session TEXT COLLATE "C" PRIMARY KEY NOT NULL,
    server TEXT COLLATE "C" NOT NULL,
    call TEXT COLLATE "C" NOT NULL,
    sip_call_id TEXT COLLATE "C" NOT NULL,
    tenant TEXT COLLATE "C" NOT NULL,
    caller TEXT COLLATE "C" NOT NULL,
    opening TEXT NOT NULL,
    rowid BIGINT GENERATED ALWAYS AS IDENTITY
);
-- Whose voice is in which recording, for as long as there is one.
CREATE TABLE recorded_calls (
    call TEXT COLLATE "C" PRIMARY KEY NOT NULL,
    tenant TEXT COLLATE "C" NOT NULL,
    caller TEXT COLLATE "C" NOT NULL
);
-- Contacts that are being written to, or that may hold what was never earned.
CREATE TABLE writes_in_flight (
    id BIGINT GENERATED ALWAYS AS IDENTITY PRIMARY KEY,
    server TEXT COLLATE "C" NOT NULL,
    tenant TEXT COLLATE "C" NOT NULL,
    contact_id TEXT COLLATE "C" NOT NULL,
    names TEXT NOT NULL,
    noted_unix BIGINT NOT NULL
);
-- What SQLite has by itself. An escaped zero byte is JSON, and no text of this database.
CREATE FUNCTION json_extract(document TEXT, path TEXT) RETURNS TEXT LANGUAGE sql IMMUTABLE STRICT AS $$
    SELECT jsonb_path_query_first(replace(document, '\u0000', '\ufffd')::jsonb, path::jsonpath) #>> '{}'
$$;
CREATE FUNCTION unixepoch() RETURNS BIGINT LANGUAGE sql VOLATILE AS $$
    SELECT CAST(floor(extract(epoch FROM clock_timestamp())) AS BIGINT)
$$;
