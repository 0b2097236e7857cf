CREATE TABLE songs (title TEXT NOT NULL PRIMARY KEY, year INTEGER NOT NULL);
INSERT INTO songs VALUES ('Heroes', 1977), ('Starman', 1972), ('Space Oddity', 1969);
