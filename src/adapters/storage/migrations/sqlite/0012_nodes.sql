-- What a node says of itself, as JSON.
ALTER TABLE nodes ADD COLUMN says TEXT NOT NULL DEFAULT '{}';
