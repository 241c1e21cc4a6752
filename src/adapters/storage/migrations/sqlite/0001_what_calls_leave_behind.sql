-- What calls leave behind. Databases from before there were numbers have some of these tables: they keep them.
CREATE TABLE IF NOT EXISTS session_histories (
    filed_as TEXT PRIMARY KEY NOT NULL,
    tenant TEXT NOT NULL,
    json TEXT NOT NULL,
    expires_unix INTEGER NOT NULL
) STRICT;
CREATE INDEX IF NOT EXISTS session_histories_expiry ON session_histories (expires_unix);
CREATE TABLE IF NOT EXISTS call_records (
    session TEXT PRIMARY KEY NOT NULL,
    call TEXT NOT NULL,
    sip_call_id TEXT NOT NULL,
    tenant TEXT NOT NULL,
    caller TEXT NOT NULL,
    began_unix_ms INTEGER NOT NULL,
    expires_unix INTEGER NOT NULL,
    details TEXT NOT NULL,
    timeline TEXT NOT NULL
) STRICT;
CREATE INDEX IF NOT EXISTS call_records_expiry ON call_records (expires_unix);
CREATE INDEX IF NOT EXISTS call_records_began ON call_records (began_unix_ms);
CREATE TABLE IF NOT EXISTS log_events (
    id TEXT PRIMARY KEY NOT NULL,
    tenant TEXT NOT NULL,
    session TEXT NOT NULL,
    caller TEXT NOT NULL,
    body TEXT NOT NULL,
    attempts INTEGER NOT NULL DEFAULT 0,
    due_unix_ms INTEGER NOT NULL,
    expires_unix INTEGER NOT NULL
) STRICT;
CREATE INDEX IF NOT EXISTS log_events_due ON log_events (tenant, due_unix_ms);
CREATE INDEX IF NOT EXISTS log_events_expiry ON log_events (expires_unix);
-- How much waits for each tenant's receiver, kept by the triggers below.
CREATE TABLE IF NOT EXISTS log_spools (
    tenant TEXT PRIMARY KEY NOT NULL,
    events INTEGER NOT NULL,
    bytes INTEGER NOT NULL
) STRICT;
CREATE TRIGGER IF NOT EXISTS log_events_added AFTER INSERT ON log_events BEGIN
    INSERT INTO log_spools (tenant, events, bytes) VALUES (new.tenant, 1, length(CAST(new.body AS BLOB)))
        ON CONFLICT (tenant) DO UPDATE SET events = events + 1, bytes = bytes + excluded.bytes;
END;
CREATE TRIGGER IF NOT EXISTS log_events_removed AFTER DELETE ON log_events BEGIN
    UPDATE log_spools SET events = events - 1, bytes = bytes - length(CAST(old.body AS BLOB)) WHERE tenant = old.tenant;
END;
-- Calls that began and have no record yet, by the server that has them.
CREATE TABLE IF NOT EXISTS calls_under_way (
    session TEXT PRIMARY KEY NOT NULL,
    server TEXT NOT NULL,
    call TEXT NOT NULL,
    sip_call_id TEXT NOT NULL,
    tenant TEXT NOT NULL,
    caller TEXT NOT NULL,
    opening TEXT NOT NULL
) STRICT;
-- Whose voice is in which recording, for as long as there is one.
CREATE TABLE IF NOT EXISTS recorded_calls (
    call TEXT PRIMARY KEY NOT NULL,
    tenant TEXT NOT NULL,
    caller TEXT NOT NULL
) STRICT;
-- Contacts that are being written to, or that may hold what was never earned.
CREATE TABLE IF NOT EXISTS writes_in_flight (
    id INTEGER PRIMARY KEY AUTOINCREMENT,
    server TEXT NOT NULL,
    tenant TEXT NOT NULL,
    contact_id TEXT NOT NULL,
    names TEXT NOT NULL,
    noted_unix INTEGER NOT NULL
) STRICT;
-- What waited before it was counted.
INSERT OR REPLACE INTO log_spools (tenant, events, bytes)
    SELECT tenant, count(*), sum(length(CAST(body AS BLOB))) FROM log_events GROUP BY tenant;
-- Which of them have a recording is found out by the first sweep.
INSERT OR IGNORE INTO recorded_calls (call, tenant, caller) SELECT call, tenant, caller FROM call_records;
