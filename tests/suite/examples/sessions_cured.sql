-- The same sessions for many writers: hits are a COUNTER, zone and server are written together or not at all, last_seen only grows, and tags is a SET.
CREATE TABLE session (id INTEGER PRIMARY KEY, hits INTEGER COUNTER, zone INTEGER NOT NULL, server INTEGER NOT NULL, last_seen INTEGER MAXIMUM, tags TEXT SET,
                      MERGE TOGETHER (zone, server));
CREATE TABLE visit (id UUID PRIMARY KEY, session INTEGER, at INTEGER, tag TEXT);
