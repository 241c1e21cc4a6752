-- How often a history may still be read (any number where it is nothing), who read it last (a hash), and until when that read lasts.
ALTER TABLE session_histories ADD COLUMN reads_left BIGINT;
ALTER TABLE session_histories ADD COLUMN reader TEXT COLLATE "C" NOT NULL DEFAULT '';
ALTER TABLE session_histories ADD COLUMN read_until_unix BIGINT NOT NULL DEFAULT 0;
