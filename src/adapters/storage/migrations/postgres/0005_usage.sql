-- How much was called, by tenant and day (UTC) on which calls began: outlives the records, and names nobody.
CREATE TABLE usage_days (
    day TEXT COLLATE "C" NOT NULL,
    tenant TEXT COLLATE "C" NOT NULL,
    calls BIGINT NOT NULL,
    milliseconds BIGINT NOT NULL,
    PRIMARY KEY (day, tenant)
);
-- Calls from before they were counted.
INSERT INTO usage_days (day, tenant, calls, milliseconds)
    SELECT to_char(to_timestamp(began_unix_ms / 1000) AT TIME ZONE 'UTC', 'YYYY-MM-DD'), tenant, count(*),
        sum(COALESCE(CAST(json_extract(details, '$.call.milliseconds_elapsed') AS BIGINT), 0))
    FROM call_records WHERE began_unix_ms BETWEEN 0 AND 253402300799999 GROUP BY 1, 2;
-- A record that comes twice is one row, and so is counted once.
CREATE FUNCTION call_records_counted() RETURNS trigger LANGUAGE plpgsql AS $$ BEGIN
    INSERT INTO usage_days AS counted (day, tenant, calls, milliseconds) VALUES (
        to_char(to_timestamp(new.began_unix_ms / 1000) AT TIME ZONE 'UTC', 'YYYY-MM-DD'), new.tenant, 1,
        COALESCE(CAST(json_extract(new.details, '$.call.milliseconds_elapsed') AS BIGINT), 0))
        ON CONFLICT (day, tenant) DO UPDATE
            SET calls = counted.calls + 1, milliseconds = counted.milliseconds + excluded.milliseconds;
    RETURN NULL;
END $$;
CREATE TRIGGER call_records_counted AFTER INSERT ON call_records FOR EACH ROW
    WHEN (new.began_unix_ms BETWEEN 0 AND 253402300799999) EXECUTE FUNCTION call_records_counted();
