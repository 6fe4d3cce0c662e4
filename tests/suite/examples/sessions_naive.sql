-- Sessions of users that are served in several zones at once. tags is a list, each tag followed by a comma.
CREATE TABLE session (id INTEGER PRIMARY KEY, hits INTEGER NOT NULL, zone INTEGER NOT NULL, server INTEGER NOT NULL, last_seen INTEGER NOT NULL, tags TEXT NOT NULL);
CREATE TABLE visit (id UUID PRIMARY KEY, session INTEGER, at INTEGER, tag TEXT);
