-- How much was called, by tenant and day (UTC) on which calls began: outlives the records, and names nobody.
CREATE TABLE usage_days (
    day TEXT NOT NULL,
    tenant TEXT NOT NULL,
    calls INTEGER NOT NULL,
    milliseconds INTEGER NOT NULL,
    PRIMARY KEY (day, tenant)
) STRICT;
-- Calls from before they were counted.
INSERT INTO usage_days (day, tenant, calls, milliseconds)
    SELECT strftime('%Y-%m-%d', began_unix_ms / 1000, 'unixepoch') AS day, tenant, count(*),
        sum(COALESCE(CAST(json_extract(details, '$.call.milliseconds_elapsed') AS INTEGER), 0))
    FROM call_records WHERE began_unix_ms BETWEEN 0 AND 253402300799999 GROUP BY 1, 2;
-- A record that comes twice is one row, and so is counted once.
CREATE TRIGGER call_records_counted AFTER INSERT ON call_records WHEN new.began_unix_ms BETWEEN 0 AND 253402300799999 BEGIN
    INSERT INTO usage_days (day, tenant, calls, milliseconds) VALUES (
        strftime('%Y-%m-%d', new.began_unix_ms / 1000, 'unixepoch'), new.tenant, 1,
        COALESCE(CAST(json_extract(new.details, '$.call.milliseconds_elapsed') AS INTEGER), 0))
        ON CONFLICT (day, tenant) DO UPDATE SET calls = calls + 1, milliseconds = milliseconds + excluded.milliseconds;
END;
