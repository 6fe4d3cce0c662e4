-- Sessions of users that are served in several zones at once.
CREATE TABLE session (id INTEGER PRIMARY KEY, hits INTEGER NOT NULL, zone INTEGER NOT NULL, server INTEGER NOT NULL, last_seen INTEGER NOT NULL);
CREATE TABLE visit (id UUID PRIMARY KEY, session INTEGER, at INTEGER);
