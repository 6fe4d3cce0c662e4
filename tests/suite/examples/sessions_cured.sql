-- The same sessions for many writers: hits are a COUNTER, zone and server are one column, so that they are written together, and when a session was last
-- seen is what its visits say.
CREATE TABLE session (id INTEGER PRIMARY KEY, hits INTEGER COUNTER, place INTEGER NOT NULL);
CREATE TABLE visit (id UUID PRIMARY KEY, session INTEGER, at INTEGER);
