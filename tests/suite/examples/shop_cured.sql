-- The same shop for many writers: the stock is a COUNTER that never goes below 0, whoever sells, and a cart is a row per item, whose quantity is one, too.
CREATE TABLE stock (item TEXT PRIMARY KEY, n INTEGER COUNTER CHECK (n >= 0));
CREATE TABLE cart_item (customer INTEGER, item TEXT, qty INTEGER COUNTER, PRIMARY KEY (customer, item));
CREATE TABLE sale (id UUID PRIMARY KEY, item TEXT, qty INTEGER);
CREATE TABLE click (id UUID PRIMARY KEY, customer INTEGER, item TEXT);
