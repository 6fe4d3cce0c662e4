-- The seat is the key: two who book it at once have written one row, and all nodes show the same guest.
CREATE TABLE booking (seat INTEGER PRIMARY KEY, guest TEXT NOT NULL);
