-- What is counted of records without reading them: made of the record itself, so it is right for old ones and for one that is replaced.
ALTER TABLE call_records ADD COLUMN ended_unix_ms INTEGER GENERATED ALWAYS AS (
    CASE WHEN began_unix_ms BETWEEN 0 AND 253402300799999 THEN
        began_unix_ms + COALESCE(CAST(json_extract(details, '$.call.milliseconds_elapsed') AS INTEGER), 0) END) VIRTUAL;
ALTER TABLE call_records ADD COLUMN end_reason TEXT GENERATED ALWAYS AS (
    CAST(json_extract(details, '$.call.end_reason') AS TEXT)) VIRTUAL;
ALTER TABLE call_records ADD COLUMN failure TEXT GENERATED ALWAYS AS (
    substr(CAST(json_extract(details, '$.failure_details') AS TEXT), 1, 120)) VIRTUAL;
CREATE INDEX call_records_figures ON call_records (began_unix_ms, ended_unix_ms, end_reason, failure, tenant);
CREATE INDEX call_records_figures_of ON call_records (tenant, began_unix_ms, ended_unix_ms, end_reason, failure);
-- The first one leads by the same column.
DROP INDEX call_records_began;
-- What callers waited in turns, by hour (UTC, since 1970) in which their calls began: how many waited less than so many milliseconds, and no
-- less than the step below. It names nobody, and stays when the record is gone.
CREATE TABLE wait_hours (
    tenant TEXT NOT NULL,
    hour INTEGER NOT NULL,
    below_ms INTEGER NOT NULL,
    turns INTEGER NOT NULL,
    PRIMARY KEY (tenant, hour, below_ms)
) STRICT, WITHOUT ROWID;
CREATE INDEX wait_hours_hour ON wait_hours (hour, below_ms, turns);
CREATE VIEW call_waits AS SELECT session, tenant, began_unix_ms / 3600000 AS hour, CASE
        WHEN ms < 1000 THEN (ms / 50 + 1) * 50 WHEN ms < 3000 THEN (ms / 100 + 1) * 100
        WHEN ms < 10000 THEN (ms / 500 + 1) * 500 WHEN ms < 600000 THEN (ms / 10000 + 1) * 10000 ELSE 610000
    END AS below_ms FROM (
        SELECT kept.session, kept.tenant, kept.began_unix_ms,
            CAST(json_extract(turn.value, '$.latency.first_audio_milliseconds') AS INTEGER) AS ms
        FROM call_records AS kept, json_each(kept.details, '$.assistant_interaction_summaries[0].turns') AS turn
        WHERE kept.began_unix_ms BETWEEN 0 AND 253402300799999
    ) WHERE ms >= 0;
INSERT INTO wait_hours (tenant, hour, below_ms, turns)
    SELECT tenant, hour, below_ms, count(*) FROM call_waits GROUP BY tenant, hour, below_ms;
CREATE TRIGGER call_records_waited AFTER INSERT ON call_records BEGIN
    INSERT INTO wait_hours (tenant, hour, below_ms, turns)
        SELECT tenant, hour, below_ms, count(*) FROM call_waits WHERE session = new.session GROUP BY tenant, hour, below_ms
        ON CONFLICT (tenant, hour, below_ms) DO UPDATE SET turns = turns + excluded.turns;
END;
-- A record that is replaced by what its own server knew is counted as the new one says.
CREATE TRIGGER call_records_waited_before BEFORE UPDATE OF details, tenant, began_unix_ms ON call_records BEGIN
    INSERT INTO wait_hours (tenant, hour, below_ms, turns)
        SELECT tenant, hour, below_ms, count(*) FROM call_waits WHERE session = old.session GROUP BY tenant, hour, below_ms
        ON CONFLICT (tenant, hour, below_ms) DO UPDATE SET turns = turns - excluded.turns;
END;
CREATE TRIGGER call_records_waited_after AFTER UPDATE OF details, tenant, began_unix_ms ON call_records BEGIN
    INSERT INTO wait_hours (tenant, hour, below_ms, turns)
        SELECT tenant, hour, below_ms, count(*) FROM call_waits WHERE session = new.session GROUP BY tenant, hour, below_ms
        ON CONFLICT (tenant, hour, below_ms) DO UPDATE SET turns = turns + excluded.turns;
END;
